"""The mappings are torch.ao's, and every module of theirs goes through prepare and convert."""

import inspect

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import torchq
from nn.float_modules import CASES, values
from torchq.nn import intrinsic, qat, quantizable, quantized
from torchq.nn.quantized import functional
from torchq.quantization import (
    DeQuantStub,
    QuantStub,
    convert,
    default_qconfig,
    get_dynamic_quant_module_class,
    get_quantized_operator,
    get_static_quant_module_class,
    prepare,
    quantization_mappings,
)

# torchq has no sparse modules.
WITHOUT = ("sparse", "SPARSE")
# Trained in one dimension: torch.ao has no quantized counterpart of these.
OWN = [("Conv1d", "Conv1d"), ("ConvReLU1d", "ConvReLU1d")]


def by_name(mapping):
    """Pairs of the names of the types, those that share one included."""
    return sorted((kind.__name__, target.__name__) for kind, target in mapping.items())


def test_every_name_is_here(torch_ao):
    theirs = {name for name in torch_ao.quantization_mappings.__all__ if not any(word in name for word in WITHOUT)}
    assert theirs <= set(quantization_mappings.__all__)
    assert all(getattr(torchq.quantization, name) is getattr(quantization_mappings, name) for name in theirs)


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("get_default_static_quant_module_mappings", OWN),
        ("get_embedding_static_quant_module_mappings", OWN),
        ("get_default_dynamic_quant_module_mappings", []),
    ],
)
def test_mapping_is_that_of_torch_ao(torch_ao, name, own):
    theirs = by_name(getattr(torch_ao.quantization_mappings, name)())
    assert by_name(getattr(quantization_mappings, name)()) == sorted([*theirs, *own])


def test_mapping_is_a_copy():
    for use in ("static_quant", "static_quant_reference"):
        get = getattr(quantization_mappings, f"get_default_{use}_module_mappings")
        get().clear()
        assert nn.Linear in get()


@pytest.mark.parametrize(
    "name",
    [
        "get_static_quant_module_class",
        "get_dynamic_quant_module_class",
        "get_quantized_operator",
        "get_default_compare_output_module_list",
    ],
)
def test_arguments_are_those_of_torch_ao(torch_ao, name):
    theirs = inspect.signature(getattr(torch_ao.quantization_mappings, name)).parameters.values()
    ours = inspect.signature(getattr(quantization_mappings, name)).parameters.values()
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs]


def test_class_of_a_type_is_that_of_the_mapping_or_of_the_callers():
    class Own(nn.Module):
        pass

    assert get_static_quant_module_class(nn.Conv3d) is quantized.Conv3d
    assert get_static_quant_module_class(nn.Conv3d, {nn.Conv3d: Own}) is Own
    assert get_dynamic_quant_module_class(nn.Linear) is quantized.dynamic.Linear
    assert get_dynamic_quant_module_class(Own, {Own: quantized.dynamic.Linear}) is quantized.dynamic.Linear


@pytest.mark.parametrize("get", [get_static_quant_module_class, get_dynamic_quant_module_class])
def test_class_of_another_type_is_an_error_that_lists_the_known(get):
    with pytest.raises(ValueError, match=r"Softmax.* has no quantized counterpart; .*Linear"):
        get(nn.Softmax)


def test_class_of_a_reference_module():
    assert get_static_quant_module_class(nn.Linear, is_reference=True) is quantized.reference.Linear


def test_reference_mapping_is_torch_aos_but_for_recurrent_modules(torch_ao):
    get = "get_default_static_quant_reference_module_mappings"
    theirs, own = (getattr(library.quantization_mappings, get)() for library in (torch_ao, torchq.quantization))
    missing = {nn.LSTM, nn.LSTMCell, nn.GRUCell, nn.RNNCell}
    names = {kind.__name__: made.__name__ for kind, made in theirs.items() if kind not in missing}
    assert {kind.__name__: made.__name__ for kind, made in own.items()} == names


def test_functions_have_those_of_quantized_tensors():
    assert get_quantized_operator(F.elu) is functional.elu
    mapping = quantization_mappings.get_default_float_to_quantized_operator_mappings()
    assert {function.__name__ for function in mapping} == {function.__name__ for function in mapping.values()}
    with pytest.raises(ValueError, match="has no quantized counterpart"):
        get_quantized_operator(F.relu)


def test_functions_are_those_of_torch_ao(torch_ao):
    theirs = torch_ao.quantization_mappings.get_default_float_to_quantized_operator_mappings()
    assert set(quantization_mappings.get_default_float_to_quantized_operator_mappings()) == set(theirs)


