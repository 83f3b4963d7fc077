"""Float to integers and back."""

import torch
from torch import Tensor

from torchq.dtypes import qdtype_of_storage
from torchq.ops._register import call_forward_only, empty_dense_like, forward_only, require_one_device

_ops = torch.ops.torchq


def check_qparams(scale: float, zero_point: int, dtype: torch.dtype) -> None:
    """Raises a ValueError, naming the value, unless scale and zero point can quantize to ``dtype``.

    Args:
        scale: must be finite and above 0 as a float32, and so must its reciprocal.
        zero_point: must lie in the dtype's range.
        dtype: ``torch.uint8``, ``torch.int8`` or ``torch.int32``.
    """
    if not 2.938736e-39 < scale < 3.4028235e38:
        raise ValueError(f"scale must be finite and above 0, within float32's range, got {scale}")
    qdtype = qdtype_of_storage(dtype)
    if not qdtype.qmin <= zero_point <= qdtype.qmax:
        raise ValueError(
            f"zero_point must lie in [{qdtype.qmin}, {qdtype.qmax}], the range of {dtype}, got {zero_point}"
        )


def quantize_per_tensor(input: Tensor, scale: float, zero_point: int, dtype: torch.dtype) -> Tensor:
    """Quantizes with one scale and zero point.

    To 8 bits ``q = sat(rne(fma(x, 1 / scale, zero_point)))``; to int32 the product is rounded to float32 before the
    zero point is added. NaN becomes qmax. The result is laid out in memory as the input is.

    Args:
        input: float32, of any shape and layout; float16, bfloat16 and float64 are converted to float32 first.
        scale: finite, above 0; used as float32.
        zero_point: the integer that stands for 0.0.
        dtype: ``torch.uint8``, ``torch.int8`` or ``torch.int32``.

    Returns:
        The integers, of the input's shape.

    Raises:
        ValueError: if scale or zero point are out of range.

    Example:
        >>> torchq.ops.quantize_per_tensor(torch.tensor([-1.0, 0.0, 1.0, 2.0]), 0.1, 10, torch.uint8)
        tensor([ 0, 10, 20, 30], dtype=torch.uint8)
    """
    check_qparams(scale, zero_point, dtype)
    return _ops.quantize_per_tensor.default(input, scale, zero_point, dtype)


@torch.library.register_fake("torchq::quantize_per_tensor")
def _(input: Tensor, scale: float, zero_point: int, dtype: torch.dtype) -> Tensor:
    return empty_dense_like(input, dtype)


def channel_qparams(scales: Tensor, zero_points: Tensor) -> tuple[Tensor, Tensor]:
    """Returns scales as float64 and zero points as int64; a TypeError if the latter are no integers."""
    if not (isinstance(scales, Tensor) and isinstance(zero_points, Tensor)):
        raise TypeError(f"scales and zero_points must be tensors, got {scales!r} and {zero_points!r}")
    if zero_points.is_floating_point():
        raise TypeError(f"zero_points must be integers, got {zero_points.dtype}")
    return scales.to(torch.float64), zero_points.to(torch.int64)


def quantize_per_channel(input: Tensor, scales: Tensor, zero_points: Tensor, axis: int, dtype: torch.dtype) -> Tensor:
    """Quantizes with a scale and zero point for each index along one dimension.

    ``q = sat(rne(float32(x * (1 / scale)) + zero_point))`` with the scale and zero point of the element's channel. NaN
    becomes qmax. The result is laid out in memory as the input is.

    Args:
        input: float32, of any shape and layout; float16, bfloat16 and float64 are converted to float32 first.
        scales: ``[input.size(axis)]``, floating; used as float32.
        zero_points: ``[input.size(axis)]``, integers.
        axis: the dimension of the channels, from ``-input.dim()``.
        dtype: ``torch.uint8``, ``torch.int8`` or ``torch.int32``.

    Returns:
        The integers, of the input's shape.

    Example:
        >>> x = torch.tensor([[-1.0, 0.0], [1.0, 2.0]])
        >>> scales, zero_points = torch.tensor([0.1, 0.01]), torch.tensor([10, 0])
        >>> torchq.ops.quantize_per_channel(x, scales, zero_points, 0, torch.uint8)
        tensor([[  0,  10],
                [100, 200]], dtype=torch.uint8)
    """
    return _ops.quantize_per_channel.default(input, *channel_qparams(scales, zero_points), axis, dtype)


@torch.library.register_fake("torchq::quantize_per_channel")
def _(input: Tensor, scales: Tensor, zero_points: Tensor, axis: int, dtype: torch.dtype) -> Tensor:
    require_one_device(input, scales, zero_points)
    return empty_dense_like(input, dtype)


def dequantize_per_tensor(input: Tensor, scale: float, zero_point: int) -> Tensor:
    """Returns the float32 values ``(input - zero_point) * scale``.

    The difference is exact and rounded once to float32. The result is laid out in memory as the input is.

    Args:
        input: uint8, int8 or int32, of any shape and layout.
        scale: finite, above 0; used as float32.
        zero_point: in the range of the input's dtype.
    """
    return _ops.dequantize_per_tensor.default(input, scale, zero_point)


@torch.library.register_fake("torchq::dequantize_per_tensor")
def _(input: Tensor, scale: float, zero_point: int) -> Tensor:
    return empty_dense_like(input, torch.float32)


def dequantize_per_channel(input: Tensor, scales: Tensor, zero_points: Tensor, axis: int) -> Tensor:
    """Returns the float32 values ``(input - zero_point) * scale``, with those of each element's channel.

    The difference is taken in float32, the product in float64.

    Args:
        input: uint8, int8 or int32, of any shape and layout.
        scales: ``[input.size(axis)]``, floating; used as float64.
        zero_points: ``[input.size(axis)]``, integers.
        axis: the dimension of the channels, from ``-input.dim()``.
    """
    return call_forward_only(_ops.dequantize_per_channel.default, input, *channel_qparams(scales, zero_points), axis)


@torch.library.register_fake("torchq::dequantize_per_channel")
def _(input: Tensor, scales: Tensor, zero_points: Tensor, axis: int) -> Tensor:
    require_one_device(input, scales, zero_points)
    return empty_dense_like(input, torch.float32)


forward_only("dequantize_per_channel")
