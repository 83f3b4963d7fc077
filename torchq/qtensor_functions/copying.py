"""What keeps every element in its place: copies, other memory, other devices."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from torchq.dtypes import QDtype, as_qdtype
from torchq.qtensor import FUNCTIONS, QTensor, dequantize
from torchq.qtensor_functions.table import implements, integers_like, of_torch


def moved(q: QTensor, data: Tensor) -> QTensor:
    """The integers with q's parameters on their device."""
    if q._axis is None:
        return q._with_data(data)
    return QTensor(data, q._scale.to(data.device), q._zero_point.to(data.device), q._axis)


KEEPERS = (
    Tensor.contiguous, Tensor.clone, Tensor.detach, Tensor.data.__get__, Tensor.cpu, Tensor.cuda, Tensor.pin_memory,
    torch.clone, torch.detach, *of_torch("alias_copy"),
)  # fmt: skip


def _keeps(function: Callable) -> Callable:
    def keep(input: QTensor, *args: Any, **kwargs: Any) -> QTensor:
        return moved(input, function(input._data, *args, **kwargs))

    return keep


FUNCTIONS.update({function: _keeps(function) for function in KEEPERS})


implements(Tensor.float, *of_torch("dequantize"))(dequantize)

_TORCHS_OWN = [getattr(torch, dtype.value) for dtype in QDtype if hasattr(torch, dtype.value)]


def to_arguments(q: QTensor, storage: torch.dtype, args: tuple, kwargs: dict) -> Any:
    """Returns the arguments of ``Tensor.to`` for q's integers; NotImplemented where it asks for other floats."""
    if args and isinstance(args[0], Tensor):
        args = (args[0].device, args[0].dtype, *args[1:])
    for dtype in (*args, *kwargs.values()):
        if not isinstance(dtype, torch.dtype) or dtype == torch.float32:
            continue
        if dtype not in _TORCHS_OWN:
            return NotImplemented
        if as_qdtype(dtype) is not q.qdtype:
            raise TypeError(f"a QTensor keeps its dtype, {q.qdtype}, got {dtype}; dequantize() it and quantize it anew")
    args = tuple(storage if isinstance(arg, torch.dtype) else arg for arg in args)
    return args, {name: storage if isinstance(arg, torch.dtype) else arg for name, arg in kwargs.items()}


@implements(Tensor.to)
def _to(q: Tensor, *args: Any, **kwargs: Any) -> Any:
    arguments = to_arguments(q, q._data.dtype, args, kwargs) if isinstance(q, QTensor) else NotImplemented
    return arguments if arguments is NotImplemented else moved(q, q._data.to(*arguments[0], **arguments[1]))


@implements(Tensor.copy_)
def _copy_(q: Tensor, source: Any, non_blocking: bool = False) -> Any:
    if not isinstance(q, QTensor):
        return NotImplemented
    if isinstance(source, QTensor):
        source = source.to(q.device, non_blocking=non_blocking)
        if not q.has_qparams_of(source):
            return _taken_over(q, source)
    q._data.copy_(integers_like(q, source), non_blocking)
    return q


def _taken_over(q: QTensor, source: QTensor) -> QTensor:
    """Copies integers together with scale and zero point, as torch does where the two tensors' differ.

    The integers go to memory of their own: in a tensor that shares q's they would mean something else.
    """
    own, given = ((t.qdtype, t.qscheme(), t._scale, t._zero_point, t._axis) for t in (q, source))
    if own[:2] != given[:2]:
        raise RuntimeError(f"copy_ needs the QTensor's own dtype and scheme, {own[:2]}, got {given[:2]}")
    if q._data._is_view() or q._data.is_inference():
        raise RuntimeError(
            "copy_ to a view, or to what was made in inference mode and may be one, needs the QTensor's own scale, "
            f"zero point and axis, {own[2:]}, got {given[2:]}; copy_(other.dequantize()) quantizes to its own, "
            "load_state_dict(..., assign=True) takes over the tensors of a checkpoint"
        )
    if q._axis is not None and q.shape != source.shape:
        raise RuntimeError(f"copy_ of channels needs the QTensor's shape, {tuple(q.shape)}, got {tuple(source.shape)}")
    q._data = torch.empty_like(q._data).copy_(source._data)
    q._scale, q._zero_point, q._axis = source._scale, source._zero_point, source._axis
    return q


def written_out(result: Any, out: QTensor | None) -> Any:
    """Returns the result; with ``out``, that, after the result was copied to it with its scale and zero point."""
    if out is None:
        return result
    if out.shape != result.shape:
        raise RuntimeError(f"out must have the result's shape, {tuple(result.shape)}, got {tuple(out.shape)}")
    return out.copy_(result)


def share(*parts: Any) -> None:
    """Moves those that are tensors to memory that processes share."""
    for part in parts:
        if isinstance(part, Tensor):
            part.share_memory_()


@implements(Tensor.share_memory_)
def _share_memory_(q: QTensor) -> QTensor:
    share(q._data, q._scale, q._zero_point)
    return q


@implements(Tensor.requires_grad_)
def _requires_grad_(q: QTensor, requires_grad: bool = True) -> Any:
    return NotImplemented if requires_grad else q


@implements(Tensor.detach_, torch.detach_, Tensor.conj_physical_, torch.conj_physical_)
def _itself(q: QTensor) -> QTensor:
    return q  # integers have no gradient to be detached from, and are no complex numbers


@implements(Tensor.data.__set__)
def _set_data(q: QTensor, data: Any) -> Any:
    if not (isinstance(q, QTensor) and isinstance(data, QTensor)):
        return NotImplemented
    q._become(data)
    return None
