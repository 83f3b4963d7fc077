"""Moving QTensors per channel: where the channels are afterwards, and which of them."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from torchq.qtensor import QTensor


def of_views(q: QTensor, move: Callable[[Tensor], Any]) -> Any:
    """Moves a per channel QTensor by a function that views its input.

    A tensor of q's shape that advances along the axis only goes the same way; its strides say where that dimension is
    afterwards, and which part of the channels is left.

    Args:
        q: per channel.
        move: the function, of integers.

    Returns:
        The QTensor, or several. Per tensor where one channel is left and no dimension for it; NotImplemented where no
        single dimension has the channels, such as when they were flattened together with another.
    """
    return _follow(q, move, _strided(q), _with_strided_channels)


def _strided(q: QTensor) -> Tensor:
    # In steps of 2, which tells a dimension put in anew at the end, whose stride is 1, from that of the channels.
    strides = [2 if dim == q._axis else 0 for dim in range(q.dim())]
    return torch.empty_strided(q._data.shape, strides, device="meta")


def of_cuts(q: QTensor, move: Callable[[Tensor], Any]) -> Any:
    """As ``of_views``, by a function that cuts out a part; of one channel it is per tensor, as torch has it."""
    return _follow(q, move, _strided(q), _with_strided_channels_cut)


def of_copies(q: QTensor, move: Callable[[Tensor], Any]) -> Any:
    """As ``of_views``, by a function that copies: a tensor of the channels' numbers goes the same way."""
    shape = [-1 if dim == q._axis else 1 for dim in range(q.dim())]
    numbers = torch.arange(q._data.shape[q._axis], device=q._data.device).view(shape).expand(q._data.shape)
    return _follow(q, move, numbers.contiguous(), _with_numbered_channels)


def _follow(q: QTensor, move: Callable[[Tensor], Any], channels: Tensor, attach: Callable) -> Any:
    moved, channels = move(q._data), move(channels)
    if isinstance(moved, Tensor):
        return attach(q, moved, channels)
    parts: Sequence[Any] = [attach(q, *pair) for pair in zip(moved, channels, strict=True)]
    return NotImplemented if any(part is NotImplemented for part in parts) else type(moved)(parts)


def _with_strided_channels(q: QTensor, data: Tensor, channels: Tensor) -> Any:
    dims, strides, first = range(data.dim()), channels.stride(), channels.storage_offset() // 2
    long = [dim for dim in dims if channels.size(dim) > 1 and strides[dim]]
    if len(long) > 1 or any(strides[dim] % 2 for dim in long):  # odd, where it is no view but a copy
        return NotImplemented
    # One channel of many has its stride; so has a dimension put in before it.
    candidates = long or [dim for dim in dims if strides[dim] and strides[dim] % 2 == 0]
    if not candidates:
        return _one_channel(q, data, first)
    axis = candidates[-1]
    step, size = strides[axis] // 2, channels.size(axis)
    return _some_channels(q, data, axis, slice(first, first + step * max(size - 1, 0) + min(size, 1), step))


def _with_strided_channels_cut(q: QTensor, data: Tensor, channels: Tensor) -> Any:
    part = _with_strided_channels(q, data, channels)
    if not isinstance(part, QTensor) or part._axis is None or len(part._scale) != 1:
        return part
    alone = _one_channel(part, data, 0)
    return part if alone is NotImplemented else alone


def _with_numbered_channels(q: QTensor, data: Tensor, channels: Tensor) -> Any:
    if not channels.dim():
        return _one_channel(q, data, int(channels))
    if not channels.numel():  # of no elements, so of any channels
        return _some_channels(q, data, q._axis, slice(data.shape[q._axis])) if data.dim() > q._axis else NotImplemented
    for axis in sorted(range(data.dim()), key=lambda dim: dim != q._axis):
        along = channels.movedim(axis, -1)
        numbers = along.reshape(-1, along.shape[-1])[0]
        if torch.equal(numbers.expand(along.shape), along):
            return _some_channels(q, data, axis, numbers)
    return NotImplemented


def _one_channel(q: QTensor, data: Tensor, channel: int) -> Any:
    if q._zero_point.is_floating_point() or q._scale.is_meta or channel >= len(q._scale):
        return NotImplemented
    return QTensor(data, q._scale[channel].item(), int(q._zero_point[channel]))


def _some_channels(q: QTensor, data: Tensor, axis: int, which: Any) -> Any:
    scale, zero_point = q._scale[which], q._zero_point[which]
    return QTensor(data, scale, zero_point, axis) if len(scale) == data.shape[axis] else NotImplemented
