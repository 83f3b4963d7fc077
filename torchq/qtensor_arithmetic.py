"""The arithmetic of what has no kernel, in torch operations: floating zero points, and four bits a value."""

import torch
from torch import Tensor

from torchq.dtypes import QDtype, quint4x2

_FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def _float32(input: Tensor) -> Tensor:
    if input.dtype not in _FLOATS:
        dtype = str(input.dtype).removeprefix("torch.")
        raise RuntimeError(f"input must be float32, float64, float16 or bfloat16, got {dtype}")
    return input.detach().to(torch.float32)


def _saturated(rounded: Tensor, dtype: QDtype) -> Tensor:
    return rounded.clamp_(dtype.qmin, dtype.qmax).nan_to_num_(nan=dtype.qmax).to(dtype.storage_dtype)


def _along(axis: int, dims: int) -> list[int]:
    return [-1 if dim == axis else 1 for dim in range(dims)]


def quantize_float_zero_points(input: Tensor, scales: Tensor, zero_points: Tensor, axis: int, dtype: QDtype) -> Tensor:
    """Quantizes with a scale, and a zero point that is no integer, for each index along one dimension.

    ``q = sat(rne(float32(x * (1 / scale)) + zero_point))``; NaN becomes qmax.

    Args:
        input: float32, of any shape and layout; float16, bfloat16 and float64 are converted to float32 first.
        scales: float32 ``[input.size(axis)]``.
        zero_points: float32 ``[input.size(axis)]``.
        axis: the dimension of the channels.
        dtype: one of 8 bits or fewer.

    Returns:
        The integers, of the input's shape.
    """
    shape = _along(axis, input.dim())
    scaled = _float32(input) * scales.reciprocal().view(shape) + zero_points.view(shape)
    return _saturated(scaled.round_(), dtype)


def dequantize_float_zero_points(data: Tensor, scales: Tensor, zero_points: Tensor, axis: int) -> Tensor:
    """Returns ``float32(float32(q) - zero_point) * scale``, with those of each element's channel.

    Args:
        data: the integers.
        scales: float32 ``[data.size(axis)]``.
        zero_points: float32 ``[data.size(axis)]``.
        axis: the dimension of the channels.
    """
    shape = _along(axis, data.dim())
    return (data.to(torch.float32) - zero_points.view(shape)).mul_(scales.view(shape))


def quantize_to_four_bits(input: Tensor, scale: float, zero_point: int) -> Tensor:
    """Quantizes to ``quint4x2`` with one scale and zero point; the integers are not packed yet.

    ``q = sat(rne(x * (1 / scale)) + zero_point)``: here torch rounds before it adds the zero point. NaN becomes 15.

    Args:
        input: float32, of any shape and layout; float16, bfloat16 and float64 are converted to float32 first.
        scale: used as float32.
        zero_point: 0 to 15.
    """
    reciprocal = torch.tensor(scale, dtype=torch.float32).reciprocal().item()
    return _saturated((_float32(input) * reciprocal).round_().add_(zero_point), quint4x2)


def pack_four_bits(data: Tensor) -> Tensor:
    """Puts two values in a byte, the first of them in its lower half, in the order of the elements.

    Args:
        data: uint8, 0 to 15, of any shape.

    Returns:
        uint8 ``[ceil(data.numel() / 2)]``; with an odd number of values the last half byte is 0.
    """
    pairs = torch.nn.functional.pad(data.reshape(-1), (0, data.numel() % 2)).view(-1, 2)
    return pairs[:, 0] | pairs[:, 1] << 4


def unpack_four_bits(packed: Tensor, shape: torch.Size) -> Tensor:
    """Returns the values that ``pack_four_bits`` packed, uint8 of the given shape."""
    pairs = torch.stack([packed & 15, packed >> 4], 1)
    return pairs.view(-1)[: shape.numel()].view(shape)
