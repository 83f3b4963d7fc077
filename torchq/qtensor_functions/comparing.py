"""Comparisons: of the values, whatever the integers that stand for them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from torchq.qtensor import FUNCTIONS, QTensor, float_fallback
from torchq.qtensor_functions.table import implements


def _value(argument: Any) -> Any:
    return argument.dequantize() if isinstance(argument, QTensor) else argument


# And what takes a value out of the tensor.
_OF_VALUES = (
    Tensor.eq, Tensor.ne, Tensor.lt, Tensor.le, Tensor.gt, Tensor.ge, Tensor.__eq__, Tensor.not_equal, Tensor.less,
    Tensor.less_equal, Tensor.greater, Tensor.greater_equal,
    torch.eq, torch.ne, torch.lt, torch.le, torch.gt, torch.ge, torch.not_equal, torch.less, torch.less_equal,
    torch.greater, torch.greater_equal,
    Tensor.item, Tensor.tolist, Tensor.__float__, Tensor.__int__, Tensor.__bool__, Tensor.__contains__,
    Tensor.is_nonzero, torch.is_nonzero,
)  # fmt: skip


def _of_values(function: Callable) -> Callable:
    def compare(*args: Any, **kwargs: Any) -> Any:
        if isinstance(kwargs.get("out"), QTensor):
            return float_fallback(function, args, kwargs)  # which refuses to write to it
        return function(*map(_value, args), **{name: _value(argument) for name, argument in kwargs.items()})

    return compare


OF_VALUES = {function: _of_values(function) for function in _OF_VALUES}
FUNCTIONS.update(OF_VALUES)


@implements(torch.equal, Tensor.equal)
def _equal(a: Tensor, b: Tensor) -> Any:
    if not (isinstance(a, QTensor) and isinstance(b, QTensor)):
        return NotImplemented
    return a.has_qparams_of(b) and torch.equal(a._data, b._data)
