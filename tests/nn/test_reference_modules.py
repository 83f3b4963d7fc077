"""Reference modules: float modules that compute with their weight rounded to integers."""

import importlib

import pytest
import torch
from torch import nn

import torchq
from torchq.nn.quantized import reference
from torchq.quantization import (
    default_float_qparams_observer,
    default_float_qparams_observer_4bit,
    default_per_channel_weight_observer,
    default_weight_observer,
    weight_observer_range_neg_127_to_127,
)
from torchq.quantization.utils import get_qparam_dict

# Name -> (the float module, an input).
MODULES = {
    "Linear": (lambda: nn.Linear(6, 4), torch.randn(3, 6)),
    "Conv1d": (lambda: nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2), torch.randn(2, 4, 7)),
    "Conv2d": (lambda: nn.Conv2d(2, 4, (3, 2), padding=1), torch.randn(2, 2, 5, 6)),
    "Conv3d": (lambda: nn.Conv3d(2, 3, 2, bias=False, dilation=2), torch.randn(1, 2, 4, 4, 4)),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(4, 2, 3, stride=2, output_padding=1), torch.randn(2, 4, 5)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 6, 3, padding=1, groups=2), torch.randn(2, 4, 5, 5)),
    "ConvTranspose3d": (lambda: nn.ConvTranspose3d(2, 3, 2, bias=False), torch.randn(1, 2, 3, 3, 3)),
    "Embedding": (lambda: nn.Embedding(9, 4, padding_idx=1), torch.randint(0, 9, (3, 5))),
    "EmbeddingBag": (lambda: nn.EmbeddingBag(9, 4, mode="mean"), torch.randint(0, 9, (3, 5))),
}
OBSERVERS = {
    "per tensor": default_weight_observer,
    "per channel": default_per_channel_weight_observer,
    "without -128": weight_observer_range_neg_127_to_127,
    "float zero points": default_float_qparams_observer,
    "four bits": default_float_qparams_observer_4bit,
}


def made(name, observer):
    torch.manual_seed(0)
    module = MODULES[name][0]()
    observed = OBSERVERS[observer]()
    observed(module.weight.detach())
    qparams = get_qparam_dict(observed)
    return module, qparams, getattr(reference, name).from_float(module, qparams)


@pytest.mark.parametrize("observer", OBSERVERS)
@pytest.mark.parametrize("name", MODULES)
def test_computes_with_the_weight_quantized_and_dequantized(name, observer):
    module, qparams, converted = made(name, observer)
    scale, zero_point = qparams["scale"], qparams["zero_point"]
    if "axis" in qparams:
        rounded = torchq.quantize_per_channel(module.weight, scale, zero_point, qparams["axis"], qparams["dtype"])
    else:
        rounded = torchq.quantize_per_tensor(module.weight, scale, zero_point, qparams["dtype"])
    expected = rounded.dequantize()
    assert torch.equal(converted.get_quantized_weight().dequantize(), expected)
    assert torch.equal(converted.weight, module.weight)
    module.weight = nn.Parameter(expected)
    assert torch.equal(converted(MODULES[name][1]), module(MODULES[name][1]))


def test_integers_stay_in_the_observers_range():
    module, qparams, _ = made("Linear", "without -128")
    module.weight.data[0, 0] = -1e6
    weight = reference.Linear.from_float(module, qparams).get_quantized_weight()
    assert weight.int_repr()[0, 0] == -127


@pytest.mark.parametrize("name", MODULES)
def test_state_is_that_of_the_float_module_and_the_qparams(name):
    module, _, converted = made(name, "per channel")
    state = converted.state_dict()
    assert state.keys() == module.state_dict().keys() | {"weight_scale", "weight_zero_point", "weight_axis"}
    _, _, other = made(name, "per channel")
    other.weight_scale.mul_(2)
    other.load_state_dict(state)
    assert torch.equal(other.get_weight(), converted.get_weight())


@pytest.mark.parametrize("name", MODULES)
def test_mode_and_name(name):
    _, _, converted = made(name, "per tensor")
    assert repr(converted).startswith(f"Quantized{name}(Reference)(")
    assert converted.training
    assert not getattr(reference, name).from_float(MODULES[name][0]().eval(), None).training


def test_scale_is_one_without_qparams():
    layer = reference.Linear(2, 2, bias_=False)
    layer.weight.data.copy_(torch.tensor([[0.4, 1.6], [-3.0, 300.0]]))
    assert torch.equal(layer.get_weight(), torch.tensor([[0.0, 2.0], [0.0, 255.0]]))


def test_padding_mode_counts():
    torch.manual_seed(0)
    module, x = nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect"), torch.randn(1, 2, 5, 5)
    converted = reference.Conv2d.from_float(module, None)
    module.weight.data.copy_(converted.get_weight())
    assert torch.equal(converted(x), module(x))


def test_size_of_the_output_may_be_given():
    module = MODULES["ConvTranspose1d"][0]()
    converted = reference.ConvTranspose1d.from_float(module, None)
    assert (
        converted(torch.randn(1, 4, 5), output_size=[11]).shape == module(torch.randn(1, 4, 5), output_size=[11]).shape
    )


def test_parametrized_weight_is_the_one_that_counts():
    module = torch.nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    assert torch.equal(reference.Linear.from_float(module, None).weight, module.weight)


@pytest.mark.parametrize("observer", ["per tensor", "per channel", "float zero points"])
@pytest.mark.parametrize("name", [name for name in MODULES if "Transpose" not in name])
def test_computes_what_torch_aos_computes(name, observer):
    pytest.importorskip("torch.ao.nn.quantized", reason="torch.ao is what torchq is compared with")
    theirs = importlib.import_module("torch.ao.nn.quantized.reference")
    module, qparams, converted = made(name, observer)
    qparams = {
        key: getattr(torch, value.value, value) if hasattr(value, "value") else value for key, value in qparams.items()
    }
    expected = getattr(theirs, name).from_float(module, qparams)
    assert torch.equal(converted(MODULES[name][1]), expected(MODULES[name][1]))
