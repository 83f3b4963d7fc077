"""Convolutions with a packed int8 weight."""

from collections.abc import Sequence

import torch
from torch import Tensor

from torchq.ops._register import (
    call_forward_only,
    empty_channels_last,
    forward_only,
    require,
    require_bytes,
    require_one_device,
    require_weight,
)

_ops = torch.ops.torchq


def _output(
    input: Tensor,
    channels: int,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    dtype: torch.dtype,
) -> Tensor:
    height, width = (
        (input.shape[2 + i] + 2 * padding[i] - dilation[i] * (kernel_size[i] - 1) - 1) // stride[i] + 1 for i in (0, 1)
    )
    return empty_channels_last(input, (input.shape[0], channels, height, width), dtype)


def _check(input: Tensor, packed_weight: Tensor, weight_scales: Tensor, bias: Tensor | None) -> None:
    require_one_device(input, packed_weight, weight_scales, bias)
    require_weight(packed_weight, weight_scales, bias)
    require_bytes(input)
    require(input.dim() == 4, f"input must be 4-d [N, C, H, W], got {input.dim()} dimensions")


def conv2d(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    packed_weight: Tensor,
    weight_scales: Tensor,
    bias: Tensor | None,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    output_scale: float,
    output_zero_point: int,
    output_dtype: torch.dtype,
    relu: bool = False,
) -> Tensor:
    """Convolves a quantized image with a quantized weight, to integers.

    The arithmetic is that of ``linear``, over kernel positions and input channels. Padding holds the input's zero
    point, that is, 0.0.

    Args:
        input: uint8 or int8 ``[N, C, H, W]``; copied first unless its memory is channels_last.
        input_scale: of the input.
        input_zero_point: of the input.
        packed_weight: what ``pack_weight`` made of an int8 ``[O, C / groups, KH, KW]``.
        weight_scales: float32 ``[O]``; a per-tensor scale repeated O times.
        bias: float32 ``[O]`` in real units, or None.
        kernel_size: ``[KH, KW]``.
        stride: of height and width, in pixels.
        padding: above and below, left and right, in pixels.
        dilation: of height and width, in pixels.
        groups: as packed.
        output_scale: of the result.
        output_zero_point: of the result.
        output_dtype: ``torch.uint8`` or ``torch.int8``.
        relu: whether the result is at least its zero point.

    Returns:
        ``[N, O, OH, OW]`` of ``output_dtype``, channels_last.
    """
    return _ops.conv2d.default(
        input,
        input_scale,
        input_zero_point,
        packed_weight,
        weight_scales,
        bias,
        kernel_size,
        stride,
        padding,
        dilation,
        groups,
        output_scale,
        output_zero_point,
        output_dtype,
        relu,
    )


@torch.library.register_fake("torchq::conv2d")
def _(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    packed_weight: Tensor,
    weight_scales: Tensor,
    bias: Tensor | None,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    output_scale: float,
    output_zero_point: int,
    output_dtype: torch.dtype,
    relu: bool,
) -> Tensor:
    _check(input, packed_weight, weight_scales, bias)
    return _output(input, weight_scales.numel(), kernel_size, stride, padding, dilation, output_dtype)


def conv2d_dequantize(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    packed_weight: Tensor,
    weight_scales: Tensor,
    bias: Tensor | None,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    relu: bool = False,
) -> Tensor:
    """Convolves a quantized image with a quantized weight, to float32.

    ``y = fma(float(acc), s, bias)`` with the accumulator and ``s`` of ``conv2d``.

    Args:
        input: uint8 or int8 ``[N, C, H, W]``; copied first unless its memory is channels_last.
        input_scale: of the input.
        input_zero_point: of the input.
        packed_weight: what ``pack_weight`` made of an int8 ``[O, C / groups, KH, KW]``.
        weight_scales: float32 ``[O]``.
        bias: float32 ``[O]``, or None.
        kernel_size: ``[KH, KW]``.
        stride: of height and width, in pixels.
        padding: above and below, left and right, in pixels.
        dilation: of height and width, in pixels.
        groups: as packed.
        relu: whether the result is at least 0.

    Returns:
        float32 ``[N, O, OH, OW]``, channels_last.
    """
    return call_forward_only(
        _ops.conv2d_dequantize.default,
        input,
        input_scale,
        input_zero_point,
        packed_weight,
        weight_scales,
        bias,
        kernel_size,
        stride,
        padding,
        dilation,
        groups,
        relu,
    )


@torch.library.register_fake("torchq::conv2d_dequantize")
def _(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    packed_weight: Tensor,
    weight_scales: Tensor,
    bias: Tensor | None,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    relu: bool,
) -> Tensor:
    _check(input, packed_weight, weight_scales, bias)
    return _output(input, weight_scales.numel(), kernel_size, stride, padding, dilation, torch.float32)


forward_only("conv2d_dequantize")
