"""Normalizations and softmax of quantized tensors. Sums over the integers are exact."""

from collections.abc import Sequence

import torch
from torch import Tensor

from torchq.ops._register import empty_channels_last, require, require_bytes, require_one_device

_ops = torch.ops.torchq


def batch_norm(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    eps: float,
    output_scale: float,
    output_zero_point: int,
    relu: bool = False,
) -> Tensor:
    """Normalizes each channel by given statistics: batch norm in eval mode.

    docs/numerics.md has the formula.

    Args:
        input: uint8 or int8 ``[N, C, *]``; copied first unless channels are innermost in its memory.
        input_scale: of the input.
        input_zero_point: of the input.
        weight: float32 ``[C]``, or None for ones.
        bias: float32 ``[C]``, or None for zeros.
        mean: float32 ``[C]``, in real units.
        variance: float32 ``[C]``, in real units squared.
        eps: added to the variance; at least 0.
        output_scale: of the result.
        output_zero_point: of the result.
        relu: whether the result is at least its zero point.

    Returns:
        Of the input's shape and dtype, channels innermost in memory.
    """
    return _ops.batch_norm.default(
        input,
        input_scale,
        input_zero_point,
        weight,
        bias,
        mean,
        variance,
        eps,
        output_scale,
        output_zero_point,
        relu,
    )


@torch.library.register_fake("torchq::batch_norm")
def _(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    eps: float,
    output_scale: float,
    output_zero_point: int,
    relu: bool,
) -> Tensor:
    require_one_device(input, weight, bias, mean, variance)
    require_bytes(input)
    return empty_channels_last(input, tuple(input.shape), input.dtype)


def group_norm(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    groups: int,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    output_scale: float,
    output_zero_point: int,
) -> Tensor:
    """Normalizes groups of channels, each image for itself; with as many groups as channels it is instance norm.

    docs/numerics.md has the formula.

    Args:
        input: uint8 or int8 ``[N, C, *]``; copied first unless channels are innermost in its memory.
        input_scale: of the input.
        input_zero_point: of the input.
        groups: divides C.
        weight: float32 ``[C]``, or None for ones.
        bias: float32 ``[C]``, or None for zeros.
        eps: added to the variance, in real units squared; at least 0.
        output_scale: of the result.
        output_zero_point: of the result.

    Returns:
        Of the input's shape and dtype, channels innermost in memory.
    """
    return _ops.group_norm.default(
        input, input_scale, input_zero_point, groups, weight, bias, eps, output_scale, output_zero_point
    )


@torch.library.register_fake("torchq::group_norm")
def _(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    groups: int,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    output_scale: float,
    output_zero_point: int,
) -> Tensor:
    require_one_device(input, weight, bias)
    require_bytes(input)
    return empty_channels_last(input, tuple(input.shape), input.dtype)


def layer_norm(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    normalized_shape: Sequence[int],
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    output_scale: float,
    output_zero_point: int,
) -> Tensor:
    """Normalizes over the last dimensions.

    docs/numerics.md has the formula.

    Args:
        input: uint8 or int8 ``[*, *normalized_shape]``; copied first unless contiguous.
        input_scale: of the input.
        input_zero_point: of the input.
        normalized_shape: the last dimensions.
        weight: float32 of that shape, or None for ones.
        bias: float32 of that shape, or None for zeros.
        eps: added to the variance, in real units squared; at least 0.
        output_scale: of the result.
        output_zero_point: of the result.

    Returns:
        Of the input's shape and dtype, contiguous.
    """
    return _ops.layer_norm.default(
        input, input_scale, input_zero_point, normalized_shape, weight, bias, eps, output_scale, output_zero_point
    )


@torch.library.register_fake("torchq::layer_norm")
def _(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    normalized_shape: Sequence[int],
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    output_scale: float,
    output_zero_point: int,
) -> Tensor:
    require_one_device(input, weight, bias)
    require_bytes(input)
    return input.new_empty(input.shape)


def softmax(input: Tensor, input_scale: float, output_scale: float, output_zero_point: int) -> Tensor:
    """Returns the softmax over the last dimension; the input's zero point plays no part in it.

    ``e = rne(exp(-(largest - q) * input_scale) * 2**24)`` are integers, their sum exact;
    ``y = sat(rne(float(e) * float(1 / (sum * output_scale))) + output_zero_point)``, the quotient in float64.

    Args:
        input: uint8 or int8 ``[..., K]``; copied first unless contiguous.
        input_scale: of the input.
        output_scale: of the result; 1/256 suits probabilities.
        output_zero_point: of the result.

    Returns:
        Of the input's shape and dtype, contiguous.
    """
    return _ops.softmax.default(input, input_scale, output_scale, output_zero_point)


@torch.library.register_fake("torchq::softmax")
def _(input: Tensor, input_scale: float, output_scale: float, output_zero_point: int) -> Tensor:
    require_bytes(input)
    require(input.dim() >= 1, "input must have at least one dimension")
    return input.new_empty(input.shape)
