"""Float to integers and back."""

import torch
from torch import Tensor

from torchq.reference.rounding import along, float32, fma, saturate


def quantize_per_tensor(input: Tensor, scale: float, zero_point: int, dtype: torch.dtype) -> Tensor:
    """Quantizes with one scale and zero point.

    8 bits: ``q = sat(rne(fma(x, 1 / scale, zero_point)))``; 32 bits: as :func:`quantize_per_channel`.
    """
    inverse, shift = 1.0 / float32(scale), float32(zero_point)
    x = input.float()
    shifted = x * inverse + shift if dtype == torch.int32 else fma(x, inverse, shift)
    return saturate(torch.round(shifted), dtype)


def quantize_per_channel(input: Tensor, scales: Tensor, zero_points: Tensor, axis: int, dtype: torch.dtype) -> Tensor:
    """Quantizes each slice along ``axis`` with its own scale and zero point.

    ``q = sat(rne(x * (1 / scale) + zero_point))``, the product rounded before the sum.
    """
    inverse = 1.0 / along(scales, axis, input.dim()).float()
    shift = float32(along(zero_points, axis, input.dim()))
    return saturate(torch.round(input.float() * inverse + shift), dtype)


def dequantize_per_tensor(input: Tensor, scale: float, zero_point: int) -> Tensor:
    """Returns ``float32(q - zero_point) * scale``, the difference exact."""
    return (input.double() - zero_point).float() * float32(scale)


def dequantize_per_channel(input: Tensor, scales: Tensor, zero_points: Tensor, axis: int) -> Tensor:
    """Returns ``float32(float64(float32(q) - float32(zero_point)) * float64(scale))``.

    The product is taken in float64 because scales may be given in float64.
    """
    shifted = input.float() - float32(along(zero_points, axis, input.dim()))
    return (shifted.double() * along(scales, axis, input.dim()).double()).float()
