"""Quantizing: QTensors of float tensors."""

import math
import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from torchq import ops
from torchq.dtypes import QDtype, as_qdtype, qint8, qint32, quint4x2, quint8
from torchq.ops.quantize import channel_qparams, check_qparams
from torchq.qtensor import QTensor
from torchq.qtensor_arithmetic import quantize_float_zero_points, quantize_to_four_bits
from torchq.qtensor_packed import pack
from torchq.qtensor_qparams import choose_dynamic_qparams


def quantize_per_tensor(
    input: Tensor | Sequence[Tensor] | None = None,
    scale: float | Tensor | None = None,
    zero_point: int | Tensor | None = None,
    dtype: Any = None,
    *,
    tensors: Sequence[Tensor] | None = None,
    scales: Tensor | None = None,
    zero_points: Tensor | None = None,
) -> QTensor | tuple[QTensor, ...]:
    """Quantizes a float tensor with one scale and zero point, or several tensors with one of each.

    To 8 bits ``q = clamp(round_half_even(fma(x, 1 / scale, zero_point)), qmin, qmax)``, the integers of
    ``torch.quantize_per_tensor``. NaN becomes qmax.

    Args:
        input: float32, of any shape and layout; float16, bfloat16 and float64 are converted to float32 first. Or a
            list or tuple of such tensors.
        scale: finite, above 0: the step between neighbouring values. For several tensors, one for each: ``[n]``.
        zero_point: the integer that stands for 0.0, in the dtype's range. For several tensors ``[n]``.
        dtype: ``torchq.quint8``, ``torchq.qint8``, ``torchq.qint32`` or ``torchq.quint4x2``, or torch's objects of
            these names.
        tensors: several tensors by torch's other name.
        scales: theirs.
        zero_points: theirs.

    Returns:
        The QTensor; for several tensors a tuple of them.

    Raises:
        ValueError: if scale or zero point are out of range, or not as many as tensors.
        TypeError: if dtype is none of these, the zero point no integer, or the input quantized already.

    Example:
        >>> q = torchq.quantize_per_tensor(torch.tensor([-1.0, 0.0, 1.0, 100.0]), 0.1, 10, torchq.quint8)
        >>> q.int_repr()
        tensor([  0,  10,  20, 255], dtype=torch.uint8)
        >>> q.dequantize()
        tensor([-1.0000,  0.0000,  1.0000, 24.5000])
    """
    if tensors is not None:
        if input is not None:
            raise TypeError("quantize_per_tensor takes input or tensors, got both")
        input, scale, zero_point = tensors, scales, zero_points
    if isinstance(input, (list, tuple)):
        return _quantize_each(input, scale, zero_point, as_qdtype(dtype))
    _require_float(input)
    scale, zero_point = numbers(scale, zero_point)
    qdtype = as_qdtype(dtype)
    if qdtype is quint4x2:
        check_four_bits(scale, zero_point)
        return pack(QTensor(quantize_to_four_bits(input, scale, zero_point), scale, zero_point))
    return QTensor(ops.quantize_per_tensor(input, scale, zero_point, qdtype.storage_dtype), scale, zero_point)


def _quantize_each(tensors: Sequence[Tensor], scales: Any, zero_points: Any, dtype: QDtype) -> tuple[QTensor, ...]:
    given = [len(of_each) if hasattr(of_each, "__len__") else of_each for of_each in (scales, zero_points)]
    if given != [len(tensors)] * 2:
        raise ValueError(f"{len(tensors)} tensors take as many scales and zero points, got {given[0]} and {given[1]}")
    qparams = zip(tensors, scales, zero_points, strict=True)
    return tuple(quantize_per_tensor(tensor, scale, zero_point, dtype) for tensor, scale, zero_point in qparams)


def _require_float(input: Any) -> None:
    if isinstance(input, QTensor):
        raise TypeError("input is a QTensor already, got one to quantize; dequantize() it first")
    if not isinstance(input, Tensor):
        raise TypeError(f"input must be a tensor, got {input!r}")


def numbers(scale: Any, zero_point: Any) -> tuple[float, int]:
    """Returns scale and zero point as Python numbers; a TypeError if they are none."""
    try:
        return float(scale), operator.index(zero_point)
    except TypeError:
        raise TypeError(f"scale must be a number and zero_point an integer, got {scale!r} and {zero_point!r}") from None


def check_four_bits(scale: float, zero_point: int) -> None:
    """Raises a ValueError, naming the value, unless scale and zero point can quantize to ``quint4x2``."""
    check_qparams(scale, 0, torch.uint8)
    if not quint4x2.qmin <= zero_point <= quint4x2.qmax:
        allowed = f"[{quint4x2.qmin}, {quint4x2.qmax}], the range of {quint4x2}"
        raise ValueError(f"zero_point must lie in {allowed}, got {zero_point}")


