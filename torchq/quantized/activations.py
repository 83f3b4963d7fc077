"""Functions of single values, softmax and pools."""

from typing import Any

import torch

from torchq.nn.quantized import functional, operations
from torchq.nn.quantized.inputs import checked_integers
from torchq.qtensor import QTensor
from torchq.qtensor_creation import numbers
from torchq.qtensor_tables import looked_up


def celu(self: QTensor, output_scale: float, output_zero_point: int, alpha: float = 1) -> QTensor:
    """Returns x above 0 and ``alpha * (exp(x / alpha) - 1)`` below.

    Args:
        self: of 8 bits, with one scale, as of all functions here.
        output_scale: of the result.
        output_zero_point: of the result.
        alpha: not 0.
    """
    return functional.celu(self, *numbers(output_scale, output_zero_point), float(alpha))


def elu(
    self: QTensor,
    output_scale: float,
    output_zero_point: int,
    alpha: float = 1,
    scale: float = 1,
    input_scale: float = 1,
) -> QTensor:
    """Returns ``scale * x`` above 0 and ``scale * alpha * (exp(input_scale * x) - 1)`` below.

    Args:
        self: see ``celu``.
        output_scale: of the result.
        output_zero_point: of the result.
        alpha: of the formula, as the others.
        scale: 1.0507 with an alpha of 1.6733 for selu.
        input_scale: 1 / alpha for celu.
    """
    checked_integers("elu", self)
    factors = (float(alpha), float(scale), float(input_scale))
    return looked_up(torch.ops.aten.elu.default, self, *numbers(output_scale, output_zero_point), *factors)


def hardswish(input: QTensor, output_scale: float, output_zero_point: int) -> QTensor:
    """Returns ``x * relu6(x + 3) / 6``.

    Args:
        input: see ``celu``.
        output_scale: of the result.
        output_zero_point: of the result.
    """
    return functional.hardswish(input, *numbers(output_scale, output_zero_point))


def leaky_relu(
    qx: QTensor, negative_slope: float, inplace: bool, output_scale: float, output_zero_point: int
) -> QTensor:
    """Returns x above 0 and ``negative_slope * x`` below.

    Args:
        qx: see ``celu``.
        negative_slope: the slope.
        inplace: must be False.
        output_scale: of the result.
        output_zero_point: of the result.
    """
    if inplace:
        raise ValueError("leaky_relu gives its result another scale, and takes inplace=False, got inplace=True")
    scale, zero_point = numbers(output_scale, output_zero_point)
    return operations.leaky_relu(qx, float(negative_slope), scale=scale, zero_point=zero_point)


def prelu(qx: QTensor, weight: QTensor, output_scale: float, output_zero_point: int) -> QTensor:
    """Returns x above 0 and ``weight * x`` below.

    Args:
        qx: see ``celu``; ``[N, C, *]``.
        weight: the slopes, float or quantized: ``[1]`` or ``[C]``.
        output_scale: of the result.
        output_zero_point: of the result.
    """
    scale, zero_point = numbers(output_scale, output_zero_point)
    return operations.prelu(qx, weight, scale=scale, zero_point=zero_point)


def sigmoid(qx: QTensor, output_scale: float, output_zero_point: int) -> QTensor:
    """Returns ``1 / (1 + exp(-x))``.

    Args:
        qx: see ``celu``.
        output_scale: of the result; 1/256 uses all 8 bits.
        output_zero_point: of the result.
    """
    scale, zero_point = numbers(output_scale, output_zero_point)
    return operations.sigmoid(qx, scale=scale, zero_point=zero_point)


def softmax(qx: QTensor, dim: int, output_scale: float, output_zero_point: int) -> QTensor:
    """Returns the softmax along a dimension.

    Args:
        qx: see ``celu``.
        dim: the dimension.
        output_scale: of the result; 1/256 uses all 8 bits.
        output_zero_point: of the result.
    """
    scale, zero_point = numbers(output_scale, output_zero_point)
    return operations.softmax(qx, dim, scale=scale, zero_point=zero_point)


def relu6(qx: QTensor, inplace: bool = False) -> QTensor:
    """Returns x, at least 0 and at most 6, with the input's scale and zero point; or writes that to the input."""
    return functional.hardtanh(qx, 0.0, 6.0, inplace)


def clamp(qx: QTensor, min: float | None = None, max: float | None = None) -> QTensor:
    """Returns x, at least ``min`` and at most ``max``, with the input's scale and zero point.

    Args:
        qx: see ``celu``.
        min: the smallest value, or None for no limit.
        max: the largest value, or None for no limit.

    Raises:
        ValueError: if both are None.
    """
    if min is None and max is None:
        raise ValueError("clamp takes a min, a max or both, got neither")
    return functional.clamp(qx, min, max)


def threshold(qx: QTensor, threshold: float, value: float) -> QTensor:
    """Returns x above the threshold, and ``value`` elsewhere, with the input's scale and zero point."""
    return functional.threshold(qx, threshold, value)


def dropout(
    self: QTensor, output_scale: float, output_zero_point: int, p: float = 0.5, training: bool = False
) -> QTensor:
    """Returns its input, whatever the other arguments say: int8 is for inference."""
    return functional.dropout(self, output_scale, output_zero_point, p, training)


def max_pool1d(qx: QTensor, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> QTensor:
    """Returns the largest value of each window of sequences, with the input's scale and zero point.

    Args:
        qx: see ``celu``; ``[N, C, L]``.
        kernel_size: in steps, as the others.
        stride: the kernel's size if empty.
        padding: on both sides, at most half the kernel.
        dilation: between the steps of a window.
        ceil_mode: whether a last window may hang over the end.
    """
    return functional.max_pool1d(qx, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool2d(qx: QTensor, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> QTensor:
    """Returns the largest value of each window of images ``[N, C, H, W]``; arguments are those of ``max_pool1d``."""
    return functional.max_pool2d(qx, kernel_size, stride, padding, dilation, ceil_mode)
