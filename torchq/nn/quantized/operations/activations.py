"""Functions of single values with a scale and zero point of their own."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from torchq import ops
from torchq.nn.quantized.inputs import checked_integers
from torchq.qtensor import QTensor
from torchq.qtensor_tables import gelu_tanh, looked_up


def elu(input: QTensor, alpha: float = 1.0, *, scale: float, zero_point: int) -> QTensor:
    """Returns x above 0 and ``alpha * (exp(x) - 1)`` below."""
    checked_integers("elu", input)
    return looked_up(F.elu, input, scale, zero_point, alpha)


def hardswish(input: QTensor, *, scale: float, zero_point: int) -> QTensor:
    """Returns ``x * relu6(x + 3) / 6``."""
    checked_integers("hardswish", input)
    return looked_up(F.hardswish, input, scale, zero_point)


def leaky_relu(input: QTensor, negative_slope: float = 0.01, *, scale: float, zero_point: int) -> QTensor:
    """Returns x above 0 and ``negative_slope * x`` below."""
    checked_integers("leaky_relu", input)
    return looked_up(F.leaky_relu, input, scale, zero_point, negative_slope)


def prelu(input: QTensor, weight: Tensor, *, scale: float, zero_point: int) -> QTensor:
    """Returns x above 0 and ``weight * x`` below.

    Args:
        input: of 8 bits, with one scale, ``[N, C, *]``.
        weight: the slopes, float or quantized: ``[1]`` or ``[C]``.
        scale: of the result.
        zero_point: of the result.
    """
    data = checked_integers("prelu", input)
    slopes = (weight.dequantize() if isinstance(weight, QTensor) else weight.detach().float()).reshape(-1).contiguous()
    return QTensor(ops.prelu(data, input._scale, input._zero_point, slopes, scale, zero_point), scale, zero_point)


def sigmoid(input: QTensor, *, scale: float, zero_point: int) -> QTensor:
    """Returns ``1 / (1 + exp(-x))``; a scale of 1/256 uses all 8 bits."""
    checked_integers("sigmoid", input)
    return looked_up(torch.sigmoid, input, scale, zero_point)


def hardsigmoid(input: QTensor, *, scale: float, zero_point: int) -> QTensor:
    """Returns ``relu6(x + 3) / 6``; a scale of 1/256 uses all 8 bits."""
    checked_integers("hardsigmoid", input)
    return looked_up(F.hardsigmoid, input, scale, zero_point)


def tanh(input: QTensor, *, scale: float, zero_point: int) -> QTensor:
    """Returns the hyperbolic tangent; a scale of 2/256 uses all 8 bits."""
    checked_integers("tanh", input)
    return looked_up(torch.tanh, input, scale, zero_point)


def gelu(input: QTensor, approximate: str = "none", *, scale: float, zero_point: int) -> QTensor:
    """Returns x times the normal distribution function of x.

    Args:
        input: of 8 bits, with one scale.
        approximate: ``"none"``, or ``"tanh"`` for torch's approximation.
        scale: of the result.
        zero_point: of the result.

    Raises:
        ValueError: for another ``approximate``.
    """
    checked_integers("gelu", input)
    if approximate not in _GELUS:
        raise ValueError(f"approximate must be 'none' or 'tanh', got {approximate!r}")
    return looked_up(_GELUS[approximate], input, scale, zero_point)


def silu(input: QTensor, *, scale: float, zero_point: int) -> QTensor:
    """Returns ``x / (1 + exp(-x))``."""
    checked_integers("silu", input)
    return looked_up(F.silu, input, scale, zero_point)


_GELUS: dict[Any, Callable[[Tensor], Tensor]] = {"none": F.gelu, "tanh": gelu_tanh}
