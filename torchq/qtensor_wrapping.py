"""QTensors of integers that are there already, or that are yet to come: torch's names for both."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from torchq.dtypes import QDtype, as_qdtype, qdtype_of_storage, quint4x2
from torchq.ops.quantize import check_qparams
from torchq.qtensor import QTensor
from torchq.qtensor_creation import check_four_bits, checked_channels, numbers
from torchq.qtensor_packed import PackedQTensor


def _make_per_tensor_quantized_tensor(input: Tensor, scale: float, zero_point: int) -> QTensor:
    """Returns a QTensor of integers that are there already; they are copied.

    Args:
        input: uint8, int8 or int32, of any shape and layout.
        scale: finite, above 0.
        zero_point: in the dtype's range.

    Raises:
        ValueError: if scale or zero point are out of range.
        TypeError: if the input has another dtype, or the zero point is no integer.
    """
    scale, zero_point = numbers(scale, zero_point)
    check_qparams(scale, zero_point, _integers(input).dtype)
    return QTensor(input.clone(), scale, zero_point)


def _make_per_channel_quantized_tensor(input: Tensor, scale: Tensor, zero_point: Tensor, axis: int) -> QTensor:
    """Returns a QTensor per channel of integers that are there already; they are copied.

    Args:
        input: uint8, int8 or int32, of any shape and layout.
        scale: ``[input.size(axis)]``, finite, above 0.
        zero_point: ``[input.size(axis)]``, in the dtype's range; or floating, for 8 bits.
        axis: the dimension of the channels, from ``-input.dim()``.

    Raises:
        ValueError: if a scale or zero point is out of range, or there are not as many as channels.
        TypeError: if a dtype is another one.
        IndexError: if the input has no such dimension.
    """
    dtype = qdtype_of_storage(_integers(input).dtype)
    axis, scale, zero_point = checked_channels(input.shape, scale, zero_point, axis, dtype)
    return QTensor(input.clone(), scale, zero_point, axis)


def _integers(input: Any) -> Tensor:
    if isinstance(input, QTensor) or not isinstance(input, Tensor):
        raise TypeError(f"input must be a plain tensor of uint8, int8 or int32, got {type(input).__name__}")
    return input


def _empty_affine_quantized(
    size: Sequence[int],
    *,
    dtype: Any,
    scale: float = 1.0,
    zero_point: int = 0,
    device: torch.device | str | None = None,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> QTensor:
    """Returns a QTensor whose integers are whatever is in memory.

    Args:
        size: its shape.
        dtype: ``torchq.quint8``, ``torchq.qint8``, ``torchq.qint32`` or ``torchq.quint4x2``, or torch's objects of
            these names.
        scale: finite, above 0.
        zero_point: in the dtype's range.
        device: the CPU if None.
        memory_format: how it lies in memory.

    Raises:
        ValueError: if scale or zero point are out of range.
        TypeError: if dtype is none of these, or the zero point no integer.
    """
    dtype = as_qdtype(dtype)
    scale, zero_point = numbers(scale, zero_point)
    if dtype is quint4x2:
        check_four_bits(scale, zero_point)
    else:
        check_qparams(scale, zero_point, dtype.storage_dtype)
    return _empty(size, scale, zero_point, None, dtype, device, memory_format)


def _empty_per_channel_affine_quantized(
    size: Sequence[int],
    *,
    scales: Tensor,
    zero_points: Tensor,
    axis: int,
    dtype: Any,
    device: torch.device | str | None = None,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> QTensor:
    """Returns a QTensor per channel whose integers are whatever is in memory.

    Args:
        size: its shape.
        scales: ``[size[axis]]``, finite, above 0.
        zero_points: ``[size[axis]]``, in the dtype's range; or floating, for at most 8 bits.
        axis: the dimension of the channels, from ``-len(size)``.
        dtype: as ``torchq.quantize_per_channel`` takes it.
        device: the CPU if None.
        memory_format: how it lies in memory.

    Raises:
        ValueError: if a scale or zero point is out of range, or there are not as many as channels.
        TypeError: if a dtype is another one.
        IndexError: if there is no such dimension.
    """
    dtype = as_qdtype(dtype)
    axis, scales, zero_points = checked_channels(size, scales, zero_points, axis, dtype)
    return _empty(size, scales.to(device), zero_points.to(device), axis, dtype, device, memory_format)


def empty_quantized(
    size: Sequence[int],
    qtensor: QTensor,
    *,
    device: torch.device | str | None = None,
    memory_format: torch.memory_format | None = None,
) -> QTensor:
    """Returns a QTensor with the dtype, scale and zero point of another, whose integers are whatever is in memory.

    Args:
        size: its shape.
        qtensor: whose dtype, scale and zero point it has.
        device: that of ``qtensor`` if None.
        memory_format: how it lies in memory; contiguous if None.

    Raises:
        ValueError: if ``qtensor`` is per channel, and the size along its axis another.
        TypeError: if it is no QTensor.
    """
    if not isinstance(qtensor, QTensor):
        raise TypeError(f"qtensor must be a QTensor, got {type(qtensor).__name__}")
    device = qtensor.device if device is None else device
    scale, zero_point, axis = qtensor._scale, qtensor._zero_point, qtensor._axis
    if axis is not None:
        if len(size) <= axis or size[axis] != len(scale):
            raise ValueError(f"size must have {len(scale)} channels along axis {axis}, got {tuple(size)}")
        scale, zero_point = scale.to(device), zero_point.to(device)
    return _empty(size, scale, zero_point, axis, qtensor.qdtype, device, memory_format or torch.contiguous_format)


def _empty(
    size: Sequence[int],
    scale: float | Tensor,
    zero_point: int | Tensor,
    axis: int | None,
    dtype: QDtype,
    device: torch.device | str | None,
    memory_format: torch.memory_format,
) -> QTensor:
    if dtype is quint4x2:
        if memory_format is not torch.contiguous_format:
            raise ValueError(f"memory_format of a {dtype} QTensor must be torch.contiguous_format, got {memory_format}")
        packed = torch.empty((torch.Size(size).numel() + 1) // 2, dtype=torch.uint8, device=device)
        return PackedQTensor(packed, size, scale, zero_point, axis)
    data = torch.empty(size, dtype=dtype.storage_dtype, device=device, memory_format=memory_format)
    return QTensor(data, scale, zero_point, axis)
