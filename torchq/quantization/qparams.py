"""From an observed range to a scale and a zero point, with torch.ao's float operations."""

import torch

from torchq.dtypes import (
    QDtype,
    QScheme,
    as_qdtype,
    per_channel_affine_float_qparams,
    per_channel_symmetric,
    per_tensor_symmetric,
    quint8,
)

# What a grid may be made of: torchq's dtypes, or plain integers, which torch.ao's observers take too.
GridDtype = QDtype | torch.dtype
_PLAIN_DTYPES = (torch.uint8, torch.int8, torch.uint16, torch.int16, torch.int32)
# The zero point of a symmetric scheme on unsigned integers: the middle of their own range.
_MIDDLES = {quint8: 128, torch.uint8: 128, torch.uint16: 2**15}


def as_grid_dtype(dtype: object) -> GridDtype:
    """Returns what an observer's ``dtype`` means: a ``QDtype``, or a plain integer ``torch.dtype`` as it is.

    Raises:
        TypeError: for anything else.
    """
    if isinstance(dtype, torch.dtype) and dtype in _PLAIN_DTYPES:
        return dtype
    try:
        return as_qdtype(dtype)
    except TypeError as error:
        raise TypeError(f"{error}; observers also take {', '.join(map(str, _PLAIN_DTYPES))}") from None


def to_underlying_dtype(qdtype: object) -> torch.dtype:
    """Returns the plain dtype whose values stand for those of an observer's ``dtype``.

    Raises:
        TypeError: for what is none.
    """
    dtype = as_grid_dtype(qdtype)
    return dtype.storage_dtype if isinstance(dtype, QDtype) else dtype


def dtype_range(dtype: GridDtype) -> tuple[int, int]:
    """Returns the smallest and largest integer of a dtype."""
    if isinstance(dtype, QDtype):
        return dtype.qmin, dtype.qmax
    info = torch.iinfo(dtype)
    return info.min, info.max


def validate_qmin_qmax(quant_min: int, quant_max: int) -> None:
    """Checks that a caller's quantization range holds 0 and more than one integer.

    Args:
        quant_min: lower end.
        quant_max: upper end.

    Raises:
        ValueError: if not ``quant_min <= 0 <= quant_max``, or if both are 0.
    """
    if not (quant_min <= 0 <= quant_max and quant_min < quant_max):
        raise ValueError(f"quant_min and quant_max must enclose 0 and differ, got [{quant_min}, {quant_max}]")


