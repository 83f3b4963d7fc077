"""Functions of quantized tensors with a scale and zero point for their result."""

import inspect

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import torchq
from torchq.nn import quantized
from torchq.nn.quantized import operations

X = torchq.quantize_per_tensor(
    torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(0)), 0.02, 120, torchq.quint8
)
OUT = {"scale": 0.03, "zero_point": 110}
WEIGHT, BIAS = torch.randn(5, generator=torch.Generator().manual_seed(1)), torch.linspace(-1, 1, 5)

# Function -> (further arguments, the module that computes the same).
AS_MODULES = {
    "layer_norm": (((5,), WEIGHT, BIAS, 1e-3), lambda: quantized.LayerNorm(5, WEIGHT, BIAS, *OUT.values(), 1e-3)),
    "group_norm": ((2, None, None), lambda: quantized.GroupNorm(2, 4, None, None, *OUT.values())),
    "instance_norm": ((), lambda: quantized.InstanceNorm1d(4, None, None, *OUT.values())),
    "softmax": ((1,), lambda: quantized.Softmax(1, *OUT.values())),
    "elu": ((0.5,), lambda: quantized.ELU(*OUT.values(), 0.5)),
    "hardswish": ((), lambda: quantized.Hardswish(*OUT.values())),
    "leaky_relu": ((0.2,), lambda: quantized.LeakyReLU(*OUT.values(), 0.2)),
    "sigmoid": ((), lambda: quantized.Sigmoid(*OUT.values())),
}
# Function -> the float function that is looked up.
LOOKED_UP = {
    "gelu": (F.gelu, {}),
    "gelu-tanh": (F.gelu, {"approximate": "tanh"}),
    "silu": (F.silu, {}),
    "tanh": (torch.tanh, {}),
    "hardsigmoid": (F.hardsigmoid, {}),
}


@pytest.mark.parametrize("name", AS_MODULES)
def test_gives_the_integers_of_the_module(name):
    arguments, module = AS_MODULES[name]
    result = getattr(operations, name)(X, *arguments, **OUT)
    expected = module()(X)
    assert torch.equal(result.int_repr(), expected.int_repr())
    assert (result.q_scale(), result.q_zero_point()) == tuple(OUT.values())


@pytest.mark.parametrize("name", LOOKED_UP)
def test_gives_the_float_function_quantized(name):
    function, options = LOOKED_UP[name]
    result = getattr(operations, name.split("-")[0])(X, **options, **OUT)
    # In float64, rounded once, as the tables are.
    values = function(X.dequantize().double(), **options).float()
    assert torch.equal(result.int_repr(), torchq.quantize_per_tensor(values, *OUT.values(), torchq.quint8).int_repr())


@pytest.mark.parametrize("name", ["add", "add_relu", "mul", "matmul", "add_scalar", "mul_scalar"])
def test_gives_the_integers_of_qfunctional(name):
    other = X.transpose(1, 2) if name == "matmul" else -1.7 if "scalar" in name else X[:1]
    functional = quantized.QFunctional()
    functional.set_output_qparams(*OUT.values())
    result = getattr(operations, name)(X, other, **({} if "scalar" in name else OUT))
    assert torch.equal(result, getattr(functional, name)(X, other))


def test_product_with_a_relu_is_at_least_the_zero_point():
    result = operations.mul_relu(X, X[:, :1], **OUT)
    plain = operations.mul(X, X[:, :1], **OUT)
    assert plain.int_repr().min() < 110
    assert torch.equal(result.int_repr(), plain.int_repr().clamp(min=110))


@pytest.mark.parametrize("name", operations.__all__)
def test_refuses_a_float_tensor_by_its_name(name):
    parameters = [p for p in inspect.signature(getattr(operations, name)).parameters.values() if p.default is p.empty]
    arguments = {p.name: OUT.get(p.name, 1) for p in parameters[1:]}
    with pytest.raises(TypeError, match=f"{name} takes a quantized tensor, got a float tensor"):
        getattr(operations, name)(torch.ones(2, 3), **arguments)


@pytest.mark.parametrize("name", ["layer_norm", "group_norm", "elu", "leaky_relu", "gelu", "silu"])
def test_takes_the_arguments_of_the_float_function(name):
    own = list(inspect.signature(getattr(operations, name)).parameters)
    try:
        theirs = list(inspect.signature(getattr(F, name)).parameters)
    except ValueError:  # built in
        theirs = ["input", "approximate"]
    assert own == [*(parameter for parameter in theirs if parameter != "inplace"), "scale", "zero_point"]


def test_refuses_what_has_no_integers():
    with pytest.raises(ValueError, match="approximate must be 'none' or 'tanh', got 'sine'"):
        operations.gelu(X, "sine", **OUT)
    with pytest.raises(ValueError, match="use_input_stats=False"):
        operations.instance_norm(X, use_input_stats=False, **OUT)
    with pytest.raises(ValueError, match=r"got dtype torch.float64"):
        operations.softmax(X, 1, dtype=torch.float64, **OUT)
    with pytest.raises(ValueError, match=r"layer_norm takes an input of shape \[..., 4\], got \(2, 4, 5\)"):
        operations.layer_norm(X, (4,), **OUT)


def test_keeps_the_dtype():
    signed = torchq.quantize_per_tensor(X.dequantize(), 0.02, 0, torchq.qint8)
    assert operations.silu(signed, scale=0.02, zero_point=-4).qdtype is torchq.qint8
    assert isinstance(nn.Identity()(operations.add(signed, signed, scale=0.1, zero_point=0)), torchq.QTensor)
