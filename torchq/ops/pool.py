"""Pools in 1 to 3 spatial dimensions. Scale and zero point of the result are the input's."""

from collections.abc import Sequence

import torch
from torch import Tensor

from torchq.ops._register import empty_channels_last

_ops = torch.ops.torchq


def _output(
    input: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int] | None,
    ceil_mode: bool,
) -> Tensor:
    size = []
    for i, extent in enumerate(input.shape[2:]):
        room = extent + 2 * padding[i] - (dilation[i] if dilation else 1) * (kernel_size[i] - 1) - 1
        length = (room + (stride[i] - 1 if ceil_mode else 0)) // stride[i] + 1
        # No window may start in the padding on the right.
        if ceil_mode and (length - 1) * stride[i] >= extent + padding[i]:
            length -= 1
        size.append(length)
    return empty_channels_last(input, (*input.shape[:2], *size), input.dtype)


def max_pool(
    input: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool = False,
) -> Tensor:
    """Takes the largest integer of each window; padding never wins, and a window of padding only gives qmin.

    Args:
        input: uint8 or int8 ``[N, C, *spatial]``; copied first unless channels are innermost in its memory.
        kernel_size: in pixels, one number per spatial dimension, as the others.
        stride: in pixels.
        padding: on both sides, at most half the kernel.
        dilation: in pixels.
        ceil_mode: whether a last window may hang over the end.

    Returns:
        ``[N, C, *spatial]`` of the input's dtype, channels innermost in memory.
    """
    return _ops.max_pool.default(input, kernel_size, stride, padding, dilation, ceil_mode)


@torch.library.register_fake("torchq::max_pool")
def _(
    input: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> Tensor:
    return _output(input, kernel_size, stride, padding, dilation, ceil_mode)


def avg_pool(
    input: Tensor,
    zero_point: int,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Averages each window: ``y = sat(rne(v * (1 / divisor)) + zero_point)``.

    ``v`` is the exact sum of ``q - zero_point`` over the window, as a float32.

    Args:
        input: uint8 or int8 ``[N, C, *spatial]``; copied first unless channels are innermost in its memory.
        zero_point: of the input.
        kernel_size: in pixels, one number per spatial dimension, as the others.
        stride: in pixels.
        padding: on both sides, at most half the kernel.
        ceil_mode: whether a last window may hang over the end.
        count_include_pad: whether padding counts in the divisor.
        divisor_override: the divisor, in place of the window's size.

    Returns:
        ``[N, C, *spatial]`` of the input's dtype, channels innermost in memory.
    """
    return _ops.avg_pool.default(
        input, zero_point, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@torch.library.register_fake("torchq::avg_pool")
def _(
    input: Tensor,
    zero_point: int,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    return _output(input, kernel_size, stride, padding, None, ceil_mode)


def adaptive_avg_pool(input: Tensor, zero_point: int, output_size: Sequence[int]) -> Tensor:
    """Averages the image down, or up, to a given size: ``y = sat(rne(fma(v, 1 / count, zero_point)))``.

    Output row ``i`` of ``OH`` covers the input rows from ``floor(i * H / OH)`` to ``ceil((i + 1) * H / OH)``; the other
    dimensions likewise. ``v`` is the exact sum of ``q - zero_point`` over the window, as a float32.

    Args:
        input: uint8 or int8 ``[N, C, *spatial]``; copied first unless channels are innermost in its memory.
        zero_point: of the input.
        output_size: one number per spatial dimension.

    Returns:
        ``[N, C, *spatial]`` of the input's dtype, channels innermost in memory.
    """
    return _ops.adaptive_avg_pool.default(input, zero_point, output_size)


@torch.library.register_fake("torchq::adaptive_avg_pool")
def _(input: Tensor, zero_point: int, output_size: Sequence[int]) -> Tensor:
    return empty_channels_last(input, (*input.shape[:2], *output_size), input.dtype)
