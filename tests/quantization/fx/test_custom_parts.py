"""Standalone modules, inputs and results that are quantized, and modules that are called twice."""

import copy
import importlib

import pytest
import torch
from torch import nn

import torchq
from torchq.nn import quantized
from torchq.quantization import MinMaxObserver, QConfigMapping, default_qconfig, get_default_qconfig_mapping
from torchq.quantization.fx import custom_config
from torchq.quantization.fx.custom_config import PrepareCustomConfig
from torchq.quantization.quantize_fx import convert_fx, convert_to_reference_fx, prepare_fx

X = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        return self.conv(x)


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.inner, self.last = nn.Conv2d(3, 4, 1), Inner(), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        return self.last(self.inner(self.first(x)))


def fresh(kind=Outer):
    torch.manual_seed(0)
    return kind().eval()


def calls(model):
    """The calls of a converted graph: names of modules and of functions."""
    return [str(n.target) if n.op == "call_module" else n.name for n in model.graph.nodes if n.op.startswith("call_")]


def calibrated(model, config, mapping=None):
    observed = prepare_fx(model, mapping or get_default_qconfig_mapping("fbgemm"), (X,), config)
    observed(X)
    return observed


def standalone(inputs, outputs, mapping=None, module=custom_config):
    inner = module.PrepareCustomConfig().set_input_quantized_indexes(inputs).set_output_quantized_indexes(outputs)
    return module.PrepareCustomConfig().set_standalone_module_name("inner", mapping, (X,), inner, None)


@pytest.mark.parametrize(
    ("inputs", "outputs", "outside", "inside"),
    [
        ([0], [0], ["first", "inner", "last"], ["conv"]),
        ([], [0], ["first", "dequantize", "inner", "last"], ["quantize_per_tensor", "conv"]),
        ([0], [], ["first", "inner", "quantize_per_tensor_1", "last"], ["conv", "dequantize"]),
        (
            [],
            [],
            ["first", "dequantize", "inner", "quantize_per_tensor_1", "last"],
            ["quantize_per_tensor", "conv", "dequantize"],
        ),
    ],
    ids=["quantized", "float-in", "float-out", "float"],
)
def test_standalone_module_takes_and_gives_what_it_is_told_to(inputs, outputs, outside, inside):
    converted = convert_fx(calibrated(fresh(), standalone(inputs, outputs)))
    assert calls(converted)[1:-1] == outside
    assert calls(converted.inner) == inside
    # Its part in the model is the same in any case.
    with torchq.no_float_fallback():
        assert torch.equal(converted(X), convert_fx(calibrated(fresh(), None))(X))


@pytest.mark.parametrize("quantized", [[0], []], ids=["quantized", "float"])
def test_standalone_module_is_torch_aos(torch_ao, quantized):
    theirs = importlib.import_module("torch.ao.quantization.fx.custom_config")
    quantize_fx = importlib.import_module("torch.ao.quantization.quantize_fx")
    observed = calibrated(fresh(), standalone(quantized, quantized))
    expected = quantize_fx.prepare_fx(
        fresh(), torch_ao.get_default_qconfig_mapping("fbgemm"), (X,), standalone(quantized, quantized, None, theirs)
    )
    assert observed.inner.code == expected.inner.code
    # torch.ao takes a float result of it for a quantized one, and leaves the layer behind it in float.
    assert (observed.code == expected.code) is bool(quantized)


def test_standalone_module_has_a_mapping_of_its_own():
    converted = convert_fx(calibrated(fresh(), standalone([], [], QConfigMapping())))
    assert type(converted.inner.conv) is nn.Conv2d
    assert type(converted.last) is quantized.Conv2d


def test_standalone_modules_by_class_and_twice():
    class Twice(Outer):
        def forward(self, x):
            return self.last(self.inner(self.inner(self.first(x))))

    config = PrepareCustomConfig().set_standalone_module_class(Inner, None, (X,), None, None)
    converted = convert_fx(calibrated(fresh(Twice), config))
    assert calls(converted).count("inner") == 2
    assert calls(converted.inner) == ["quantize_per_tensor", "conv", "dequantize"]


def test_standalone_module_of_a_reference_model_is_one_too():
    converted = convert_to_reference_fx(calibrated(fresh(), standalone([0], [0])))
    assert type(converted.inner.conv) is quantized.reference.Conv2d
    assert calls(converted.inner) == ["dequantize", "conv", "quantize_per_tensor"]


class Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool, self.conv = nn.MaxPool2d(2), nn.Conv2d(3, 4, 1)

    def forward(self, x, y):
        return self.conv(self.pool(x)), {"a": [self.conv(x)], "b": self.conv(y)}


