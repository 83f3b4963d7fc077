"""What fills a QTensor with one value."""

from typing import Any

import torch
from torch import Tensor

from torchq.qtensor import QTensor
from torchq.qtensor_functions.table import implements, integers_like


@implements(Tensor.fill_, torch.fill_)
def _fill_(input: QTensor, value: Any) -> Any:
    if not isinstance(input, QTensor):
        return NotImplemented
    if isinstance(value, Tensor) and value.dim():
        raise RuntimeError(f"fill_ takes a number or a tensor of one, got one of shape {tuple(value.shape)}")
    input._data.copy_(integers_like(input, value))
    return input


@implements(torch.fill)
def _fill(input: QTensor, value: Any) -> Any:
    return _fill_(input.clone(), value)


@implements(Tensor.zero_, torch.zero_)
def _zero_(input: QTensor) -> QTensor:
    return _fill_(input, 0.0)
