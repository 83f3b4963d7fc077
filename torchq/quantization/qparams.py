"""From an observed range to a scale and a zero point, with torch.ao's float operations."""

import torch

from torchq.dtypes import QDtype, quint8


def quantization_range(
    dtype: QDtype, reduce_range: bool = False, quant_min: int | None = None, quant_max: int | None = None
) -> tuple[int, int]:
    """Returns the smallest and largest integer that an observer may use.

    ``reduce_range`` halves both ends, whether they are the dtype's or the caller's: the one bit that
    kernels with saturating 16-bit sums need. torchq's kernels do not need it.

    Args:
        dtype: the quantized dtype whose range bounds the result.
        reduce_range: give up one bit.
        quant_min: the caller's own lower end; needs ``quant_max`` beside it.
        quant_max: the caller's own upper end.

    Raises:
        ValueError: if only one end is given, or the ends are not ``qmin <= quant_min <= 0 <= quant_max <= qmax``.
    """
    if (quant_min is None) != (quant_max is None):
        raise ValueError(f"give both quant_min and quant_max or neither, got {quant_min} and {quant_max}")
    if quant_min is None:
        quant_min, quant_max = dtype.qmin, dtype.qmax
        # torch.ao reduces the 8-bit dtypes only, when the range is the dtype's own.
        reduce_range = reduce_range and dtype.storage_dtype.itemsize == 1
    elif not (dtype.qmin <= quant_min <= 0 <= quant_max <= dtype.qmax and quant_min < quant_max):
        raise ValueError(
            f"quant_min and quant_max of {dtype} must enclose 0 and lie in [{dtype.qmin}, {dtype.qmax}], "
            f"got [{quant_min}, {quant_max}]"
        )
    return (quant_min // 2, quant_max // 2) if reduce_range else (quant_min, quant_max)


def symmetric_zero_point(dtype: QDtype, quant_min: int, quant_max: int, customized: bool) -> int:
    """Returns the zero point of a symmetric scheme: 0 for signed dtypes, the middle for ``quint8``.

    Args:
        dtype: the quantized dtype.
        quant_min: lower end of the quantization range.
        quant_max: upper end of the quantization range.
        customized: whether the range was the caller's. The middle of quint8's own range is 128, that of a
            caller's range is rounded down.
    """
    if dtype is not quint8:
        return 0
    return (quant_min + quant_max) // 2 if customized else 128


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


def _enclose_zero(min_val: torch.Tensor, max_val: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return min_val.clamp(max=0), max_val.clamp(min=0)
