"""Reading what ``torch.save`` wrote of torch.ao's models, without torch.ao and without torch's quantized tensors."""

import pickle
from functools import cache
from typing import Any

import torch
from torch import nn

from torchq.migrate.names import is_torch_ao
from torchq.migrate.values import PackedParameters
from torchq.qtensor import QTensor
from torchq.qtensor_packed import PackedQTensor

load = pickle.load


class StandIn(nn.Module):
    """Has the attributes of an object of torch.ao, which is what a pickle holds of it, and none of its methods."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.arguments = (args, kwargs)

    def __setstate__(self, state: Any) -> None:
        nn.Module.__init__(self)
        if isinstance(state, dict):
            super().__setstate__(state)
        else:
            self.state = state

    def __getstate__(self) -> Any:
        return self.__dict__.get("state", self.__dict__)


@cache
def _stand_in(module: str, name: str) -> type[StandIn]:
    return type(name, (StandIn,), {"__module__": module})


def _quantized_tensor(
    storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], qparams: tuple[Any, ...], *_: Any
) -> QTensor:
    """What ``torch._utils._rebuild_qtensor`` makes, as a QTensor."""
    kind, bits = str(storage.dtype), storage._untyped_storage
    scale, zero_point, axis = qparams[1], qparams[2], (*qparams, None)[3]
    if kind == "torch.quint4x2":
        count = (torch.Size(size).numel() + 1) // 2
        packed = torch.empty(0, dtype=torch.uint8).set_(bits, offset // 2, (count,))
        return PackedQTensor(packed, size, scale, zero_point, axis)
    dtypes = {"torch.quint8": torch.uint8, "torch.qint8": torch.int8, "torch.qint32": torch.int32}
    if kind not in dtypes:
        raise TypeError(f"torchq has no tensors of {kind}")
    integers = torch.empty(0, dtype=dtypes[kind]).set_(bits, offset, size, stride)
    return QTensor(integers, scale, zero_point, axis)


class Unpickler(pickle.Unpickler):
    """Finds stand-ins for torch.ao's classes, and makes QTensors."""

    def find_class(self, module: str, name: str) -> Any:
        """Returns the object that a pickle calls ``module.name``, or what stands for it."""
        if is_torch_ao(module):
            return _stand_in(module, name)
        if (module, name) == ("torch", "ScriptObject"):
            return PackedParameters
        if (module, name) == ("torch._utils", "_rebuild_qtensor"):
            return _quantized_tensor
        return super().find_class(module, name)
