"""Convolutions with a packed int8 weight, in 1 to 3 spatial dimensions."""

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


def window(
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    output_padding: Sequence[int] = (),
) -> tuple[int, ...]:
    """Puts the window of a convolution into the one list that its operator takes.

    Args:
        kernel_size: one number per spatial dimension, as the others.
        stride: in pixels.
        padding: on both sides, in pixels.
        dilation: in pixels.
        output_padding: of a transposed convolution: pixels by which the result is longer; none for others.

    Example:
        >>> torchq.ops.window((3, 3), (1, 1), (1, 1), (1, 1))
        (3, 3, 1, 1, 1, 1, 1, 1)
    """
    return (*kernel_size, *stride, *padding, *dilation, *output_padding)


def _output(
    input: Tensor,
    packed_weight: Tensor,
    weight_scales: Tensor,
    bias: Tensor | None,
    window: Sequence[int],
    transposed: bool,
    dtype: torch.dtype,
) -> Tensor:
    require_one_device(input, packed_weight, weight_scales, bias)
    require_weight(packed_weight, weight_scales, bias)
    require_bytes(input)
    dims = input.dim() - 2
    require(1 <= dims <= 3, f"input must be [N, C, *spatial] with 1 to 3 spatial dimensions, got {input.dim()} in all")
    parts = 5 if transposed else 4
    require(len(window) == parts * dims, f"window must hold {parts * dims} numbers, got {len(window)}")
    size = []
    for d in range(dims):
        kernel, stride, padding, dilation, *output_padding = window[d::dims]
        extent = dilation * (kernel - 1) + 1
        if transposed:
            size.append((input.shape[2 + d] - 1) * stride - 2 * padding + extent + output_padding[0])
        else:
            size.append((input.shape[2 + d] + 2 * padding - extent) // stride + 1)
    return empty_channels_last(input, (input.shape[0], weight_scales.shape[0], *size), dtype)


def convolution(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    packed_weight: Tensor,
    weight_scales: Tensor,
    bias: Tensor | None,
    window: Sequence[int],
    transposed: bool,
    output_scale: float,
    output_zero_point: int,
    output_dtype: torch.dtype,
    relu: bool = False,
    residual: Tensor | None = None,
    residual_scale: float = 1.0,
    residual_zero_point: int = 0,
) -> Tensor:
    """Convolves a quantized tensor with a quantized weight, to integers.

    The arithmetic is that of ``linear``, over kernel positions and input channels. Padding holds the input's zero
    point, that is, 0.0. A residual is added before the one rounding; docs/numerics.md has the formula.

    Args:
        input: uint8 or int8 ``[N, C, *spatial]`` with 1 to 3 spatial dimensions; copied first unless channels are
            innermost in its memory (channels_last).
        input_scale: of the input.
        input_zero_point: of the input.
        packed_weight: what ``pack_weight`` made of an int8 ``[O, C / groups, *kernel]``, transposed or not.
        weight_scales: float32 ``[O]``; a per-tensor scale repeated O times.
        bias: float32 ``[O]`` in real units, or None.
        window: ``torchq.ops.window(kernel_size, stride, padding, dilation)``, and ``output_padding`` if transposed.
        transposed: whether it is the transposed convolution, as of ``torch.nn.ConvTranspose2d``.
        output_scale: of the result.
        output_zero_point: of the result.
        output_dtype: ``torch.uint8`` or ``torch.int8``.
        relu: whether the result is at least its zero point.
        residual: of the result's shape and dtype, or None. Not for depthwise convolutions.
        residual_scale: of the residual.
        residual_zero_point: of the residual.

    Returns:
        ``[N, O, *spatial]``, channels innermost in memory.
    """
    return _ops.convolution.default(
        input,
        input_scale,
        input_zero_point,
        packed_weight,
        weight_scales,
        bias,
        window,
        transposed,
        output_scale,
        output_zero_point,
        output_dtype,
        relu,
        residual,
        residual_scale,
        residual_zero_point,
    )


@torch.library.register_fake("torchq::convolution")
def _(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    packed_weight: Tensor,
    weight_scales: Tensor,
    bias: Tensor | None,
    window: Sequence[int],
    transposed: bool,
    output_scale: float,
    output_zero_point: int,
    output_dtype: torch.dtype,
    relu: bool,
    residual: Tensor | None,
    residual_scale: float,
    residual_zero_point: int,
) -> Tensor:
    output = _output(input, packed_weight, weight_scales, bias, window, transposed, output_dtype)
    if residual is not None:
        require_one_device(input, residual)
        require(
            residual.dtype == output_dtype and residual.shape == output.shape,
            f"residual must be {output_dtype} of the output's shape {tuple(output.shape)}, got {residual.dtype} "
            f"{tuple(residual.shape)}",
        )
    return output


def convolution_dequantize(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    packed_weight: Tensor,
    weight_scales: Tensor,
    bias: Tensor | None,
    window: Sequence[int],
    transposed: bool,
    relu: bool = False,
) -> Tensor:
    """Convolves a quantized tensor with a quantized weight, to float32.

    ``y = fma(float(acc), s, bias)`` with the accumulator and ``s`` of ``convolution``.

    Args:
        input: uint8 or int8 ``[N, C, *spatial]`` with 1 to 3 spatial dimensions; copied first unless channels are
            innermost in its memory (channels_last).
        input_scale: of the input.
        input_zero_point: of the input.
        packed_weight: what ``pack_weight`` made of an int8 ``[O, C / groups, *kernel]``, transposed or not.
        weight_scales: float32 ``[O]``.
        bias: float32 ``[O]``, or None.
        window: ``torchq.ops.window(kernel_size, stride, padding, dilation)``, and ``output_padding`` if transposed.
        transposed: whether it is the transposed convolution.
        relu: whether the result is at least 0.

    Returns:
        float32 ``[N, O, *spatial]``, channels innermost in memory.
    """
    return call_forward_only(
        _ops.convolution_dequantize.default,
        input,
        input_scale,
        input_zero_point,
        packed_weight,
        weight_scales,
        bias,
        window,
        transposed,
        relu,
    )


@torch.library.register_fake("torchq::convolution_dequantize")
def _(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    packed_weight: Tensor,
    weight_scales: Tensor,
    bias: Tensor | None,
    window: Sequence[int],
    transposed: bool,
    relu: bool,
) -> Tensor:
    return _output(input, packed_weight, weight_scales, bias, window, transposed, torch.float32)


forward_only("convolution_dequantize")
