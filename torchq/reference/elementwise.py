"""Sums, products and functions, element by element."""

from collections.abc import Sequence

import torch
from torch import Tensor

from torchq.reference.quantize import dequantize_per_tensor, quantize_per_tensor
from torchq.reference.rounding import along, float32, fma, saturate


def add(
    a: Tensor,
    a_scale: float,
    a_zero_point: int,
    b: Tensor,
    b_scale: float,
    b_zero_point: int,
    output_scale: float,
    output_zero_point: int,
    relu: bool = False,
) -> Tensor:
    """Adds two quantized tensors of one dtype.

    ``x' = fma(scale, q, -(zero_point * scale))`` for each, then
    ``y = sat(rne((a' + b') * (1 / output_scale)) + output_zero_point)``; relu clamps the float sum at 0.
    """

    def dequantize(q: Tensor, scale: float, zero_point: int) -> Tensor:
        return fma(float32(scale), q.float(), -(float32(zero_point) * float32(scale)))

    total = dequantize(a, a_scale, a_zero_point) + dequantize(b, b_scale, b_zero_point)
    if relu:
        total = total.clamp(min=0)
    return saturate(torch.round(total * (1.0 / float32(output_scale))).double() + output_zero_point, a.dtype)


def mul(
    a: Tensor,
    a_scale: float,
    a_zero_point: int,
    b: Tensor,
    b_scale: float,
    b_zero_point: int,
    output_scale: float,
    output_zero_point: int,
    relu: bool = False,
) -> Tensor:
    """Multiplies two quantized tensors of one dtype.

    ``y = sat(rne(float((a - a_zp) * (b - b_zp)) * (a_scale * b_scale / output_scale)) + output_zero_point)``.
    """
    product = ((a.int() - a_zero_point) * (b.int() - b_zero_point)).float()
    multiplier = float32(a_scale) * float32(b_scale) / float32(output_scale)
    output = saturate(torch.round(product * multiplier).double() + output_zero_point, a.dtype)
    return output.clamp(min=output_zero_point) if relu else output


def cat(
    tensors: Sequence[Tensor],
    scales: Sequence[float],
    zero_points: Sequence[int],
    dim: int,
    output_scale: float,
    output_zero_point: int,
) -> Tensor:
    """Joins tensors, each dequantized and quantized to the output unless it has the output's parameters."""
    output = (output_scale, output_zero_point)
    parts = []
    for q, scale, zero_point in zip(tensors, scales, zero_points, strict=True):
        if (float32(scale), zero_point) != (float32(output_scale), output_zero_point):
            q = quantize_per_tensor(dequantize_per_tensor(q, scale, zero_point), *output, q.dtype)
        parts.append(q)
    return torch.cat(parts, dim)


def lookup(input: Tensor, table: Tensor) -> Tensor:
    """Returns ``table[q - qmin]``."""
    return table[input.long() - torch.iinfo(input.dtype).min]


def prelu(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    weight: Tensor,
    output_scale: float,
    output_zero_point: int,
) -> Tensor:
    """Quantizes ``fma(min(t, 0), s * w, max(t, 0) * s)`` with ``t = q - zero_point``."""
    t, scale = (input.int() - input_zero_point).float(), float32(input_scale)
    slope = scale * along(weight, 1, input.dim())
    value = fma(t.clamp(max=0), slope, t.clamp(min=0) * scale)
    return quantize_per_tensor(value, output_scale, output_zero_point, input.dtype)


def relu(input: Tensor, zero_point: int) -> Tensor:
    """Returns ``max(q, zero_point)``."""
    return input.clamp(min=zero_point)


def clamp(input: Tensor, lowest: int, highest: int) -> Tensor:
    """Returns ``min(max(q, lowest), highest)``."""
    return input.clamp(lowest, highest)
