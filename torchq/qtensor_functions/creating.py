"""New tensors like a QTensor: with its shape, scale and zero point, or plain ones of the dtype that it reports."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from torchq.qtensor import FUNCTIONS, QTensor
from torchq.qtensor_functions.copying import moved
from torchq.qtensor_functions.table import implements, of_torch
from torchq.qtensor_wrapping import empty_quantized


@implements(torch.empty_like)
def _empty_like(
    input: QTensor,
    *,
    dtype: torch.dtype | None = None,
    layout: torch.layout | None = None,
    device: Any = None,
    pin_memory: bool = False,
    memory_format: torch.memory_format = torch.preserve_format,
    requires_grad: bool = False,
) -> Any:
    if dtype not in (None, torch.float32) or layout not in (None, torch.strided) or requires_grad:
        return NotImplemented
    data = torch.empty_like(input._data, device=device, pin_memory=pin_memory, memory_format=memory_format)
    return moved(input, data)


def _filled_like(value: float) -> Callable:
    def filled_like(input: QTensor, **options: Any) -> Any:
        empty = _empty_like(input, **options)
        return empty if empty is NotImplemented else empty.fill_(value)

    return filled_like


implements(torch.zeros_like)(_filled_like(0.0))
implements(torch.ones_like)(_filled_like(1.0))


@implements(torch.full_like)
def _full_like(input: QTensor, fill_value: Any, **options: Any) -> Any:
    return _filled_like(fill_value)(input, **options)


@implements(*of_torch("empty_quantized"))
def _empty_quantized(
    size: Sequence[int], qtensor: QTensor, *, device: Any = None, memory_format: torch.memory_format | None = None
) -> QTensor:
    return empty_quantized(size, qtensor, device=device, memory_format=memory_format)


def _plain(function: Callable) -> Callable:
    """Returns what makes a plain tensor, which has nothing of the one that it is called on but dtype and device."""

    def new(q: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        given = (a.dequantize() if isinstance(a, QTensor) else a for a in args)
        return function(torch.empty(0, device=q.device) if isinstance(q, QTensor) else q, *given, **kwargs)

    return new


NEW = (
    Tensor.new_empty, Tensor.new_empty_strided, Tensor.new_zeros, Tensor.new_ones, Tensor.new_full,
    Tensor.new_tensor,
)  # fmt: skip
FUNCTIONS.update({function: _plain(function) for function in NEW})
