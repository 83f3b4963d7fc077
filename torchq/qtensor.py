"""Quantized tensors: integers with the scale and zero point that say what they mean."""

import copy
import operator
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

from torchq import ops
from torchq.dtypes import QDtype, QScheme, qdtype_of_storage
from torchq.qtensor_arithmetic import dequantize_float_zero_points

_make_wrapper_subclass = Tensor._make_wrapper_subclass

# What a torch function does with QTensors; torchq/qtensor_functions fills it in.
FUNCTIONS: dict[Callable, Callable] = {}

# That of torch's printed tensors, unless set_printoptions changes theirs.
_LINE_WIDTH = 80

_fallbacks: Counter[str] = Counter()
_local = threading.local()


class QTensor(torch.Tensor):
    """A tensor of integers that stands for the float values ``(q - zero_point) * scale``.

    It is a ``torch.Tensor`` that reports the dtype float32. Functions that keep scale and zero point (relu, max_pool2d,
    reshape, slicing, cat, sort, mean, ...) work on the integers and return a QTensor. Every other function computes in
    float32 and is counted (``float_fallbacks``), or raises inside ``no_float_fallback``. docs/qtensor.md lists them.

    Made by ``torchq.quantize_per_tensor`` and ``torchq.quantize_per_channel``; the constructor wraps integers that are
    there already and, being on the path of every quantized layer, checks nothing.

    Args:
        data: the integers: uint8, int8 or int32.
        scale: a number; with ``axis``, float64 ``[data.size(axis)]``.
        zero_point: a number; with ``axis``, int64 ``[data.size(axis)]``, or float32 if zero points are no integers; the
            scale is float32 then too.
        axis: the dimension that has a scale and zero point for each index; None for one of each.
    """

    _data: Tensor
    _scale: float | Tensor
    _zero_point: int | Tensor
    _axis: int | None

    @staticmethod
    def __new__(
        cls, data: Tensor, scale: float | Tensor, zero_point: int | Tensor, axis: int | None = None
    ) -> "QTensor":
        # Positional, and None where it means the same, saves a third of the time: size, strides, storage offset,
        # memory format, dtype, layout, device.
        strides = None if data.is_contiguous() else data.stride()
        device = None if data.is_cpu else data.device
        self = _make_wrapper_subclass(cls, data.shape, strides, None, None, torch.float32, torch.strided, device)
        self._data = data
        self._scale = scale
        self._zero_point = zero_point
        self._axis = axis
        return self

    @classmethod
    def __torch_function__(cls, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Looks the function up in the table; what is not there is computed in float."""
        handler = FUNCTIONS.get(func)
        if handler is not None:
            return handler(*args, **kwargs) if kwargs else handler(*args)
        return float_fallback(func, args, kwargs or {})

    @classmethod
    def __torch_dispatch__(cls, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Serves what torch calls below the level of functions: only what moves the tensor as a whole."""
        if func in (torch.ops.aten.detach.default, torch.ops.aten.clone.default, torch.ops.aten.alias.default):
            self = args[0]
            return self._with_data(func(self._data, *args[1:], **(kwargs or {})))
        return float_fallback(func, args, kwargs or {})

    def _with_data(self, data: Tensor) -> "QTensor":
        return QTensor(data, self._scale, self._zero_point, self._axis)

    @property
    def qdtype(self) -> QDtype:
        """The quantized dtype; ``dtype`` is float32, that of the values."""
        return qdtype_of_storage(self._data.dtype)

    def qscheme(self) -> QScheme:
        """Returns ``per_tensor_affine``, ``per_channel_affine`` or ``per_channel_affine_float_qparams``."""
        if self._axis is None:
            return QScheme.per_tensor_affine
        if self._zero_point.is_floating_point():
            return QScheme.per_channel_affine_float_qparams
        return QScheme.per_channel_affine

    def int_repr(self) -> Tensor:
        """Returns a copy of the integers, as a plain tensor of uint8, int8 or int32."""
        return self._data.clone()

    def dequantize(self) -> Tensor:
        """Returns the float32 values ``(q - zero_point) * scale``."""
        if self._axis is None:
            return ops.dequantize_per_tensor(self._data, self._scale, self._zero_point)
        if self._zero_point.is_floating_point():
            return dequantize_float_zero_points(self._data, self._scale, self._zero_point, self._axis)
        return ops.dequantize_per_channel(self._data, self._scale, self._zero_point, self._axis)

    def _require(self, name: str, per_tensor: bool) -> None:
        if (self._axis is None) != per_tensor:
            raise RuntimeError(
                f"{name} is for per {'tensor' if per_tensor else 'channel'} QTensors, got {self.qscheme()}"
            )

    def q_scale(self) -> float:
        """Returns the scale of a per tensor QTensor."""
        self._require("q_scale", per_tensor=True)
        return self._scale

    def q_zero_point(self) -> int:
        """Returns the zero point of a per tensor QTensor."""
        self._require("q_zero_point", per_tensor=True)
        return self._zero_point

    def q_per_channel_scales(self) -> Tensor:
        """Returns the scales of a per channel QTensor, float64; float32 with zero points that are no integers."""
        self._require("q_per_channel_scales", per_tensor=False)
        return self._scale

    def q_per_channel_zero_points(self) -> Tensor:
        """Returns the zero points of a per channel QTensor, int64, or float32 where they are no integers."""
        self._require("q_per_channel_zero_points", per_tensor=False)
        return self._zero_point

    def q_per_channel_axis(self) -> int:
        """Returns the dimension of the channels of a per channel QTensor."""
        self._require("q_per_channel_axis", per_tensor=False)
        return self._axis

    def has_qparams_of(self, other: "QTensor") -> bool:
        """Whether the other's integers mean the same values as this one's: equal dtype, scale, zero point and axis."""
        if type(self) is not type(other) or self._data.dtype != other._data.dtype:
            return False
        return self._has_scale_and_zero_point_of(other)

    def _has_scale_and_zero_point_of(self, other: "QTensor") -> bool:
        if self._axis != other._axis:
            return False
        if self._axis is None:
            return self._scale == other._scale and self._zero_point == other._zero_point
        if self._zero_point.dtype != other._zero_point.dtype:
            return False
        return torch.equal(self._scale, other._scale) and torch.equal(self._zero_point, other._zero_point)

    def _become(self, other: "QTensor") -> None:
        """Takes over the other's shape, integers, which they then share, and parameters."""
        with torch._C.DisableTorchFunctionSubclass():
            self.data = other  # what torch keeps of a tensor: its size, strides and device
        self._data, self._scale = other._data, other._scale
        self._zero_point, self._axis = other._zero_point, other._axis

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        """Shows values, size, dtype, scheme, scale and zero point, in torch's order."""
        name = "QTensor("
        if self.is_meta:
            values = "..., device='meta'"  # torch adds the size, which is among the fields here
        else:
            values = repr(self.dequantize()).removeprefix("tensor(")[:-1] if self.numel() else "[]"
        fields = [
            f"size={tuple(self.shape)}",
            f"dtype={self.qdtype}",
            f"quantization_scheme={self.qscheme()}",
            f"scale={self._scale}",
            f"zero_point={self._zero_point}",
        ]
        if self._axis is not None:
            fields.append(f"axis={self._axis}")
        text = name + values.replace("\n", "\n ")
        for field in fields:
            line = len(text) - text.rfind("\n") - 1
            text += f", {field}" if line + len(field) + 3 <= _LINE_WIDTH else f",\n{' ' * len(name)}{field}"
        return text + ")"

    def __format__(self, spec: str) -> str:
        """Formats as ``repr`` does, and with a format specification the value of a tensor without dimensions."""
        return format(self.item(), spec) if spec and self.dim() == 0 else object.__format__(self, spec)

    def __reduce_ex__(self, protocol: Any) -> tuple:
        """Pickles as integers and parameters, which ``torch.load(weights_only=True)`` reads."""
        return QTensor, (self._data, self._scale, self._zero_point, self._axis)

    def __deepcopy__(self, memo: dict) -> "QTensor":
        """Copies integers and parameters."""
        if id(self) not in memo:
            memo[id(self)] = QTensor(*copy.deepcopy(self.__reduce_ex__(None)[1], memo))
        return memo[id(self)]

    def __tensor_flatten__(self) -> tuple[list[str], tuple]:
        """Names the plain tensors inside, for torch.compile."""
        if self._axis is None:
            return ["_data"], (self._scale, self._zero_point, None)
        return ["_data", "_scale", "_zero_point"], (None, None, self._axis)

    @staticmethod
    def __tensor_unflatten__(
        tensors: dict[str, Tensor], context: tuple, outer_size: Any, outer_stride: Any
    ) -> "QTensor":
        """Puts together again what ``__tensor_flatten__`` took apart."""
        scale, zero_point, axis = context
        return QTensor(tensors["_data"], tensors.get("_scale", scale), tensors.get("_zero_point", zero_point), axis)


torch.serialization.add_safe_globals([QTensor])


_dequantize = operator.methodcaller("dequantize")  # of the class that it is


def _name(func: Callable) -> str:
    func = getattr(func, "overloadpacket", func)
    return torch.overrides.resolve_name(func) or getattr(func, "__name__", repr(func))


def _any_qtensor(arguments: Any) -> bool:
    return any(isinstance(leaf, QTensor) for leaf in tree_leaves(arguments))


def _asks_inplace(func: Callable, args: tuple, kwargs: dict) -> bool:
    code = getattr(func, "__code__", None)  # what is built in has no argument inplace
    names = code.co_varnames[: code.co_argcount] if code else ()
    return bool({**dict(zip(names, args, strict=False)), **kwargs}.get("inplace", False))


def _refuse_writing(func: Callable, name: str, args: tuple, kwargs: dict) -> None:
    """Raises a RuntimeError if the function would write to a QTensor."""
    leaf = name.rpartition(".")[2]
    if leaf == "__set__":
        raise RuntimeError(f"{name.removesuffix('.__set__')} of a QTensor cannot be set")
    if _any_qtensor(kwargs.get("out")):
        raise RuntimeError(f"{name} cannot write its result to a QTensor with out=")
    # Named, the first argument is torch's input, an operator's self or nn.init's tensor.
    if not _any_qtensor(args[0] if args else [kwargs.get(first) for first in ("input", "self", "tensor")]):
        return
    if leaf == "__setitem__":
        raise RuntimeError(f"elements of a QTensor of {args[0].qdtype} cannot be set")
    if leaf == "requires_grad_":
        raise RuntimeError("a QTensor cannot require a gradient: integers carry none")
    if leaf.endswith("_") and not leaf.endswith("__"):
        instead = f"use {leaf[:-1]}, or FloatFunctional in a model that is to be quantized"
        raise RuntimeError(
            f"{name} (or the operator that stands for it, as += for add_) would change a QTensor in place, and has no "
            f"integer form; {instead if hasattr(Tensor, leaf[:-1]) else 'dequantize it first'}"
        )
    if _asks_inplace(func, args, kwargs):
        raise RuntimeError(
            f"{name} with inplace=True would change a QTensor in place, and has no integer form for these arguments; "
            "use inplace=False"
        )


def float_fallback(func: Callable, args: tuple, kwargs: dict) -> Any:
    """Calls a torch function with QTensor arguments dequantized, and counts it.

    Raises:
        RuntimeError: inside ``no_float_fallback``, or if the function would write to a QTensor.
    """
    name = _name(func)
    _refuse_writing(func, name, args, kwargs)
    if getattr(_local, "forbidden", False):
        raise RuntimeError(f"{name} has no integer form for these arguments, and float fallbacks are forbidden here")
    _fallbacks[name] += 1
    args, kwargs = tree_map_only(QTensor, _dequantize, (args, kwargs))
    return func(*args, **kwargs)


def float_fallbacks(clear: bool = False) -> dict[str, int]:
    """Returns how often each torch function was computed in float32 because it has no integer form.

    Args:
        clear: whether counting starts anew.

    Example:
        >>> _ = torchq.float_fallbacks(clear=True)
        >>> q = torchq.quantize_per_tensor(torch.ones(3), 0.1, 0, torchq.quint8)
        >>> _ = torch.exp(torch.relu(q))
        >>> torchq.float_fallbacks()
        {'torch.exp': 1}
    """
    counted = dict(_fallbacks)
    if clear:
        _fallbacks.clear()
    return counted


@contextmanager
def no_float_fallback() -> Iterator[None]:
    """Makes each torch function that would be computed in float32 raise a RuntimeError instead, in this thread."""
    before = getattr(_local, "forbidden", False)
    _local.forbidden = True
    try:
        yield
    finally:
        _local.forbidden = before


def dequantize(input: Tensor | Sequence[Tensor]) -> Tensor | tuple[Tensor, ...]:
    """Returns the float32 values of a QTensor; a plain tensor is returned as it is.

    Args:
        input: a tensor; or a list or tuple of them, for a tuple of their values.

    Raises:
        TypeError: if the input is neither.
    """
    if isinstance(input, QTensor):
        return input.dequantize()
    if isinstance(input, Tensor):
        return input
    if isinstance(input, (list, tuple)):
        return tuple(map(dequantize, input))
    raise TypeError(f"input must be a tensor, or a list or tuple of tensors, got {input!r}")
