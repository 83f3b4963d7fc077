"""The arithmetic of fake quantization: quantize, dequantize, and a gradient that sees through both.

Values are those of torchq's operators, bit for bit. Gradients pass where the integer lies within the range, by which
the integer of 32 bits is meant: 8 bits saturate, and cannot tell their last integer from those beyond it. That one
rounds twice (docs/numerics.md), so that a value within one float32 rounding of the tie at an end of the range may
count as the other side of it.
"""

from collections.abc import Callable
from typing import Any

import torch

from torchq import ops


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        quantize: Callable[[torch.Tensor, torch.dtype], torch.Tensor],
        dequantize: Callable[[torch.Tensor], torch.Tensor],
        storage: torch.dtype,
        quant_min: int,
        quant_max: int,
    ) -> torch.Tensor:
        integers = quantize(x, storage)
        if ctx.needs_input_grad[0]:
            wide = integers if storage is torch.int32 else quantize(x, torch.int32)
            ctx.save_for_backward((wide >= quant_min) & (wide <= quant_max))
        return dequantize(integers.clamp(quant_min, quant_max)).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (inside,) = ctx.saved_tensors
        return gradient * inside, None, None, None, None, None


def fake_quantize_per_tensor(
    x: torch.Tensor, scale: float, zero_point: int, quant_min: int, quant_max: int, storage: torch.dtype
) -> torch.Tensor:
    """Returns ``dequantize(clamp(quantize(x)))`` with one scale.

    Args:
        x: float, of any shape and layout.
        scale: finite, above 0.
        zero_point: in the range of ``storage``.
        quant_min: smallest integer.
        quant_max: largest integer.
        storage: ``torch.uint8``, ``torch.int8`` or ``torch.int32``, which decides how quantization rounds.

    Returns:
        The values, in the dtype of ``x``.
    """

    def quantize(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        return ops.quantize_per_tensor(x, scale, zero_point, dtype)

    def dequantize(integers: torch.Tensor) -> torch.Tensor:
        return ops.dequantize_per_tensor(integers, scale, zero_point)

    return _StraightThrough.apply(x, quantize, dequantize, storage, quant_min, quant_max)


def fake_quantize_per_channel(
    x: torch.Tensor, scale: torch.Tensor, zero_point: torch.Tensor, axis: int, quant_min: int, quant_max: int
) -> torch.Tensor:
    """Returns ``dequantize(clamp(quantize(x)))`` with a scale for each index along one dimension.

    Args:
        x: float, of any shape and layout.
        scale: float32 ``[x.size(axis)]``.
        zero_point: integers, the same shape.
        axis: the dimension of the channels.
        quant_min: smallest integer.
        quant_max: largest integer.

    Returns:
        The values, in the dtype of ``x``.
    """

    def quantize(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        return ops.quantize_per_channel(x, scale, zero_point, axis, dtype)

    def dequantize(integers: torch.Tensor) -> torch.Tensor:
        return ops.dequantize_per_channel(integers, scale, zero_point, axis)

    # Per channel 8 and 32 bits round alike, so one quantization serves the values and the gradient.
    return _StraightThrough.apply(x, quantize, dequantize, torch.int32, quant_min, quant_max)


def fake_quantize_float_qparams(
    x: torch.Tensor, scale: torch.Tensor, zero_point: torch.Tensor, axis: int, quant_min: int, quant_max: int
) -> torch.Tensor:
    """Returns ``(q - zero_point) * scale`` with ``q = clamp(rne(x * (1 / scale) + zero_point))``, all in float32.

    This is how embeddings are quantized: with zero points that are no integers, so that a row's smallest and largest
    value are exact up to rounding. NaN becomes ``quant_max``.

    Args:
        x: float, of any shape and layout.
        scale: float32 ``[x.size(axis)]``.
        zero_point: float32, the same shape.
        axis: the dimension of the channels.
        quant_min: smallest integer.
        quant_max: largest integer.

    Returns:
        The values, in the dtype of ``x``.
    """
    shape = [1] * x.dim()
    shape[axis] = -1
    scale, zero_point = scale.view(shape), zero_point.view(shape)

    def quantize(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        rounded = torch.round(x.float() * (1 / scale) + zero_point)
        return rounded.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)

    def dequantize(integers: torch.Tensor) -> torch.Tensor:
        return (integers - zero_point) * scale

    return _StraightThrough.apply(x, quantize, dequantize, torch.int32, quant_min, quant_max)
