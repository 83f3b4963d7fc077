"""Sums, products and concatenations.

Functions with a relu give what is at least the zero point of the result. ``out`` gets the result, with its own scale
and zero point, or with those that follow from a number.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from torchq.nn.quantized import operations
from torchq.qtensor import QTensor
from torchq.qtensor_creation import numbers
from torchq.qtensor_functions.copying import written_out


def add(qa: Any, qb: Any, scale: Any = None, zero_point: int | None = None, *, out: QTensor | None = None) -> QTensor:
    """Returns ``qa + qb``.

    Args:
        qa: of 8 bits, with one scale; or a number, if ``qb`` is one.
        qb: of qa's dtype and of a shape that can be broadcast with its; or a number, which moves the zero point.
        scale: of the result, for two tensors; or, third in order, ``out``.
        zero_point: of the result, for two tensors.
        out: that the result is written to. The sum of two tensors takes its scale and zero point; with a number it gets
            those of the result.

    Raises:
        TypeError: if operands, scale and zero point are no such combination.
        ValueError: if an operand has several scales or not 8 bits.
        RuntimeError: if ``out`` has another shape or dtype.

    Example:
        >>> x, y = (torchq.quantize_per_tensor(torch.tensor(v), 1.0, 0, torchq.quint8) for v in (3.0, 4.0))
        >>> add(x, y, 2.0, 1).int_repr()
        tensor(5, dtype=torch.uint8)
    """
    return _combined("add", operations.add, add_scalar, qa, qb, scale, zero_point, out)


def add_relu(
    qa: Any, qb: Any, scale: Any = None, zero_point: int | None = None, *, out: QTensor | None = None
) -> QTensor:
    """Returns ``relu(qa + qb)``; arguments are those of ``add``."""
    return _combined("add_relu", operations.add_relu, add_scalar_relu, qa, qb, scale, zero_point, out)


def mul(qa: Any, qb: Any, scale: Any = None, zero_point: int | None = None, *, out: QTensor | None = None) -> QTensor:
    """Returns ``qa * qb``; arguments are those of ``add``, and a number scales the scale."""
    return _combined("mul", operations.mul, mul_scalar, qa, qb, scale, zero_point, out)


def mul_relu(
    qa: Any, qb: Any, scale: Any = None, zero_point: int | None = None, *, out: QTensor | None = None
) -> QTensor:
    """Returns ``relu(qa * qb)``; arguments are those of ``mul``."""
    return _combined("mul_relu", operations.mul_relu, mul_scalar_relu, qa, qb, scale, zero_point, out)


def add_out(qa: QTensor, qb: QTensor, out: QTensor) -> QTensor:
    """Writes ``qa + qb`` to ``out``, with its scale and zero point, and returns it."""
    return add(qa, qb, out=out)


def add_relu_out(qa: QTensor, qb: QTensor, out: QTensor) -> QTensor:
    """Writes ``relu(qa + qb)`` to ``out``, with its scale and zero point, and returns it."""
    return add_relu(qa, qb, out=out)


def mul_out(qa: QTensor, qb: QTensor, out: QTensor) -> QTensor:
    """Writes ``qa * qb`` to ``out``, with its scale and zero point, and returns it."""
    return mul(qa, qb, out=out)


def mul_relu_out(qa: QTensor, qb: QTensor, out: QTensor) -> QTensor:
    """Writes ``relu(qa * qb)`` to ``out``, with its scale and zero point, and returns it."""
    return mul_relu(qa, qb, out=out)


def add_scalar(qa: QTensor, b: float | Tensor) -> QTensor:
    """Returns ``qa + b``, by moving the zero point.

    Args:
        qa: of 8 bits, with one scale.
        b: a number, or a tensor of one.

    Raises:
        TypeError: if it is neither, or ``qa`` not quantized.
        ValueError: if ``b`` is a tensor of another size, not finite, or too large for the scale.
    """
    return operations.add_scalar(qa, _number("add_scalar", b))


def add_scalar_relu(qa: QTensor, b: float | Tensor) -> QTensor:
    """Returns ``relu(qa + b)``; arguments are those of ``add_scalar``."""
    return torch.relu(add_scalar(qa, b))


def mul_scalar(qa: QTensor, b: float | Tensor) -> QTensor:
    """Returns ``qa * b``, by scaling the scale; a negative number mirrors the integers.

    Args are those of ``add_scalar``.
    """
    return operations.mul_scalar(qa, _number("mul_scalar", b))


def mul_scalar_relu(qa: QTensor, b: float | Tensor) -> QTensor:
    """Returns ``relu(qa * b)``; arguments are those of ``add_scalar``."""
    return torch.relu(mul_scalar(qa, b))


def add_scalar_out(qa: QTensor, b: float | Tensor, out: QTensor) -> QTensor:
    """Writes ``qa + b`` to ``out``, with the scale and zero point that follow from ``b``, and returns it."""
    return written_out(add_scalar(qa, b), _checked_out("add_scalar_out", out))


def add_scalar_relu_out(qa: QTensor, b: float | Tensor, out: QTensor) -> QTensor:
    """Writes ``relu(qa + b)`` to ``out``, with the scale and zero point that follow from ``b``, and returns it."""
    return written_out(add_scalar_relu(qa, b), _checked_out("add_scalar_relu_out", out))


def mul_scalar_out(qa: QTensor, b: float | Tensor, out: QTensor) -> QTensor:
    """Writes ``qa * b`` to ``out``, with the scale and zero point that follow from ``b``, and returns it."""
    return written_out(mul_scalar(qa, b), _checked_out("mul_scalar_out", out))


def mul_scalar_relu_out(qa: QTensor, b: float | Tensor, out: QTensor) -> QTensor:
    """Writes ``relu(qa * b)`` to ``out``, with the scale and zero point that follow from ``b``, and returns it."""
    return written_out(mul_scalar_relu(qa, b), _checked_out("mul_scalar_relu_out", out))


def matmul(qa: QTensor, qb: QTensor, scale: float, zero_point: int) -> QTensor:
    """Returns ``qa @ qb``, for vectors, matrices and batches of matrices.

    Args:
        qa: of 8 bits, with one scale.
        qb: likewise, of qa's dtype.
        scale: of the result.
        zero_point: of the result.
    """
    scale, zero_point = numbers(scale, zero_point)
    return operations.matmul(qa, qb, scale=scale, zero_point=zero_point)


def cat(qx: Sequence[QTensor], dim: int, scale: float | None, zero_point: int | None) -> QTensor:
    """Returns tensors joined along a dimension.

    Args:
        qx: of 8 bits and one dtype, each with a scale and zero point of its own.
        dim: the dimension.
        scale: of the result; the first tensor's if None.
        zero_point: of the result; the first tensor's if None.

    Raises:
        TypeError: if one is not quantized.
        ValueError: if there is none, or one has several scales or not 8 bits.
    """
    if not qx:
        raise ValueError("cat takes at least one tensor, got none")
    scale = qx[0].q_scale() if scale is None else scale
    zero_point = qx[0].q_zero_point() if zero_point is None else zero_point
    scale, zero_point = numbers(scale, zero_point)
    return operations.cat(qx, dim, scale=scale, zero_point=zero_point)


def cat_relu(qx: Sequence[QTensor], dim: int, scale: float | None, zero_point: int | None) -> QTensor:
    """Returns the relu of what ``cat`` returns; arguments are its."""
    return torch.relu(cat(qx, dim, scale, zero_point))


def cat_out(qx: Sequence[QTensor], dim: int, out: QTensor) -> QTensor:
    """Writes tensors joined along a dimension to ``out``, with its scale and zero point, and returns it."""
    qparams = (_checked_out("cat_out", out)._scale, out._zero_point)
    return written_out(cat(qx, dim, *qparams), out)


def cat_relu_out(qx: Sequence[QTensor], dim: int, out: QTensor) -> QTensor:
    """Writes the relu of tensors joined along a dimension to ``out``, and returns it; see ``cat_out``."""
    qparams = (_checked_out("cat_relu_out", out)._scale, out._zero_point)
    return written_out(cat_relu(qx, dim, *qparams), out)


def _combined(
    name: str, of_two: Callable, of_scalar: Callable, qa: Any, qb: Any, scale: Any, zero_point: Any, out: Any
) -> QTensor:
    """Computes what the overloads of a function ask for, which their arguments tell apart."""
    if isinstance(scale, QTensor):
        scale, out = None, scale
    out = None if out is None else _checked_out(name, out)
    given = (scale is not None) + (zero_point is not None)
    if isinstance(qa, (int, float)) or isinstance(qb, (int, float)):
        if given:
            raise TypeError(f"{name} with a number takes no scale and zero_point, got {scale} and {zero_point}")
        return written_out(of_scalar(qb, qa) if isinstance(qa, (int, float)) else of_scalar(qa, qb), out)
    if given != (0 if out is not None else 2):
        raise TypeError(
            f"{name} of two tensors takes scale and zero_point, or out, got {scale}, {zero_point} and "
            f"{'no out' if out is None else 'out'}"
        )
    scale, zero_point = numbers(scale, zero_point) if out is None else (out._scale, out._zero_point)
    return written_out(of_two(qa, qb, scale=scale, zero_point=zero_point), out)


def _checked_out(name: str, out: Any) -> QTensor:
    if not isinstance(out, QTensor) or out._axis is not None:
        given = "one quantized per channel" if isinstance(out, QTensor) else f"a {type(out).__name__}"
        raise TypeError(f"{name} writes to a QTensor with one scale, got {given}")
    return out


def _number(name: str, b: Any) -> float:
    if isinstance(b, Tensor) and b.numel() != 1:
        raise ValueError(f"{name} takes a number or a tensor of one, got one of shape {tuple(b.shape)}")
    number = b.item() if isinstance(b, Tensor) else b
    if not isinstance(number, (int, float)):
        raise TypeError(f"{name} takes a number or a tensor of one, got a {type(b).__name__}")
    return number