class TestQuantizedInputsAndOutputs:
    def converted(self, inputs, outputs):
        config = PrepareCustomConfig().set_input_quantized_indexes(inputs).set_output_quantized_indexes(outputs)
        observed = prepare_fx(fresh(Pooled), get_default_qconfig_mapping(), (X, X), config)
        observed(X, X)
        return observed, convert_fx(observed)

    def test_nothing_observes_a_quantized_input(self):
        observed, converted = self.converted([0], [])
        taken = {node.name: node.args[0].name for node in observed.graph.nodes if node.op == "call_module"}
        assert (taken["pool"], taken["conv_1"]) == ("x", "x")
        assert [node.args[0].name for node in converted.graph.nodes if "quantize_per" in node.name] == ["y"]

    def test_quantized_input_is_taken_as_it_is(self):
        _, converted = self.converted([0, 1], [])
        x = torchq.quantize_per_tensor(X, 0.03, 120, torchq.quint8)
        with torchq.no_float_fallback():
            first, rest = converted(x, x)
        assert type(first) is torch.Tensor
        assert torch.equal(rest["a"][0], converted.conv_1(x).dequantize())

    def test_quantized_results_are_quantized_tensors(self):
        _, converted = self.converted([], [1])
        first, rest = converted(X, X)
        assert type(first) is torch.Tensor
        assert isinstance(rest["a"][0], torchq.QTensor)
        assert isinstance(rest["b"], torchq.QTensor)
        _, plain = self.converted([], [])
        assert torch.equal(plain(X, X)[1]["b"], rest["b"].dequantize())

    def test_result_that_is_float_cannot_be_quantized(self):
        class Exp(nn.Module):
            def forward(self, x):
                return torch.exp(torch.relu(x))

        config = PrepareCustomConfig().set_output_quantized_indexes([0])
        observed = prepare_fx(Exp().eval(), get_default_qconfig_mapping(), (X,), config)
        observed(X)
        with pytest.raises(ValueError, match="output 0 was to be quantized, but 'exp' is computed in float"):
            convert_fx(observed)


def test_module_called_twice_becomes_two_with_qparams_of_their_own():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x):
            return self.linear(self.linear(x) * 3.0)

    torch.manual_seed(0)
    model = Twice().eval()
    observed = prepare_fx(model, QConfigMapping().set_global(default_qconfig), (torch.ones(1, 4),))
    observed(torch.randn(8, 4))
    converted = convert_fx(observed)
    assert type(converted.linear) is type(converted.linear_1) is quantized.Linear
    assert converted.linear.scale != converted.linear_1.scale
    assert torch.equal(converted.linear.weight().int_repr(), converted.linear_1.weight().int_repr())


def test_second_call_may_stay_in_float():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x):
            return self.linear(self.linear(x))

    model = Twice().eval()
    for order, kinds in ((1, (quantized.Linear, nn.Linear)), (0, (nn.Linear, quantized.Linear))):
        mapping = QConfigMapping().set_global(default_qconfig)
        mapping.set_module_name_object_type_order("", nn.Linear, order, None)
        observed = prepare_fx(copy.deepcopy(model), mapping, (torch.ones(1, 4),))
        observed(torch.randn(8, 4))
        converted = convert_fx(observed)
        assert (type(converted.linear), type(converted.linear_1)) == kinds
        assert converted(torch.randn(2, 4)).shape == (2, 4)


def test_long_chain_that_keeps_a_quantized_input_is_followed():
    class Chain(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x):
            for _ in range(600):
                x = x.flatten(2).unflatten(2, (4, 4))
            return self.conv(x)

    config = PrepareCustomConfig().set_input_quantized_indexes([0])
    observed = prepare_fx(fresh(Chain), get_default_qconfig_mapping(), (X,), config)
    assert next(node.args[0].name for node in observed.graph.nodes if node.name == "conv") == "unflatten_599"


def test_observer_without_data_is_named():
    observed = prepare_fx(fresh(), QConfigMapping().set_global(default_qconfig), (X,))
    assert isinstance(observed.activation_post_process_0, MinMaxObserver)
    with pytest.raises(RuntimeError, match="cannot convert 'first': MinMaxObserver of 'first' never saw data"):
        convert_fx(observed)


def test_model_that_was_not_prepared_is_refused():
    with pytest.raises(ValueError, match="expected a model that prepare_fx or prepare_qat_fx returned, got Outer"):
        convert_fx(fresh())


def test_arguments_that_only_torch_ao_has_are_refused():
    with pytest.raises(ValueError, match="_equalization_config must be None"):
        prepare_fx(fresh(), QConfigMapping(), (X,), _equalization_config=QConfigMapping())
    with pytest.raises(ValueError, match="keep_original_weights must be False"):
        convert_fx(calibrated(fresh(), None), keep_original_weights=True)
    with pytest.raises(TypeError, match="qconfig_mapping must be a torchq QConfigMapping"):
        prepare_fx(fresh(), None, (X,))
