"""Sums, products and functions of quantized tensors, element by element."""

from collections.abc import Sequence

import torch
from torch import Tensor

from torchq.ops._register import (
    empty_channels_last,
    empty_dense_like,
    is_channels_last,
    require,
    require_bytes,
    require_one_device,
)

_ops = torch.ops.torchq


def _is_dense(tensor: Tensor) -> bool:
    """Whether a tensor fills its memory without gaps or overlaps: then its innermost dimensions multiply up."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


def _combined(a: Tensor, b: Tensor) -> Tensor:
    require_one_device(a, b)
    require_bytes(a)
    require(
        a.dtype == b.dtype and a.shape == b.shape,
        f"a and b must have the same dtype and shape, got {a.dtype} {tuple(a.shape)} and {b.dtype} {tuple(b.shape)}",
    )
    return empty_dense_like(b if _is_dense(b) and not _is_dense(a) else a, a.dtype)


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
    """Adds two quantized tensors of the same shape and dtype.

    ``y = sat(rne((va + vb) * (1 / output_scale)) + output_zero_point)`` in float32 with
    ``v = fma(scale, q, -(zero_point * scale))`` for each operand: fbgemm's order of operations.

    Args:
        a: uint8 or int8; may be expanded.
        a_scale: of a.
        a_zero_point: of a.
        b: of a's dtype and shape; may be expanded.
        b_scale: of b.
        b_zero_point: of b.
        output_scale: of the result.
        output_zero_point: of the result.
        relu: whether the result is at least its zero point.

    Returns:
        The sum, of a's dtype and shape, laid out as the first of the two that fills its memory without gaps.
    """
    return _ops.add.default(a, a_scale, a_zero_point, b, b_scale, b_zero_point, output_scale, output_zero_point, relu)


@torch.library.register_fake("torchq::add")
def _(
    a: Tensor,
    a_scale: float,
    a_zero_point: int,
    b: Tensor,
    b_scale: float,
    b_zero_point: int,
    output_scale: float,
    output_zero_point: int,
    relu: bool,
) -> Tensor:
    return _combined(a, b)


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
    """Multiplies two quantized tensors of the same shape and dtype.

    ``y = sat(rne(float(p) * (a_scale * b_scale / output_scale)) + output_zero_point)`` in float32 with the exact
    product ``p = (a - a_zero_point) * (b - b_zero_point)``.

    Args:
        a: uint8 or int8; may be expanded, as the gates of a squeeze-and-excite block are.
        a_scale: of a.
        a_zero_point: of a.
        b: of a's dtype and shape; may be expanded.
        b_scale: of b.
        b_zero_point: of b.
        output_scale: of the result.
        output_zero_point: of the result.
        relu: whether the result is at least its zero point.

    Returns:
        The product, of a's dtype and shape, laid out as the first of the two that fills its memory without gaps.
    """
    return _ops.mul.default(a, a_scale, a_zero_point, b, b_scale, b_zero_point, output_scale, output_zero_point, relu)


@torch.library.register_fake("torchq::mul")
def _(
    a: Tensor,
    a_scale: float,
    a_zero_point: int,
    b: Tensor,
    b_scale: float,
    b_zero_point: int,
    output_scale: float,
    output_zero_point: int,
    relu: bool,
) -> Tensor:
    return _combined(a, b)


def cat(
    tensors: Sequence[Tensor],
    scales: Sequence[float],
    zero_points: Sequence[int],
    dim: int,
    output_scale: float,
    output_zero_point: int,
) -> Tensor:
    """Joins quantized tensors along a dimension, each with its own scale and zero point.

    An integer becomes what quantizing its dequantized value gives; those that have the output's scale and zero point
    are copied.

    Args:
        tensors: uint8 or int8, all of one dtype, of the same shape but for ``dim``.
        scales: of the tensors.
        zero_points: of the tensors.
        dim: from ``-dimensions``.
        output_scale: of the result.
        output_zero_point: of the result.

    Returns:
        The integers, channels innermost in memory if the first tensor's are, else contiguous.

    Raises:
        ValueError: if there are no tensors.
    """
    if not tensors:  # torch would not find the operator's kernel
        raise ValueError("tensors must not be empty")
    return _ops.cat.default(tensors, scales, zero_points, dim, output_scale, output_zero_point)


@torch.library.register_fake("torchq::cat")
def _(
    tensors: Sequence[Tensor],
    scales: Sequence[float],
    zero_points: Sequence[int],
    dim: int,
    output_scale: float,
    output_zero_point: int,
) -> Tensor:
    first = tensors[0]
    require_one_device(*tensors)
    require_bytes(first)
    size = list(first.shape)
    size[dim] = sum(tensor.shape[dim] for tensor in tensors)
    if first.dim() >= 3 and is_channels_last(first):
        return empty_channels_last(first, tuple(size), first.dtype)
    return first.new_empty(size)


def relu(input: Tensor, zero_point: int) -> Tensor:
    """Returns ``max(input, zero_point)``: relu with scale and zero point unchanged.

    Args:
        input: uint8 or int8.
        zero_point: of the input.
    """
    return _ops.relu.default(input, zero_point)


@torch.library.register_fake("torchq::relu")
def _(input: Tensor, zero_point: int) -> Tensor:
    return empty_dense_like(input, input.dtype)


def clamp(input: Tensor, lowest: int, highest: int) -> Tensor:
    """Returns ``min(max(input, lowest), highest)`` of the integers.

    Args:
        input: uint8 or int8.
        lowest: in the dtype's range.
        highest: in the dtype's range, at least ``lowest``.
    """
    return _ops.clamp.default(input, lowest, highest)


@torch.library.register_fake("torchq::clamp")
def _(input: Tensor, lowest: int, highest: int) -> Tensor:
    return empty_dense_like(input, input.dtype)


def lookup(input: Tensor, table: Tensor) -> Tensor:
    """Returns ``table[input - qmin]``: any function of single quantized values, of which there are 256.

    Args:
        input: uint8 or int8; qmin is the smallest value of its dtype.
        table: uint8 or int8 ``[256]``, the function's values from qmin on.

    Returns:
        The table's entries, of its dtype, laid out in memory as the input is.
    """
    return _ops.lookup.default(input, table)


@torch.library.register_fake("torchq::lookup")
def _(input: Tensor, table: Tensor) -> Tensor:
    require_one_device(input, table)
    require_bytes(input)
    return empty_dense_like(input, table.dtype)


def prelu(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    weight: Tensor,
    output_scale: float,
    output_zero_point: int,
) -> Tensor:
    """Multiplies what is below zero by a slope, one for all or one per channel.

    ``y = sat(rne(fma(v, 1 / output_scale, output_zero_point)))`` with ``t = float(q - input_zero_point)`` and
    ``v = fma(min(t, 0), input_scale * weight, max(t, 0) * input_scale)``.

    Args:
        input: uint8 or int8 ``[N, C, *]``; copied first unless channels are innermost in its memory.
        input_scale: of the input.
        input_zero_point: of the input.
        weight: float32 ``[1]`` or ``[C]``.
        output_scale: of the result.
        output_zero_point: of the result.

    Returns:
        Of the input's shape and dtype, channels innermost in memory.
    """
    return _ops.prelu.default(input, input_scale, input_zero_point, weight, output_scale, output_zero_point)


@torch.library.register_fake("torchq::prelu")
def _(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    weight: Tensor,
    output_scale: float,
    output_zero_point: int,
) -> Tensor:
    require_one_device(input, weight)
    require_bytes(input)
    return empty_channels_last(input, tuple(input.shape), input.dtype)
