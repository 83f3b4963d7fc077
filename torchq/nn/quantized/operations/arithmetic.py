"""Sums, products and concatenations with a scale and zero point of their own."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from torchq import ops
from torchq.nn.quantized.inputs import checked_integers
from torchq.ops.quantize import check_qparams
from torchq.qtensor import QTensor


def add(x: QTensor, y: QTensor, *, scale: float, zero_point: int) -> QTensor:
    """Returns ``x + y``.

    Args:
        x: of 8 bits, with one scale.
        y: likewise, of x's dtype and of a shape that can be broadcast with x's.
        scale: of the result.
        zero_point: of the result.

    Example:
        >>> x, y = (torchq.quantize_per_tensor(torch.tensor(v), 1.0, 0, torchq.quint8) for v in (3.0, 4.0))
        >>> add(x, y, scale=2.0, zero_point=1).int_repr()
        tensor(5, dtype=torch.uint8)
    """
    _check("add", x, y)
    return elementwise(ops.add, x, y, scale, zero_point)


def add_relu(x: QTensor, y: QTensor, *, scale: float, zero_point: int) -> QTensor:
    """Returns ``relu(x + y)``; arguments are those of ``add``."""
    _check("add_relu", x, y)
    return elementwise(ops.add, x, y, scale, zero_point, relu=True)


def mul(x: QTensor, y: QTensor, *, scale: float, zero_point: int) -> QTensor:
    """Returns ``x * y``; arguments are those of ``add``."""
    _check("mul", x, y)
    return elementwise(ops.mul, x, y, scale, zero_point)


def mul_relu(x: QTensor, y: QTensor, *, scale: float, zero_point: int) -> QTensor:
    """Returns ``relu(x * y)``; arguments are those of ``add``."""
    _check("mul_relu", x, y)
    return elementwise(ops.mul, x, y, scale, zero_point, relu=True)


def add_scalar(x: QTensor, y: float) -> QTensor:
    """Returns ``x + y`` for a number ``y``, by moving the zero point.

    Where the zero point would leave the dtype's range, it stays at its end and the scale grows instead.

    Raises:
        TypeError: if ``x`` is not quantized.
        ValueError: if it has several scales or not 8 bits; if ``y`` is not finite, or not below 2**62 times the scale.
    """
    data = checked_integers("add_scalar", x)
    info = torch.iinfo(data.dtype)
    steps = float(y) / x._scale
    if not abs(steps) < 2**62:
        raise ValueError(f"add_scalar takes a number below 2**62 times the scale {x._scale}, got {y}")
    zero_point = x._zero_point - round(steps)
    if info.min <= zero_point <= info.max:
        return QTensor(data.clone(), x._scale, zero_point)
    nearest = min(max(zero_point, info.min), info.max)
    span = max(info.max - zero_point, zero_point - info.min)
    scale = span / (info.max - info.min) * x._scale
    check_qparams(scale, nearest, data.dtype)
    shifted = (data.to(torch.int64) - zero_point).float()
    integers = torch.round(shifted * (x._scale / scale)) + nearest
    return QTensor(integers.clamp(info.min, info.max).to(data.dtype), scale, nearest)


def mul_scalar(x: QTensor, y: float) -> QTensor:
    """Returns ``x * y`` for a number ``y``, by scaling the scale; a negative one mirrors the integers.

    Raises:
        TypeError: if ``x`` is not quantized.
        ValueError: if it has several scales or not 8 bits, or if the scale times ``y`` is no scale.
    """
    data = checked_integers("mul_scalar", x)
    info = torch.iinfo(data.dtype)
    if y == 0:
        return QTensor(torch.zeros_like(data), 1.0, 0)
    scale = x._scale * abs(float(y))
    check_qparams(scale, x._zero_point, data.dtype)
    if y > 0:
        return QTensor(data.clone(), scale, x._zero_point)
    mirror = info.max + info.min
    return QTensor((mirror - data.to(torch.int32)).to(data.dtype), scale, mirror - x._zero_point)


def matmul(x: QTensor, y: QTensor, *, scale: float, zero_point: int) -> QTensor:
    """Returns ``x @ y``, for vectors, matrices and batches of matrices as ``torch.matmul``.

    Raises:
        TypeError: if an operand is not quantized.
        ValueError: if one has several scales, not 8 bits, or no dimension.
    """
    _check("matmul", x, y)
    return product(x, y, scale, zero_point)


def cat(tensors: Sequence[QTensor], dim: int = 0, *, scale: float, zero_point: int) -> QTensor:
    """Returns tensors joined along a dimension.

    Args:
        tensors: of 8 bits and one dtype, each with a scale and zero point of its own.
        dim: the dimension.
        scale: of the result.
        zero_point: of the result.
    """
    _check("cat", *tensors)
    return joined(tensors, dim, scale, zero_point)


def _check(name: str, *inputs: Any) -> None:
    for input in inputs:
        checked_integers(name, input)


def elementwise(
    op: Callable[..., Tensor], x: QTensor, y: QTensor, scale: float, zero_point: int, **options: bool
) -> QTensor:
    """Returns a sum or product of what was checked to be quantized; ``op`` is the operator for it."""
    a, b = x._data, y._data
    if a.shape != b.shape:
        a, b = torch.broadcast_tensors(a, b)
    data = op(a, x._scale, x._zero_point, b, y._scale, y._zero_point, scale, zero_point, **options)
    return QTensor(data, scale, zero_point)


def product(x: QTensor, y: QTensor, scale: float, zero_point: int) -> QTensor:
    """Returns ``x @ y`` of what was checked to be quantized."""
    a, b = x._data, y._data
    if not a.dim() or not b.dim():
        raise ValueError(f"matmul takes vectors and matrices, got {tuple(a.shape)} and {tuple(b.shape)}")
    # A vector is a matrix of one row, or of one column.
    vectors = [dim for dim, operand in ((-2, a), (-1, b)) if operand.dim() == 1]
    a, b = (a.unsqueeze(0) if a.dim() == 1 else a), (b.unsqueeze(1) if b.dim() == 1 else b)
    if a.shape[:-2] != b.shape[:-2]:
        batch = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        a, b = a.expand(*batch, *a.shape[-2:]), b.expand(*batch, *b.shape[-2:])
    data = ops.matmul(a, x._scale, x._zero_point, b, y._scale, y._zero_point, scale, zero_point)
    for dim in vectors:
        data = data.squeeze(dim)
    return QTensor(data, scale, zero_point)


def joined(tensors: Sequence[QTensor], dim: int, scale: float, zero_point: int) -> QTensor:
    """Returns what was checked to be quantized, joined along a dimension."""
    operands = ([t._data for t in tensors], [t._scale for t in tensors], [t._zero_point for t in tensors])
    return QTensor(ops.cat(*operands, dim, scale, zero_point), scale, zero_point)
