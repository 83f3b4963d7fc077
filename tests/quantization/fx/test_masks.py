"""Masks, indexes and numbers beside float tensors."""

import copy
import importlib

import pytest
import torch
from torch import nn

import torchq
from torchq.quantization import get_default_qconfig_mapping
from torchq.quantization.quantize_fx import convert_fx, prepare_fx

X = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


class Masked(nn.Module):
    """Calls a function with what a layer gives, and the input."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.function, self.linear = function, nn.Linear(4, 4)

    def forward(self, x):
        return self.function(self.linear(x), x)


def observed(function):
    model = prepare_fx(Masked(function).eval(), get_default_qconfig_mapping("fbgemm"), (X,))
    model(X)
    return model


def calls(model):
    return [node.name for node in model.graph.nodes if node.op.startswith("call_")]


AS_FLOAT = {
    "float": lambda y, x: y * (x > 0).float(),
    "to-dtype": lambda y, x: y + (x > 0).to(torch.float32),
    "to-named-dtype": lambda y, x: y + (x > 0).to(dtype=torch.float32),
    "to-dtype-of-another": lambda y, x: y * (x > 0).to(x.dtype),
    "inverted": lambda y, x: y * (~(x > 0)).float(),
    "moved": lambda y, x: y * (x > 0).float().mean(1).unsqueeze(1),
}


@pytest.mark.parametrize("name", AS_FLOAT)
def test_mask_that_is_made_float_is_a_tensor_as_in_torch_ao(torch_ao, name):
    quantize_fx = importlib.import_module("torch.ao.quantization.quantize_fx")
    given = observed(AS_FLOAT[name])
    mapping = torch_ao.get_default_qconfig_mapping("fbgemm")
    expected = quantize_fx.prepare_fx(Masked(AS_FLOAT[name]).eval(), mapping, (X,))
    expected(X)
    assert calls(given) == calls(expected)
    step = given.get_submodule(calls(given)[-1]).calculate_qparams()[0].item()
    with torchq.no_float_fallback():
        result = convert_fx(given)(X)
    # torch.ao's kernels round a product or sum otherwise where it is close to a tie, and float adds its own rounding.
    assert (result - quantize_fx.convert_fx(copy.deepcopy(expected))(X)).abs().max() < 1.01 * step


BOOLEAN = {
    "compared": lambda y, x: y * (x > 0),
    "both": lambda y, x: torch.mul((x > 0) & (x < 1), y),
    "to-bool": lambda y, x: y * (x > 0).long().to(torch.bool),
    "to-device": lambda y, x: y * (x > 0).to(x.device),
}


@pytest.mark.parametrize("name", BOOLEAN)
def test_product_with_a_boolean_mask_is_computed_in_float(name):
    model = observed(BOOLEAN[name])
    assert calls(model)[-1] == "mul"
    with torchq.no_float_fallback():
        result = convert_fx(model)(X)
    linear = convert_fx(observed(lambda y, x: y))
    assert torch.equal(result, BOOLEAN[name](linear(X), X))


def test_product_with_a_size_is_one_with_a_number():
    converted = convert_fx(observed(lambda y, x: y * (x.size(1) + 1)))
    assert calls(converted) == ["quantize_per_tensor", "linear", "size", "add", "mul_scalar", "dequantize"]
    assert torch.equal(converted(X), convert_fx(observed(lambda y, x: y * 5))(X))
