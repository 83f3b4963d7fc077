"""What torch functions do with QTensors of quint4x2: a table of their own."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from torchq import qtensor
from torchq.qtensor import QTensor, float_fallback
from torchq.qtensor_functions.comparing import OF_VALUES
from torchq.qtensor_functions.copying import KEEPERS, share, to_arguments
from torchq.qtensor_functions.questions import OF_QUANTIZATION, QUESTIONS, asked
from torchq.qtensor_functions.refusing import REFUSED
from torchq.qtensor_functions.table import implements, of_torch
from torchq.qtensor_packed import FUNCTIONS, PackedQTensor, pack

# What has nothing to do with how the integers are kept.
FUNCTIONS.update({function: asked(function) for function in QUESTIONS})
FUNCTIONS.update({**OF_QUANTIZATION, **OF_VALUES, **REFUSED})
_OF_ANY = (Tensor.float, Tensor.requires_grad_, Tensor.detach_, torch.detach_, Tensor.data_ptr, *of_torch("dequantize"))
FUNCTIONS.update({function: qtensor.FUNCTIONS[function] for function in _OF_ANY})


def _moves(function: Callable) -> Callable:
    """Moves a byte for each value, and packs them again."""
    move = qtensor.FUNCTIONS[function]

    def move_packed(*args: Any, **kwargs: Any) -> Any:
        if not (args and isinstance(args[0], PackedQTensor)):
            return float_fallback(function, args, kwargs)
        result = move(args[0]._unpacked(), *args[1:], **kwargs)
        return _packed(result)

    return move_packed


def _packed(result: Any) -> Any:
    if isinstance(result, Tensor):
        return pack(result) if isinstance(result, QTensor) else result
    return type(result)(map(_packed, result))


FUNCTIONS.update(
    {
        function: _moves(function)
        for function in (
            Tensor.__getitem__, Tensor.select, Tensor.narrow, Tensor.split, Tensor.chunk, Tensor.unbind,
            Tensor.index_select, Tensor.view, Tensor.reshape, Tensor.flatten, Tensor.unflatten, Tensor.squeeze,
            Tensor.unsqueeze, torch.select, torch.narrow, torch.split, torch.chunk, torch.unbind, torch.index_select,
            torch.reshape, torch.flatten, torch.unflatten, torch.squeeze, torch.unsqueeze,
        )
    }
)  # fmt: skip


def _with_packed(q: PackedQTensor, packed: Tensor) -> PackedQTensor:
    """The bytes with q's parameters on their device."""
    scale, zero_point = (p.to(packed.device) if isinstance(p, Tensor) else p for p in (q._scale, q._zero_point))
    return PackedQTensor(packed, q.shape, scale, zero_point, q._axis)


def _keeps(function: Callable) -> Callable:
    def keep(input: PackedQTensor, *args: Any, **kwargs: Any) -> PackedQTensor:
        return _with_packed(input, function(input._packed, *args, **kwargs))

    return keep


FUNCTIONS.update({function: _keeps(function) for function in KEEPERS})


@implements(Tensor.to, table=FUNCTIONS)
def _to(q: Tensor, *args: Any, **kwargs: Any) -> Any:
    arguments = to_arguments(q, torch.uint8, args, kwargs) if isinstance(q, PackedQTensor) else NotImplemented
    return arguments if arguments is NotImplemented else _with_packed(q, q._packed.to(*arguments[0], **arguments[1]))


@implements(torch.equal, Tensor.equal, table=FUNCTIONS)
def _equal(a: Tensor, b: Tensor) -> Any:
    if not (isinstance(a, QTensor) and isinstance(b, QTensor)):
        return NotImplemented
    return a.has_qparams_of(b) and a.shape == b.shape and torch.equal(a._packed, b._packed)


@implements(Tensor.is_shared, table=FUNCTIONS)
def _is_shared(q: PackedQTensor) -> bool:
    return q._packed.is_shared()


@implements(Tensor.share_memory_, table=FUNCTIONS)
def _share_memory_(q: PackedQTensor) -> PackedQTensor:
    share(q._packed, q._scale, q._zero_point)
    return q