def quantize_per_channel(input: Tensor, scales: Tensor, zero_points: Tensor, axis: int, dtype: Any) -> QTensor:
    """Quantizes a float tensor with a scale and zero point for each index along one dimension.

    ``q = clamp(round_half_even(float32(x * (1 / scale)) + zero_point), qmin, qmax)``, the integers of
    ``torch.quantize_per_channel``. NaN becomes qmax. Zero points of a floating dtype need be no integers: that is
    torch's scheme ``per_channel_affine_float_qparams``, for embeddings.

    Args:
        input: float32, of any shape and layout; float16, bfloat16 and float64 are converted to float32 first.
        scales: ``[input.size(axis)]``, finite, above 0.
        zero_points: ``[input.size(axis)]``: integers in the dtype's range, or any finite floats.
        axis: the dimension of the channels, from ``-input.dim()``.
        dtype: ``torchq.quint8``, ``torchq.qint8`` or ``torchq.qint32``, or torch's objects of these names. With
            floating zero points ``torchq.quint8``, ``torchq.qint8`` or ``torchq.quint4x2``.

    Raises:
        ValueError: if a scale or zero point is out of range, or there are not as many as channels.
        TypeError: if dtype is none of these, or the input quantized already.
        IndexError: if the input has no such dimension.

    Example:
        >>> x = torch.tensor([[-1.0, 0.0], [1.0, 2.0]])
        >>> scales, zero_points = torch.tensor([0.1, 0.01]), torch.tensor([10, 0])
        >>> torchq.quantize_per_channel(x, scales, zero_points, 0, torchq.quint8).int_repr()
        tensor([[  0,  10],
                [100, 200]], dtype=torch.uint8)
    """
    qdtype = as_qdtype(dtype)
    _require_float(input)
    axis, scales, zero_points = checked_channels(input.shape, scales, zero_points, axis, qdtype)
    if zero_points.is_floating_point():
        data = quantize_float_zero_points(input, scales, zero_points, axis, qdtype)
        q = QTensor(data, scales, zero_points, axis)
        return pack(q) if qdtype is quint4x2 else q
    data = ops.quantize_per_channel(input, scales, zero_points, axis, qdtype.storage_dtype)
    return QTensor(data, scales, zero_points, axis)


def checked_channels(
    shape: Sequence[int], scales: Tensor, zero_points: Tensor, axis: int, dtype: QDtype
) -> tuple[int, Tensor, Tensor]:
    """Returns the axis from 0, and scales and zero points in the dtypes that a QTensor has; or raises."""
    if not -len(shape) <= axis < len(shape):
        raise IndexError(f"axis must lie in [{-len(shape)}, {len(shape) - 1}], got {axis}")
    axis = axis % len(shape)
    floating = isinstance(zero_points, Tensor) and zero_points.is_floating_point()
    if floating and isinstance(scales, Tensor):
        scales, zero_points = (tensor.detach().to(torch.float32) for tensor in (scales, zero_points))
    else:
        scales, zero_points = channel_qparams(scales, zero_points)
        scales = scales.detach()
    if dtype is (qint32 if floating else quint4x2):
        kind = "floating" if floating else "integers"
        raise TypeError(f"{dtype} per channel takes no zero points that are {kind}, got {zero_points.dtype}")
    if scales.shape != (shape[axis],) or zero_points.shape != scales.shape:
        raise ValueError(
            f"scales and zero_points must have shape ({shape[axis]},), the input's size along axis {axis}, got "
            f"{tuple(scales.shape)} and {tuple(zero_points.shape)}"
        )
    if not torch.compiler.is_compiling():  # then the operator checks, when it runs
        for scale, zero_point in zip(scales.tolist(), zero_points.tolist(), strict=True):
            if floating and not math.isfinite(zero_point):
                raise ValueError(f"zero points must be finite, got {zero_point}")
            check_qparams(scale, 0 if floating else zero_point, dtype.storage_dtype)
    return axis, scales, zero_points


def quantize_per_tensor_dynamic(input: Tensor, dtype: Any, reduce_range: bool) -> QTensor:
    """Quantizes a float tensor with the scale and zero point that its own range asks for.

    They are those of ``torch.quantize_per_tensor_dynamic``: docs/numerics.md, Dynamic linear, has the formula.

    Args:
        input: float32, of any shape and layout, with at least one element.
        dtype: ``torchq.quint8`` or ``torchq.qint8``, or torch's objects of these names.
        reduce_range: whether to choose them for 7 bits.

    Raises:
        ValueError: if the input is empty, or has NaN or infinity.
        TypeError: if dtype is another one, or the input no float tensor.

    Example:
        >>> q = torchq.quantize_per_tensor_dynamic(torch.tensor([-1.0, 0.0, 4.1]), torchq.quint8, False)
        >>> q.q_zero_point(), q.int_repr()
        (50, tensor([  0,  50, 255], dtype=torch.uint8))
    """
    qdtype = as_qdtype(dtype)
    if qdtype not in (quint8, qint8):
        raise TypeError(f"dtype must be {quint8} or {qint8}, got {qdtype}")
    _require_float(input)
    scale, zero_point = choose_dynamic_qparams(input, qdtype.qmin, qdtype.qmax, reduce_range)
    return quantize_per_tensor(input, scale, zero_point, qdtype)
