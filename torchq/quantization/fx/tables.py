"""What stands for a float call in the quantized model: the tables, and the modules that are made by them."""

import inspect
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.fx import Node
from torch.nn import functional as F

from torchq.nn import qat, quantized
from torchq.nn.intrinsic import quantized as intrinsic_quantized
from torchq.nn.quantized import operations
from torchq.nn.quantized.conversion import quantize_weight
from torchq.qtensor import FUNCTIONS, QTensor
from torchq.quantization.fake_quantize_base import FakeQuantizeBase
from torchq.quantization.quantization_mappings import ModuleMapping


@dataclass(frozen=True)
class Function:
    """A function of quantized tensors that takes the scale and zero point of its result.

    Attributes:
        function: called with the float call's arguments, the activations among them quantized.
        relu: the same, with a relu behind it.
        scalar: what is called instead where the second argument is a number; takes no scale and zero point.
    """

    function: Callable[..., QTensor]
    relu: Callable[..., QTensor] | None = None
    scalar: Callable[..., QTensor] | None = None


_ADD = Function(operations.add, operations.add_relu, operations.add_scalar)
_MUL = Function(operations.mul, operations.mul_relu, operations.mul_scalar)
_MATMUL = Function(operations.matmul)
_SOFTMAX = Function(operations.softmax)
_SIGMOID = Function(operations.sigmoid)
_HARDSIGMOID = Function(operations.hardsigmoid)
_TANH = Function(operations.tanh)

# Float function, or name of a tensor's method -> what stands for it.
QUANTIZED_FUNCTIONS: dict[Any, Function] = {
    **dict.fromkeys((operator.add, torch.add, "add", "add_"), _ADD),
    **dict.fromkeys((operator.mul, torch.mul, "mul", "mul_"), _MUL),
    **dict.fromkeys((operator.matmul, torch.matmul, "matmul", torch.bmm, "bmm"), _MATMUL),
    **dict.fromkeys((F.softmax, torch.softmax, "softmax"), _SOFTMAX),
    **dict.fromkeys((torch.sigmoid, "sigmoid", "sigmoid_"), _SIGMOID),
    **dict.fromkeys((F.hardsigmoid, "hardsigmoid", "hardsigmoid_"), _HARDSIGMOID),
    **dict.fromkeys((torch.tanh, "tanh", "tanh_"), _TANH),
    F.elu: Function(operations.elu),
    F.gelu: Function(operations.gelu),
    F.group_norm: Function(operations.group_norm),
    F.hardswish: Function(operations.hardswish),
    F.instance_norm: Function(operations.instance_norm),
    F.layer_norm: Function(operations.layer_norm),
    F.leaky_relu: Function(operations.leaky_relu),
    F.silu: Function(operations.silu),
}

# Module that calls such a function -> the function, and the attributes that are its arguments.
FUNCTION_MODULES: dict[type[nn.Module], tuple[Callable[..., QTensor], tuple[str, ...]]] = {
    nn.GELU: (operations.gelu, ("approximate",)),
    nn.Hardsigmoid: (operations.hardsigmoid, ()),
    nn.SiLU: (operations.silu, ()),
    nn.Tanh: (operations.tanh, ()),
}

# Modules that eager mode leaves as they are, or has no default for.
MORE_STATIC_MODULES: ModuleMapping = {
    nn.Sigmoid: quantized.Sigmoid,
    nn.Softmax: quantized.Softmax,
    qat.Embedding: quantized.Embedding,
    qat.EmbeddingBag: quantized.EmbeddingBag,
}

# What returns its input in a quantized model, which is for inference.
IDENTITIES = (F.dropout,)


@dataclass(frozen=True)
class WeightedFunction:
    """A function with a weight, for which a quantized module stands.

    Attributes:
        parameters: the function's parameters, in order.
        module: the module.
        relu: the module with a relu behind it, if there is one.
        dynamic: the module that quantizes its input while it runs.
        sizes: the first arguments of these modules, by the weight's shape and the groups.
    """

    parameters: tuple[str, ...]
    module: type[nn.Module]
    relu: type[nn.Module] | None
    dynamic: type[nn.Module] | None
    sizes: Callable[[torch.Size, int], tuple[Any, ...]]

    def make(
        self, weight: torch.Tensor, observer: nn.Module, arguments: dict[str, Any], static: bool, with_relu: bool
    ) -> nn.Module:
        """Returns the module.

        Args:
            weight: the float weight.
            observer: chooses its qparams.
            arguments: the function's further arguments.
            static: whether it takes quantized tensors.
            with_relu: whether there is a relu behind it, if static.
        """
        kind = (self.relu if with_relu else self.module) if static else self.dynamic
        bias = arguments.pop("bias", None)
        sizes = self.sizes(weight.shape, arguments.get("groups", 1))
        named = {"bias" if "bias" in inspect.signature(kind).parameters else "bias_": bias is not None}
        module = kind(*sizes, **arguments, **named)
        module.set_weight_bias(quantize_weight(weight, _settled(observer)), bias)
        return module


