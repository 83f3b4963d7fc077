"""Pools and interpolation."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from torchq.reference.rounding import float32, fma, saturate

MAX_POOLS = (F.max_pool1d, F.max_pool2d, F.max_pool3d)


def max_pool(
    input: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> Tensor:
    """Takes the largest integer of each window, qmin where a window holds padding only."""
    largest = MAX_POOLS[input.dim() - 3](input.double(), kernel_size, stride, padding, dilation, ceil_mode)
    return largest.clamp(min=torch.iinfo(input.dtype).min).to(input.dtype)


def avg_pool(
    input: Tensor,
    zero_point: int,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    """Averages each window, padding counting as the zero point.

    ``y = sat(rne(float(sum(q - zero_point)) * (1 / float(divisor))) + zero_point)``, divisor and windows those of
    the float function.
    """
    dims, (batch, channels, *spatial) = input.dim() - 2, input.shape
    # The one of two dimensions takes kernels larger than the image; that of one has no divisor_override.
    pool, missing = (F.avg_pool3d, 0) if dims == 3 else (F.avg_pool2d, 2 - dims)
    x = input.reshape(batch, channels, *(1,) * missing, *spatial).double()
    window = [(flat,) * missing + tuple(v) for flat, v in ((1, kernel_size), (1, stride), (0, padding))]
    total = pool(x - zero_point, *window, ceil_mode, divisor_override=1)
    ones = torch.ones_like(x)
    # Averaging ones gives count / divisor, so the divisor is recovered without repeating torch's window rules.
    count = pool(ones, *window, ceil_mode, divisor_override=1)
    divisor = torch.round(count / pool(ones, *window, ceil_mode, count_include_pad, divisor_override))
    mean = saturate(torch.round(total.float() * (1.0 / divisor.float())).double() + zero_point, input.dtype)
    return mean.reshape(batch, channels, *mean.shape[2 + missing :])


def adaptive_avg_pool(input: Tensor, zero_point: int, output_size: Sequence[int]) -> Tensor:
    """Averages each cell of an ``output_size`` grid laid over the spatial dimensions.

    Cell ``i`` of ``n`` spans rows ``floor(i * H / n)`` to ``ceil((i + 1) * H / n)``, the other dimensions likewise;
    ``y = sat(rne(fma(float(sum(q - zero_point)), 1 / float(count), zero_point)))``.
    """
    centered = input.double() - zero_point
    output = input.new_empty(*input.shape[:2], *output_size)
    for cell in itertools.product(*map(range, output_size)):
        spans = [
            slice(i * size // n, -(-(i + 1) * size // n))
            for i, n, size in zip(cell, output_size, input.shape[2:], strict=True)
        ]
        count = math.prod(span.stop - span.start for span in spans)
        total = centered[(..., *spans)].flatten(2).sum(-1).float()
        value = fma(total, 1.0 / float32(count), float32(zero_point))
        output[(..., *cell)] = saturate(torch.round(value), input.dtype)
    return output


def _between(size: int, output: int, align_corners: bool, factor: float | None) -> tuple[Tensor, ...]:
    """The two pixels around each point of a line, and the weight of the second, as torch places the points."""
    i = torch.arange(output).float()
    if align_corners:
        at = (float32(size - 1) / float32(output - 1) if output > 1 else float32(0)) * i
    else:
        scale = float32(size) / float32(output) if factor is None else float32(1.0 / factor)
        at = (scale * (i + 0.5) - 0.5).clamp(min=0)
    first = at.long().clamp(max=size - 1)
    return first, (first + 1).clamp(max=size - 1), (at - first.float()).clamp(0, 1)


def upsample_bilinear(
    input: Tensor, output_size: Sequence[int], align_corners: bool, factors: Sequence[float] = ()
) -> Tensor:
    """Interpolates between the four pixels around each point.

    ``y = sat(rne(t * (l * q0 + r * q1) + b * (l * q2 + r * q3)))``, each operation rounded.
    """
    x, (row, column) = input.float(), list(factors) or (None, None)
    top, bottom, b = _between(input.shape[2], output_size[0], align_corners, row)
    left, right, r = _between(input.shape[3], output_size[1], align_corners, column)
    upper, lower = ((1 - r) * x[:, :, i][..., left] + r * x[:, :, i][..., right] for i in (top, bottom))
    return saturate(torch.round((1 - b)[:, None] * upper + b[:, None] * lower), input.dtype)
