"""Sums and clamps of quantized tensors."""

import torch
from torch import Tensor

from torchq.ops._register import empty_dense_like, require, require_bytes, require_one_device

_ops = torch.ops.torchq


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
        a: uint8 or int8.
        a_scale: of a.
        a_zero_point: of a.
        b: of a's dtype and shape.
        b_scale: of b.
        b_zero_point: of b.
        output_scale: of the result.
        output_zero_point: of the result.
        relu: whether the result is at least its zero point.

    Returns:
        The sum, of a's dtype, shape and layout.
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
    require_one_device(a, b)
    require_bytes(a)
    require(
        a.dtype == b.dtype and a.shape == b.shape,
        f"a and b must have the same dtype and shape, got {a.dtype} {tuple(a.shape)} and {b.dtype} {tuple(b.shape)}",
    )
    return empty_dense_like(a, a.dtype)


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