def _settled(observer: nn.Module) -> nn.Module:
    """An observer that goes on to choose what it chose in the last forward pass of training."""
    if isinstance(observer, FakeQuantizeBase) and getattr(observer.activation_post_process, "has_data", True):
        observer.disable_observer()
    return observer


def _linear_sizes(shape: torch.Size, groups: int) -> tuple[Any, ...]:
    return shape[1], shape[0]


def _conv_sizes(shape: torch.Size, groups: int) -> tuple[Any, ...]:
    return shape[1] * groups, shape[0], tuple(shape[2:])


def _transposed_sizes(shape: torch.Size, groups: int) -> tuple[Any, ...]:
    return shape[0], shape[1] * groups, tuple(shape[2:])


def _convolution(dimensions: int) -> WeightedFunction:
    parameters = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
    module, relu = getattr(quantized, f"Conv{dimensions}d"), getattr(intrinsic_quantized, f"ConvReLU{dimensions}d")
    return WeightedFunction(parameters, module, relu, None, _conv_sizes)


def _transposed_convolution(dimensions: int) -> WeightedFunction:
    parameters = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
    return WeightedFunction(
        parameters, getattr(quantized, f"ConvTranspose{dimensions}d"), None, None, _transposed_sizes
    )


WEIGHTED_FUNCTIONS: dict[Any, WeightedFunction] = {
    F.linear: WeightedFunction(
        ("input", "weight", "bias"),
        quantized.Linear,
        intrinsic_quantized.LinearReLU,
        quantized.dynamic.Linear,
        _linear_sizes,
    ),
    F.conv1d: _convolution(1),
    F.conv2d: _convolution(2),
    F.conv3d: _convolution(3),
    F.conv_transpose1d: _transposed_convolution(1),
    F.conv_transpose2d: _transposed_convolution(2),
    F.conv_transpose3d: _transposed_convolution(3),
}

# What the forward of a module without a weight calls.
_CALLED: dict[type[nn.Module], Callable[..., Any] | None] = {
    nn.Identity: None,
    nn.ReLU: F.relu,
    nn.ReLU6: F.relu6,
    nn.Hardtanh: F.hardtanh,
    nn.MaxPool1d: F.max_pool1d,
    nn.MaxPool2d: F.max_pool2d,
    nn.MaxPool3d: F.max_pool3d,
    nn.AvgPool1d: F.avg_pool1d,
    nn.AvgPool2d: F.avg_pool2d,
    nn.AvgPool3d: F.avg_pool3d,
    nn.AdaptiveAvgPool1d: F.adaptive_avg_pool1d,
    nn.AdaptiveAvgPool2d: F.adaptive_avg_pool2d,
    nn.AdaptiveAvgPool3d: F.adaptive_avg_pool3d,
    nn.ChannelShuffle: F.channel_shuffle,
    nn.Flatten: torch.Tensor.flatten,
    nn.Unflatten: torch.Tensor.unflatten,
    nn.PixelShuffle: F.pixel_shuffle,
    nn.PixelUnshuffle: F.pixel_unshuffle,
    nn.Upsample: F.interpolate,
    nn.UpsamplingNearest2d: F.interpolate,
    nn.UpsamplingBilinear2d: F.interpolate,
}


def runs_on_integers(node: Node, module: nn.Module | None) -> bool:
    """Whether a call, as it is, computes with the integers of a quantized tensor.

    Args:
        node: the call.
        module: what it calls, if that is a module.
    """
    if module is not None:
        function = _CALLED.get(type(module), NotImplemented)
        if function is None:
            return True
    elif node.op == "call_method":
        function = getattr(torch.Tensor, node.target, None)
    else:
        function = _METHODS.get(node.target, node.target)
    if function is F.interpolate:
        called = node.args[3] if len(node.args) > 3 else node.kwargs.get("mode", "nearest")
        mode = called if module is None else module.mode
        return mode in ("nearest", "nearest-exact", "bilinear")
    return function in FUNCTIONS


# Functions that call a tensor's method.
_METHODS = {operator.getitem: torch.Tensor.__getitem__}
