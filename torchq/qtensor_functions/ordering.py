"""What goes by the order of the values, which is that of the integers: extremes and sorting."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from torchq.qtensor import QTensor
from torchq.qtensor_functions.copying import written_out
from torchq.qtensor_functions.table import implements, per_tensor


def _with_indices(kind: Any, q: QTensor, found: Any) -> Any:
    return kind((q._with_data(found[0]), found[1]))


def _extreme(function: Callable, kind: Any) -> Callable:
    def extreme(input: QTensor, dim: int | None = None, keepdim: bool = False, *, out: Any = None) -> Any:
        if not per_tensor(input) or isinstance(dim, Tensor):
            return NotImplemented
        if dim is None:
            return NotImplemented if keepdim else written_out(input._with_data(function(input._data)), out)
        return NotImplemented if out is not None else _with_indices(kind, input, function(input._data, dim, keepdim))

    return extreme


implements(torch.max, Tensor.max)(_extreme(torch.max, torch.return_types.max))
implements(torch.min, Tensor.min)(_extreme(torch.min, torch.return_types.min))


def _furthest(function: Callable) -> Callable:
    def furthest(input: QTensor, dim: Any = (), keepdim: bool = False) -> Any:
        return input._with_data(function(input._data, dim, keepdim)) if per_tensor(input) else NotImplemented

    return furthest


implements(torch.amax, Tensor.amax)(_furthest(torch.amax))
implements(torch.amin, Tensor.amin)(_furthest(torch.amin))


def _place(function: Callable) -> Callable:
    def place(input: QTensor, dim: int | None = None, keepdim: bool = False) -> Any:
        return function(input._data, dim, keepdim) if per_tensor(input) else NotImplemented

    return place


implements(torch.argmax, Tensor.argmax)(_place(torch.argmax))
implements(torch.argmin, Tensor.argmin)(_place(torch.argmin))


@implements(torch.aminmax, Tensor.aminmax)
def _aminmax(input: QTensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    if not per_tensor(input):
        return NotImplemented
    found = torch.aminmax(input._data, dim=dim, keepdim=keepdim)
    return torch.return_types.aminmax(tuple(map(input._with_data, found)))


@implements(torch.sort, Tensor.sort)
def _sort(input: QTensor, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Any:
    if not per_tensor(input):
        return NotImplemented
    found = torch.sort(input._data, dim=dim, descending=descending, stable=stable)
    return _with_indices(torch.return_types.sort, input, found)


@implements(torch.argsort, Tensor.argsort)
def _argsort(input: QTensor, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Any:
    if not per_tensor(input):
        return NotImplemented
    return torch.argsort(input._data, dim=dim, descending=descending, stable=stable)


@implements(torch.msort, Tensor.msort)
def _msort(input: QTensor) -> Any:
    return input._with_data(torch.msort(input._data)) if per_tensor(input) else NotImplemented


@implements(torch.topk, Tensor.topk)
def _topk(input: QTensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    if not per_tensor(input):
        return NotImplemented
    return _with_indices(torch.return_types.topk, input, torch.topk(input._data, k, dim, largest, sorted))