def quantization_range(
    dtype: GridDtype, reduce_range: bool = False, quant_min: int | None = None, quant_max: int | None = None
) -> tuple[int, int]:
    """Returns the smallest and largest integer that an observer may use.

    ``reduce_range`` halves both ends, whether they are the dtype's or the caller's: the one bit that
    kernels with saturating 16-bit sums need. torchq's kernels do not need it.

    Args:
        dtype: the dtype whose range bounds the result.
        reduce_range: give up one bit.
        quant_min: the caller's own lower end; needs ``quant_max`` beside it.
        quant_max: the caller's own upper end.

    Raises:
        ValueError: if only one end is given, or the ends are not ``qmin <= quant_min <= 0 <= quant_max <= qmax``.
    """
    if (quant_min is None) != (quant_max is None):
        raise ValueError(f"give both quant_min and quant_max or neither, got {quant_min} and {quant_max}")
    qmin, qmax = dtype_range(dtype)
    if quant_min is None:
        quant_min, quant_max = qmin, qmax
        # torch.ao reduces the 8-bit dtypes only, when the range is the dtype's own.
        reduce_range = reduce_range and qmax - qmin == 255
    else:
        validate_qmin_qmax(quant_min, quant_max)
        if quant_min < qmin or quant_max > qmax:
            raise ValueError(
                f"quant_min and quant_max of {dtype} must lie in [{qmin}, {qmax}], got [{quant_min}, {quant_max}]"
            )
    return (quant_min // 2, quant_max // 2) if reduce_range else (quant_min, quant_max)


def check_min_max_valid(min_val: torch.Tensor, max_val: torch.Tensor) -> bool:
    """Returns whether a recorded range holds data.

    Args:
        min_val: ``[]`` or ``[C]``; without data it has no elements or is infinity.
        max_val: the same; without data minus infinity.

    Raises:
        ValueError: if a minimum is larger than its maximum.
    """
    if min_val.numel() == 0 or max_val.numel() == 0:
        return False
    if ((min_val == float("inf")) & (max_val == float("-inf"))).all():
        return False
    if not (min_val <= max_val).all():
        raise ValueError(f"a minimum is not below its maximum: {min_val} and {max_val}")
    return True


def is_symmetric(qscheme: QScheme) -> bool:
    """Returns whether a scheme puts zero in the middle of the range."""
    return qscheme in (per_tensor_symmetric, per_channel_symmetric)


def choose_qparams(
    min_val: torch.Tensor,
    max_val: torch.Tensor,
    quant_min: int,
    quant_max: int,
    dtype: GridDtype,
    eps: torch.Tensor,
    has_customized_qrange: bool,
    qscheme: QScheme,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns scale and zero point for a range, by the rule of its scheme.

    Args:
        min_val: float32 ``[]`` or ``[C]``.
        max_val: float32, the same shape.
        quant_min: smallest integer.
        quant_max: largest integer.
        dtype: the dtype of the integers.
        eps: float32 ``[1]``, the smallest scale.
        has_customized_qrange: whether the caller gave ``quant_min`` and ``quant_max``.
        qscheme: how scales are shared and chosen.

    Returns:
        scale: float32 ``[1]`` or ``[C]``.
        zero_point: int64 of the same shape; float32 for ``per_channel_affine_float_qparams``.

    Raises:
        ValueError: if the range is too wide for a float32 scale.
    """
    ends = (min_val, max_val, quant_min, quant_max, eps)
    if is_symmetric(qscheme):
        middle = symmetric_zero_point(dtype, quant_min, quant_max, has_customized_qrange)
        scale, zero_point = symmetric_qparams(*ends, middle)
    elif qscheme is per_channel_affine_float_qparams:
        scale, zero_point = float_qparams(*ends)
    else:
        scale, zero_point = affine_qparams(*ends)
    if not torch.isfinite(scale).all():
        raise ValueError(f"[{min_val.min()}, {max_val.max()}] is too wide for a float32 scale")
    return scale, zero_point


def symmetric_zero_point(dtype: GridDtype, quant_min: int, quant_max: int, customized: bool) -> int:
    """Returns the zero point of a symmetric scheme: 0 for signed dtypes, the middle for unsigned ones.

    Args:
        dtype: the dtype of the integers.
        quant_min: lower end of the quantization range.
        quant_max: upper end of the quantization range.
        customized: whether the range was the caller's. The middle of 8 bits' own range is 128, that of a
            caller's range is rounded down.
    """
    if customized and dtype in (quint8, torch.uint8):
        return (quant_min + quant_max) // 2
    return _MIDDLES.get(dtype, 0)


def affine_qparams(
    min_val: torch.Tensor, max_val: torch.Tensor, quant_min: int, quant_max: int, eps: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps ``[min(min_val, 0), max(max_val, 0)]`` onto ``[quant_min, quant_max]``.

    ``scale = max((max - min) / (quant_max - quant_min), eps)``,
    ``zero_point = clamp(quant_min - rne(min / scale), quant_min, quant_max)``, in float32. The range always
    holds 0, so that zero padding and relu are exact.

    Args:
        min_val: float32 ``[]`` or ``[C]``.
        max_val: float32, the same shape.
        quant_min: smallest integer.
        quant_max: largest integer.
        eps: float32 ``[1]``, the smallest scale.

    Returns:
        scale: float32 ``[1]`` or ``[C]``.
        zero_point: int64, the same shape.
    """
    min_neg, max_pos = _enclose_zero(min_val, max_val)
    scale = torch.max((max_pos - min_neg) / float(quant_max - quant_min), eps)
    zero_point = quant_min - torch.round(min_neg / scale).to(torch.int64)
    return scale, zero_point.clamp(quant_min, quant_max)


def symmetric_qparams(
    min_val: torch.Tensor, max_val: torch.Tensor, quant_min: int, quant_max: int, eps: torch.Tensor, zero_point: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps ``[-a, a]`` with ``a = max(|min_val|, |max_val|)`` onto the range, with a given zero point.

    ``scale = max(a / ((quant_max - quant_min) / 2), eps)`` in float32.

    Args:
        min_val: float32 ``[]`` or ``[C]``.
        max_val: float32, the same shape.
        quant_min: smallest integer.
        quant_max: largest integer.
        eps: float32 ``[1]``, the smallest scale.
        zero_point: see ``symmetric_zero_point``.

    Returns:
        scale: float32 ``[1]`` or ``[C]``.
        zero_point: int64, the same shape.
    """
    min_neg, max_pos = _enclose_zero(min_val, max_val)
    scale = torch.max(torch.max(-min_neg, max_pos) / (float(quant_max - quant_min) / 2), eps)
    return scale, torch.full_like(scale, zero_point, dtype=torch.int64)


def float_qparams(
    min_val: torch.Tensor, max_val: torch.Tensor, quant_min: int, quant_max: int, eps: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps ``[min_val, max_val]`` onto the range with a zero point that is no integer, as embeddings have it.

    ``scale = (max - min) / (quant_max - quant_min)``, or 1 where that is not above ``eps``;
    ``zero_point = -min / scale``, in float32. The range need not hold 0; ``min_val`` becomes the integer 0.

    Args:
        min_val: float32 ``[C]``.
        max_val: float32, the same shape.
        quant_min: smallest integer.
        quant_max: largest integer.
        eps: float32 ``[1]``, the smallest scale.

    Returns:
        scale: float32 ``[C]``.
        zero_point: float32, the same shape.
    """
    scale = (max_val - min_val) / float(quant_max - quant_min)
    scale = torch.where(scale > eps, scale, torch.ones_like(scale))
    return scale, -1 * min_val / scale


def _enclose_zero(min_val: torch.Tensor, max_val: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return min_val.clamp(max=0), max_val.clamp(min=0)
