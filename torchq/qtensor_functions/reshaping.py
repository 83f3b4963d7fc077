"""What changes the shape of a QTensor in place."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from torchq.qtensor import QTensor
from torchq.qtensor_functions.table import implements, of_torch, per_tensor


def _in_place(function: Callable) -> Callable:
    """Returns what does as a function does, but the tensor becomes the result."""

    def become(input: QTensor, *args: Any, **kwargs: Any) -> Any:
        result = function(input, *args, **kwargs)
        if not isinstance(result, QTensor):
            return NotImplemented  # per channel, and no dimension has the channels any more
        input._become(result)
        return input

    return become


for _name in ("t", "transpose", "swapaxes", "swapdims", "squeeze", "unsqueeze", "as_strided"):
    implements(*of_torch(f"{_name}_"))(_in_place(getattr(Tensor, _name)))


@implements(Tensor.resize_)
def _resize_(q: QTensor, *sizes: Any, memory_format: torch.memory_format = torch.contiguous_format) -> Any:
    if not per_tensor(q):
        raise RuntimeError("resize_ is for per tensor QTensors, got one per channel")
    # Not of the tensor itself, which another QTensor may hold.
    data = torch.empty(0, dtype=q._data.dtype, device=q.device).set_(q._data)
    q._become(q._with_data(data.resize_(*sizes, memory_format=memory_format)))
    return q


@implements(Tensor.resize_as_, torch.resize_as_)
def _resize_as_(q: Tensor, the_template: Tensor, *, memory_format: torch.memory_format | None = None) -> Any:
    return q.resize_(the_template.shape, memory_format=memory_format or torch.contiguous_format)
