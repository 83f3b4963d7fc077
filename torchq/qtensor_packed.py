"""QTensors of quint4x2: two values a byte."""

import copy
from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch import Tensor

from torchq import ops
from torchq.dtypes import QDtype, quint4x2
from torchq.qtensor import QTensor, float_fallback
from torchq.qtensor_arithmetic import dequantize_float_zero_points, pack_four_bits, unpack_four_bits

_make_wrapper_subclass = Tensor._make_wrapper_subclass

# As qtensor.FUNCTIONS is for other QTensors; torchq/qtensor_functions/packed.py fills it in.
FUNCTIONS: dict[Callable, Callable] = {}


class PackedQTensor(QTensor):
    """A QTensor of 4 bits: its integers, 0 to 15, are packed two in a byte.

    It is for keeping weights small: saved, copied, sliced and dequantized. There are no integer kernels for it.

    Args:
        packed: uint8 ``[ceil(n / 2)]`` for n values: the first of two is the lower half of its byte.
        shape: that of the values.
        scale: a number; with ``axis``, float32 ``[shape[axis]]``.
        zero_point: a number; with ``axis``, float32 ``[shape[axis]]``.
        axis: the dimension that has a scale and zero point for each index; None for one of each.
    """

    _packed: Tensor

    @staticmethod
    def __new__(
        cls, packed: Tensor, shape: Any, scale: float | Tensor, zero_point: int | Tensor, axis: int | None = None
    ) -> "PackedQTensor":
        self = _make_wrapper_subclass(cls, shape, dtype=torch.float32, device=packed.device)
        self._packed = packed
        self._scale = scale
        self._zero_point = zero_point
        self._axis = axis
        return self

    @classmethod
    def __torch_function__(cls, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Looks the function up in a table of its own; what is not there is computed in float."""
        handler = FUNCTIONS.get(func)
        if handler is not None:
            return handler(*args, **(kwargs or {}))
        return float_fallback(func, args, kwargs or {})

    @classmethod
    def __torch_dispatch__(cls, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Serves what torch calls below the level of functions: only what moves the tensor as a whole."""
        if func in (torch.ops.aten.detach.default, torch.ops.aten.clone.default, torch.ops.aten.alias.default):
            return args[0]._with_packed(func(args[0]._packed))
        return float_fallback(func, args, kwargs or {})

    @property
    def _data(self) -> NoReturn:
        raise RuntimeError(f"a QTensor of {quint4x2} has two values a byte, and no integer form here; dequantize() it")

    def _with_packed(self, packed: Tensor) -> "PackedQTensor":
        return PackedQTensor(packed, self.shape, self._scale, self._zero_point, self._axis)

    def _unpacked(self) -> QTensor:
        """The same values with a byte for each, as quint8."""
        data = unpack_four_bits(self._packed, self.shape)
        return QTensor(data, self._scale, self._zero_point, self._axis)

    @property
    def qdtype(self) -> QDtype:
        """``quint4x2``; ``dtype`` is float32, that of the values."""
        return quint4x2

    def int_repr(self) -> Tensor:
        """Returns a copy of the bytes, uint8 ``[ceil(numel / 2)]``: the first of two values is the lower half."""
        return self._packed.clone()

    def dequantize(self) -> Tensor:
        """Returns the float32 values ``(q - zero_point) * scale``."""
        data = unpack_four_bits(self._packed, self.shape)
        if self._axis is None:
            return ops.dequantize_per_tensor(data, self._scale, self._zero_point)
        return dequantize_float_zero_points(data, self._scale, self._zero_point, self._axis)

    def has_qparams_of(self, other: QTensor) -> bool:
        """Whether the other is of quint4x2 as well, with equal scale, zero point and axis."""
        return isinstance(other, PackedQTensor) and self._has_scale_and_zero_point_of(other)

    def __reduce_ex__(self, protocol: Any) -> tuple:
        """Pickles as bytes, shape and parameters, which ``torch.load(weights_only=True)`` reads."""
        return PackedQTensor, (self._packed, self.shape, self._scale, self._zero_point, self._axis)

    def __deepcopy__(self, memo: dict) -> "PackedQTensor":
        """Copies bytes and parameters."""
        if id(self) not in memo:
            memo[id(self)] = PackedQTensor(*copy.deepcopy(self.__reduce_ex__(None)[1], memo))
        return memo[id(self)]


def pack(q: QTensor) -> PackedQTensor:
    """Packs a QTensor whose integers are 0 to 15."""
    return PackedQTensor(pack_four_bits(q._data), q.shape, q._scale, q._zero_point, q._axis)


torch.serialization.add_safe_globals([PackedQTensor])
