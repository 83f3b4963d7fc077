"""What puts tensors together: with the scale and zero point of the first."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from torchq import ops
from torchq.qtensor import QTensor
from torchq.qtensor_functions.copying import written_out
from torchq.qtensor_functions.table import implements, per_tensor


def _integers(tensors: Sequence[Any], like: Any) -> Any:
    """Returns the integers of per tensor QTensors, requantized where scale or zero point are not those of ``like``."""
    if not isinstance(like, QTensor) or like._axis is not None:
        return NotImplemented
    parts = []
    for tensor in tensors:
        if not isinstance(tensor, QTensor) or tensor._axis is not None or tensor._data.dtype != like._data.dtype:
            return NotImplemented
        if tensor._scale == like._scale and tensor._zero_point == like._zero_point:
            parts.append(tensor._data)
        else:
            values, dtype = tensor.dequantize(), like._data.dtype
            parts.append(ops.quantize_per_tensor(values, like._scale, like._zero_point, dtype))
    return parts


def _joined(join: Callable, tensors: Sequence[Any], out: Any) -> Any:
    like = tensors[0] if out is None else out
    parts = _integers(tensors, like)
    if parts is NotImplemented:
        return NotImplemented
    return written_out(like._with_data(join(parts)), out)


@implements(torch.cat, torch.concat, torch.concatenate)
def _cat(tensors: Sequence[Any], dim: int = 0, *, out: Any = None) -> Any:
    result = _joined(lambda parts: torch.cat(parts, dim), tensors, out)
    return _cat_channels(tensors, dim) if result is NotImplemented and out is None else result


def _cat_channels(tensors: Sequence[Any], dim: int) -> Any:
    """Joins QTensors per channel: along the axis their channels too, along others if they have the same."""
    first = tensors[0]
    for tensor in tensors:
        if not isinstance(tensor, QTensor) or tensor._axis is None or tensor._axis != first._axis:
            return NotImplemented
        if tensor.qdtype is not first.qdtype or tensor.qscheme() is not first.qscheme():
            return NotImplemented
    data = torch.cat([tensor._data for tensor in tensors], dim)
    if dim % data.dim() == first._axis:
        scales, zero_points = (torch.cat([getattr(t, n) for t in tensors]) for n in ("_scale", "_zero_point"))
        return QTensor(data, scales, zero_points, first._axis)
    return first._with_data(data) if all(tensor.has_qparams_of(first) for tensor in tensors) else NotImplemented


@implements(torch.stack)
def _stack(tensors: Sequence[Any], dim: int = 0, *, out: Any = None) -> Any:
    result = _joined(lambda parts: torch.stack(parts, dim), tensors, out)
    if result is not NotImplemented or out is not None or any(map(per_tensor, tensors)):
        return result
    return _cat([tensor.unsqueeze(dim) for tensor in tensors], dim)


def _joins_by(join: Callable) -> Callable:
    def join_by(tensors: Sequence[Any], *, out: Any = None) -> Any:
        return _joined(join, tensors, out)

    return join_by


for _join in (torch.hstack, torch.vstack, torch.dstack, torch.column_stack, torch.row_stack):
    implements(_join)(_joins_by(_join))


@implements(torch.cartesian_prod)
def _cartesian_prod(*tensors: Any) -> Any:
    return _joined(lambda parts: torch.cartesian_prod(*parts), tensors, None)
