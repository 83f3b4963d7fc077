"""Elements by their places: indexing, and what puts values at indices."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from torchq.qtensor import FUNCTIONS, QTensor, float_fallback
from torchq.qtensor_functions.channels import of_copies, of_cuts
from torchq.qtensor_functions.table import implements, integers_like, integers_rounded_twice, of_torch, per_tensor


def _get_item(q: Tensor, index: Any) -> Any:
    if not isinstance(q, QTensor):
        return float_fallback(Tensor.__getitem__, (q, index), {})
    if q._axis is None:
        return QTensor(q._data[index], q._scale, q._zero_point)
    result = (of_cuts if views(index) else of_copies)(q, lambda data: data[index])
    return float_fallback(Tensor.__getitem__, (q, index), {}) if result is NotImplemented else result


FUNCTIONS[Tensor.__getitem__] = _get_item


def views(index: Any) -> bool:
    """Whether it takes a view: of integers, slices, None and the ellipsis, and no tensors, lists or masks."""
    if isinstance(index, tuple):
        return all(isinstance(part, (slice, type(None), type(...))) or _is_number(part) for part in index)
    return isinstance(index, (slice, type(None), type(...))) or _is_number(index)


def _is_number(part: Any) -> bool:
    if isinstance(part, Tensor):
        return part.dim() == 0 and part.dtype not in (torch.bool, torch.uint8) and not part.is_floating_point()
    return hasattr(part, "__index__") and not isinstance(part, bool)


@implements(Tensor.__setitem__)
def _set_item(q: Tensor, index: Any, value: Any) -> None:
    if not isinstance(q, QTensor):
        if not isinstance(value, QTensor):
            raise IndexError("a QTensor holds values, and cannot be an index")
        q[index] = value.dequantize()
    elif q._axis is None:
        q._data[index] = (integers_like if views(index) else integers_rounded_twice)(q, value)
    elif not views(index):
        raise RuntimeError("elements of a per channel QTensor are set by integers and slices, got other indices")
    else:
        part = _get_item(q, index)
        if not isinstance(part, QTensor):
            raise RuntimeError("elements of one channel are set in a slice of it where zero points are floating")
        part._data.copy_(integers_like(part, value))


def _indices(indices: Sequence[Any]) -> tuple:
    return tuple(slice(None) if index is None else index for index in indices)


@implements(Tensor.index_put_, torch.index_put_, torch._index_put_impl_)
def _index_put_(
    input: QTensor, indices: Sequence[Any], values: Any, accumulate: bool = False, unsafe: bool = False
) -> Any:
    if not per_tensor(input) or accumulate:
        return NotImplemented
    input._data[_indices(indices)] = integers_rounded_twice(input, values)
    return input


@implements(Tensor.index_put, torch.index_put)
def _index_put(input: QTensor, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Any:
    if not per_tensor(input) or accumulate:
        return NotImplemented
    return _index_put_(input.clone(), indices, values)


def _one_integer(q: QTensor, value: Any) -> Tensor:
    if isinstance(value, Tensor) and value.dim():
        raise RuntimeError(f"a mask is filled with a number or a tensor of one, got shape {tuple(value.shape)}")
    return integers_rounded_twice(q, value)


@implements(Tensor.masked_fill_)
def _masked_fill_(input: QTensor, mask: Tensor, value: Any) -> Any:
    if not per_tensor(input):
        return NotImplemented
    input._data.masked_fill_(mask, _one_integer(input, value))
    return input


@implements(Tensor.masked_fill, torch.masked_fill)
def _masked_fill(input: QTensor, mask: Tensor, value: Any) -> Any:
    if not per_tensor(input):
        return NotImplemented
    return input._with_data(torch.masked_fill(input._data, mask, _one_integer(input, value)))


def _where(condition: Tensor, input: Any, other: Any) -> Any:
    if not (per_tensor(input) and per_tensor(other) and input.has_qparams_of(other)):
        return NotImplemented
    return input._with_data(torch.where(condition, input._data, other._data))


implements(torch.where)(_where)


@implements(Tensor.where)
def _where_of_tensor(input: Any, condition: Tensor, other: Any) -> Any:
    return _where(condition, input, other)


def _scatters(function: Callable) -> Callable:
    """Returns what copies a QTensor with some elements from another tensor."""

    def scatter(input: QTensor, src: Tensor, *places: Any, **named: Any) -> Any:
        if not per_tensor(input):
            return NotImplemented
        return input._with_data(function(input._data, integers_like(input, src), *places, **named))

    return scatter


for _name in ("diagonal_scatter", "select_scatter", "slice_scatter", "as_strided_scatter"):
    implements(*of_torch(_name))(_scatters(getattr(torch, _name)))