def test_modules_with_fixed_qparams_are_those_of_torch_ao(torch_ao):
    theirs = torch_ao.quantization_mappings.DEFAULT_MODULE_TO_ACT_POST_PROCESS
    ours = quantization_mappings.DEFAULT_MODULE_TO_ACT_POST_PROCESS
    assert set(ours) == set(theirs)
    for kind, factory in theirs.items():
        assert float(ours[kind]().scale) == float(factory().scale)
        assert int(ours[kind]().zero_point) == int(factory().zero_point)


def test_lists_hold_what_the_mappings_hold():
    compared = quantization_mappings.get_default_compare_output_module_list()
    assert {nn.Conv2d, quantized.Conv2d, qat.Conv2d, quantized.dynamic.Linear} <= compared
    observed = quantization_mappings.get_default_qconfig_propagation_list()
    assert observed == set(quantization_mappings.get_default_static_quant_module_mappings())
    assert quantization_mappings.no_observer_set() == {quantizable.LSTM, quantizable.MultiheadAttention}


@pytest.mark.parametrize("name", CASES)
def test_every_module_of_the_mapping_goes_through_prepare_and_convert(name):
    make, size = CASES[name]
    model = nn.Sequential(QuantStub(), make(intrinsic), DeQuantStub()).eval()
    model.qconfig = default_qconfig
    prepared = prepare(model)
    x = values(size)
    expected = prepared(x)
    with torchq.no_float_fallback():
        given = convert(prepared)(x)
    mapping = quantization_mappings.get_default_static_quant_module_mappings()
    assert type(convert(prepared)[1]) is mapping[type(model[1])]
    # A step of the input and of the output, and errors of the weight; a wrong scale or layout is far beyond.
    assert (given - expected).abs().max() <= 0.2 * expected.abs().max()


def test_every_type_of_the_mapping_is_tried():
    tried = {type(make(intrinsic)) for make, _ in CASES.values()}
    mapping = quantization_mappings.get_default_static_quant_module_mappings()
    # Those that are trained, in test_quantize_qat.py and test_qat_every_module.py; the rest in tests of their own.
    trained = {kind for kind in mapping if issubclass(kind, qat.QATModule)}
    others = {QuantStub, DeQuantStub, quantized.FloatFunctional, nn.Embedding, nn.EmbeddingBag, nn.PReLU}
    others |= {nn.modules.linear.NonDynamicallyQuantizableLinear, intrinsic.LinearLeakyReLU, intrinsic.LinearTanh}
    assert set(mapping) - tried - trained - others == {intrinsic.ConvAdd2d, intrinsic.ConvAddReLU2d}


@pytest.mark.parametrize("kind", ["LinearLeakyReLU", "LinearTanh"])
def test_linear_with_an_activation_is_one_module(kind):
    torch.manual_seed(0)
    last = nn.Tanh() if kind == "LinearTanh" else nn.LeakyReLU(0.3)
    model = nn.Sequential(QuantStub(), getattr(intrinsic, kind)(nn.Linear(8, 5), last), DeQuantStub()).eval()
    model.qconfig = default_qconfig
    prepared, x = prepare(model), torch.randn(50, 8)
    expected = prepared(x)
    converted = convert(prepared)
    assert type(converted[1]) is getattr(intrinsic.quantized, kind)
    assert (converted(x) - expected).abs().max() <= 0.05 * expected.abs().max()


@pytest.mark.parametrize("relu", [False, True])
def test_convolution_with_a_sum_is_one_module(relu):
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            conv = nn.Conv2d(4, 4, 3, padding=1)
            parts = (conv, torch.add, nn.ReLU()) if relu else (conv, torch.add)
            self.quant, self.dequant = QuantStub(), DeQuantStub()
            self.sum = (intrinsic.ConvAddReLU2d if relu else intrinsic.ConvAdd2d)(*parts)

        def forward(self, x):
            x = self.quant(x)
            return self.dequant(self.sum(x, x))

    torch.manual_seed(0)
    model = Residual().eval()
    model.qconfig = default_qconfig
    prepared, x = prepare(model), torch.randn(2, 4, 6, 6)
    expected = prepared(x)
    converted = convert(prepared)
    assert type(converted.sum) is (intrinsic.quantized.ConvAddReLU2d if relu else intrinsic.quantized.ConvAdd2d)
    with torchq.no_float_fallback():
        assert (converted(x) - expected).abs().max() <= 0.05 * expected.abs().max()
