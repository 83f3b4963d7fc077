"""Pools. Scale and zero point of the result are the input's."""

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
    dilation: Sequence[int],
    ceil_mode: bool,
) -> Tensor:
    size = []
    for i in (0, 1):
        extent = input.shape[2 + i]
        room = extent + 2 * padding[i] - dilation[i] * (kernel_size[i] - 1) - 1
        length = (room + (stride[i] - 1 if ceil_mode else 0)) // stride[i] + 1
        # No window may start in the padding on the right.
        if ceil_mode and (length - 1) * stride[i] >= extent + padding[i]:
            length -= 1
        size.append(length)
    return empty_channels_last(input, (*input.shape[:2], *size), input.dtype)


def max_pool2d(
    input: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    ceil_mode: bool = False,
) -> Tensor:
    """Takes the largest integer of each window; padding never wins, and a window of padding only gives qmin.

    Args:
        input: uint8 or int8 ``[N, C, H, W]``; copied first unless its memory is channels_last.
        kernel_size: of height and width, in pixels.
        stride: of height and width, in pixels.
        padding: at both ends of height and of width, at most half the kernel.
        dilation: of height and width, in pixels.
        ceil_mode: whether a last window may hang over the end.

    Returns:
        ``[N, C, OH, OW]`` of the input's dtype, channels_last.
    """
    return _ops.max_pool2d.default(input, kernel_size, stride, padding, dilation, ceil_mode)


@torch.library.register_fake("torchq::max_pool2d")
def _(
    input: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> Tensor:
    return _output(input, kernel_size, stride, padding, dilation, ceil_mode)


def avg_pool2d(
    input: Tensor,
    zero_point: int,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int] = (0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Averages each window: ``y = sat(rne(v * (1 / divisor)) + zero_point)``.

    ``v`` is the exact sum of ``q - zero_point`` over the window, as a float32.

    Args:
        input: uint8 or int8 ``[N, C, H, W]``; copied first unless its memory is channels_last.
        zero_point: of the input.
        kernel_size: of height and width, in pixels.
        stride: of height and width, in pixels.
        padding: at both ends of height and of width, at most half the kernel.
        ceil_mode: whether a last window may hang over the end.
        count_include_pad: whether padding counts in the divisor.
        divisor_override: the divisor, in place of the window's size.

    Returns:
        ``[N, C, OH, OW]`` of the input's dtype, channels_last.
    """
    return _ops.avg_pool2d.default(
        input, zero_point, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@torch.library.register_fake("torchq::avg_pool2d")
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
    return _output(input, kernel_size, stride, padding, (1, 1), ceil_mode)


def adaptive_avg_pool2d(input: Tensor, zero_point: int, output_size: Sequence[int]) -> Tensor:
    """Averages the image down, or up, to a given size: ``y = sat(rne(fma(v, 1 / count, zero_point)))``.

    Output row ``i`` of ``OH`` covers the input rows from ``floor(i * H / OH)`` to ``ceil((i + 1) * H / OH)``; columns
    likewise. ``v`` is the exact sum of ``q - zero_point`` over the window, as a float32.

    Args:
        input: uint8 or int8 ``[N, C, H, W]``; copied first unless its memory is channels_last.
        zero_point: of the input.
        output_size: ``[OH, OW]``.

    Returns:
        ``[N, C, OH, OW]`` of the input's dtype, channels_last.
    """
    return _ops.adaptive_avg_pool2d.default(input, zero_point, output_size)


@torch.library.register_fake("torchq::adaptive_avg_pool2d")
def _(input: Tensor, zero_point: int, output_size: Sequence[int]) -> Tensor:
    return empty_channels_last(input, (*input.shape[:2], *output_size), input.dtype)
