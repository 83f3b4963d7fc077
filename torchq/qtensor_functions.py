"""What torch functions do with QTensors: the table behind ``QTensor.__torch_function__``.

A function listed here keeps scale and zero point and works on the integers. Where its arguments rule that out, and for
every function that is not listed, the computation happens in float32 and is counted.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor

from torchq import ops
from torchq.qtensor import FUNCTIONS, QTensor, dequantize, float_fallback


def implements(*functions: Callable) -> Callable[[Callable], Callable]:
    """Registers the function below it for these torch functions; it is called with their arguments.

    It may return NotImplemented for arguments that it cannot serve in integers, and need not have all of torch's.
    """

    def register(handler: Callable) -> Callable:
        signature = inspect.signature(handler)
        for function in functions:

            def call(*args: Any, _function: Callable = function, **kwargs: Any) -> Any:
                try:
                    result = handler(*args, **kwargs)
                except TypeError:
                    if _binds(signature, args, kwargs):
                        raise
                    result = NotImplemented
                return float_fallback(_function, args, kwargs) if result is NotImplemented else result

            FUNCTIONS[function] = call
        return handler

    return register


def _binds(signature: inspect.Signature, args: tuple, kwargs: dict) -> bool:
    try:
        return signature.bind(*args, **kwargs) is not None
    except TypeError:
        return False


def _pair(name: str, value: int | Sequence[int]) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    if isinstance(value, (tuple, list)) and len(value) in (1, 2):
        return value[0], value[-1]
    raise ValueError(f"{name} must be an integer or two of them, got {value!r}")


def _stride(value: int | Sequence[int] | None, kernel: tuple[int, int]) -> tuple[int, int]:
    return kernel if value is None or value in ((), []) else _pair("stride", value)


# What asks about the tensor and not about its values: its attributes, the is_... methods, and these others.
_ASKS_VALUES = {"T", "mT", "H", "mH", "real", "imag", "data", "is_nonzero"}
_MEMBERS = {name: member for name, member in vars(torch._C.TensorBase).items() if name not in _ASKS_VALUES}
for _asked in (
    *(member.__get__ for member in _MEMBERS.values() if inspect.isgetsetdescriptor(member)),
    *(getattr(Tensor, name) for name in _MEMBERS if name.startswith(("is_", "_is_")) and callable(_MEMBERS[name])),
    Tensor.size, Tensor.stride, Tensor.dim, Tensor.ndimension, Tensor.numel, Tensor.nelement, Tensor.__len__,
    Tensor.__hash__, Tensor.untyped_storage, Tensor.storage_offset, Tensor.get_device, Tensor.element_size,
    Tensor.itemsize.__get__, torch.numel, torch.is_floating_point, torch.is_complex,
):  # fmt: skip

    def _ask(*args: Any, _function: Callable = _asked, **kwargs: Any) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            return _function(*args, **kwargs)

    FUNCTIONS[_asked] = _ask


# The most frequent of them are the integers' answers too, which are quicker to have.
for _shared in (
    Tensor.size, Tensor.stride, Tensor.dim, Tensor.numel, Tensor.__len__, Tensor.is_contiguous,
    Tensor.shape.__get__, Tensor.ndim.__get__, Tensor.device.__get__, Tensor.is_cuda.__get__, Tensor.is_pinned,
):  # fmt: skip

    def _answer(q: Any, *args: Any, _function: Callable = _shared, **kwargs: Any) -> Any:
        return _function(q._data, *args, **kwargs)

    FUNCTIONS[_shared] = _answer


def _integers(argument: Any) -> Any:
    return argument._data if isinstance(argument, QTensor) else argument


def _wrap_like(q: QTensor, result: Tensor | Sequence[Tensor]) -> Any:
    if isinstance(result, Tensor):
        return QTensor(result, q._scale, q._zero_point)
    return type(result)(_wrap_like(q, part) for part in result)


# What moves values without looking at them.
for _mover in (
    Tensor.view, Tensor.view_as, Tensor.reshape, Tensor.flatten, Tensor.unflatten, Tensor.permute, Tensor.transpose,
    Tensor.t, Tensor.T.__get__, Tensor.mT.__get__, Tensor.movedim, Tensor.squeeze, Tensor.unsqueeze, Tensor.expand,
    Tensor.expand_as, Tensor.repeat, Tensor.__getitem__, Tensor.select, Tensor.narrow, Tensor.index_select,
    Tensor.chunk, Tensor.split, Tensor.unbind, Tensor.flip, Tensor.roll, torch.reshape, torch.flatten, torch.permute,
    torch.transpose, torch.t, torch.movedim, torch.squeeze, torch.unsqueeze, torch.select, torch.narrow,
    torch.index_select, torch.chunk, torch.split, torch.unbind, torch.flip, torch.roll,
    torch.channel_shuffle, F.pixel_shuffle, F.pixel_unshuffle,
):  # fmt: skip

    def _move(*args: Any, _function: Callable = _mover, **kwargs: Any) -> Any:
        q = args[0] if args else kwargs.get("input")
        given = (*args, *kwargs.values()) if kwargs else args
        if not isinstance(q, QTensor) or q._axis is not None or any(isinstance(arg, torch.dtype) for arg in given):
            return float_fallback(_function, args, kwargs)
        return _wrap_like(q, _function(*map(_integers, args), **{name: _integers(v) for name, v in kwargs.items()}))

    FUNCTIONS[_mover] = _move


# What keeps every element in its place, per channel too.
for _keeper in (
    Tensor.contiguous, Tensor.clone, Tensor.detach, Tensor.data.__get__, Tensor.cpu, Tensor.cuda, Tensor.pin_memory,
    torch.clone, torch.detach,
):  # fmt: skip

    def _keep(*args: Any, _function: Callable = _keeper, **kwargs: Any) -> QTensor:
        q = args[0] if args else kwargs["input"]
        return _moved(q, _function(*map(_integers, args), **{name: _integers(v) for name, v in kwargs.items()}))

    FUNCTIONS[_keeper] = _keep


def _moved(q: QTensor, data: Tensor) -> QTensor:
    """The integers with q's parameters on their device."""
    if q._axis is None:
        return q._with_data(data)
    return QTensor(data, q._scale.to(data.device), q._zero_point.to(data.device), q._axis)


@implements(Tensor.to)
def _to(q: Tensor, *args: Any, **kwargs: Any) -> Any:
    if not isinstance(q, QTensor):
        return NotImplemented
    if args and isinstance(args[0], Tensor):
        args = (args[0].device, args[0].dtype, *args[1:])
    if any(isinstance(arg, torch.dtype) and arg != torch.float32 for arg in (*args, *kwargs.values())):
        return NotImplemented
    args = tuple(q._data.dtype if isinstance(arg, torch.dtype) else arg for arg in args)
    kwargs = {name: q._data.dtype if isinstance(arg, torch.dtype) else arg for name, arg in kwargs.items()}
    return _moved(q, q._data.to(*args, **kwargs))


@implements(Tensor.__setitem__)
def _set_item(q: Tensor, index: Any, value: Any) -> None:
    if not isinstance(q, QTensor):
        q[index] = value.dequantize()
        return
    if q._axis is not None:
        raise RuntimeError("elements of a per channel QTensor cannot be set")
    if not (isinstance(value, QTensor) and value.has_qparams_of(q)):
        value = value.dequantize() if isinstance(value, QTensor) else torch.as_tensor(value, dtype=torch.float32)
        value = QTensor(ops.quantize_per_tensor(value, q._scale, q._zero_point, q._data.dtype), q._scale, q._zero_point)
    q._data[index] = value._data


@implements(Tensor.copy_)
def _copy_(q: Tensor, source: Tensor, non_blocking: bool = False) -> Any:
    if not (isinstance(q, QTensor) and isinstance(source, QTensor)):
        return NotImplemented
    source = source.to(q.device, non_blocking=non_blocking)
    if not q.has_qparams_of(source):
        # Taking over the source's would change what the integers mean in the tensors that share them.
        own, given = ((t.qdtype, t._scale, t._zero_point, t._axis) for t in (q, source))
        raise RuntimeError(
            f"copy_ needs the dtype, scale, zero point and axis of the QTensor itself, {own}, got {given}; q[:] = ... "
            "quantizes to its own, load_state_dict(..., assign=True) takes over those of a checkpoint"
        )
    q._data.copy_(source._data)
    return q


@implements(Tensor.requires_grad_)
def _requires_grad_(q: QTensor, requires_grad: bool = True) -> Any:
    return NotImplemented if requires_grad else q


@implements(Tensor.data_ptr)
def _data_ptr(q: QTensor) -> NoReturn:
    raise RuntimeError("data_ptr: a QTensor has no float32 values in memory; int_repr() is a tensor of its integers")


implements(Tensor.float, *([torch.dequantize] if hasattr(torch, "dequantize") else []))(dequantize)


@implements(torch.equal, Tensor.equal)
def _equal(a: Tensor, b: Tensor) -> Any:
    if not (isinstance(a, QTensor) and isinstance(b, QTensor)):
        return NotImplemented
    return a.has_qparams_of(b) and torch.equal(a._data, b._data)


def _bytes(q: Tensor) -> bool:
    return isinstance(q, QTensor) and q._axis is None and q._data.dtype != torch.int32


@implements(F.relu, torch.relu, Tensor.relu)
def _relu(input: QTensor, inplace: bool = False) -> Any:
    if not _bytes(input):
        return NotImplemented
    if inplace:
        return _relu_(input)
    return input._with_data(ops.relu(input._data, input._zero_point))


@implements(F.relu_, torch.relu_, Tensor.relu_)
def _relu_(input: QTensor) -> Any:
    if not _bytes(input):
        return NotImplemented
    input._data.copy_(ops.relu(input._data, input._zero_point))
    return input


@functools.lru_cache(maxsize=1024)
def _quantized_limit(value: float, scale: float, zero_point: int, dtype: torch.dtype) -> int:
    """The integer of a limit, with two roundings before the last, as torch has it."""
    qparams = (torch.tensor([scale], dtype=torch.float64), torch.tensor([zero_point]))
    return int(ops.quantize_per_channel(torch.tensor([value]), *qparams, 0, dtype))


@implements(torch.clamp, Tensor.clamp, torch.clip, Tensor.clip)
def _clamp(input: QTensor, min: float | None = None, max: float | None = None) -> Any:
    if not _bytes(input) or isinstance(min, Tensor) or isinstance(max, Tensor):
        return NotImplemented
    qparams = (input._scale, input._zero_point, input._data.dtype)
    lowest = input.qdtype.qmin if min is None else _quantized_limit(float(min), *qparams)
    highest = input.qdtype.qmax if max is None else _quantized_limit(float(max), *qparams)
    if lowest > highest:
        return NotImplemented
    return input._with_data(ops.clamp(input._data, lowest, highest))


def _written_to(input: QTensor, result: Any, inplace: bool) -> Any:
    if result is NotImplemented or not inplace:
        return result
    input._data.copy_(result._data)
    return input


@implements(F.hardtanh)
def _hardtanh(input: QTensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
    return _written_to(input, _clamp(input, min_val, max_val), inplace)


@implements(F.relu6)
def _relu6(input: QTensor, inplace: bool = False) -> Any:
    return _written_to(input, _clamp(input, 0.0, 6.0), inplace)


def _pool(input: QTensor, pool: Callable[[Tensor], Tensor]) -> Any:
    data = input._data
    if not _bytes(input) or data.dim() not in (3, 4):
        return NotImplemented
    return input._with_data(pool(data) if data.dim() == 4 else pool(data.unsqueeze(0)).squeeze(0))


@implements(torch.max_pool2d, F.max_pool2d)
def _max_pool2d(
    input: QTensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    if return_indices:
        return NotImplemented
    kernel = _pair("kernel_size", kernel_size)
    window = (kernel, _stride(stride, kernel), _pair("padding", padding), _pair("dilation", dilation), ceil_mode)
    return _pool(input, lambda data: ops.max_pool(data, *window))


@implements(F.avg_pool2d)
def _avg_pool2d(
    input: QTensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    kernel = _pair("kernel_size", kernel_size)
    window = (kernel, _stride(stride, kernel), _pair("padding", padding), ceil_mode, count_include_pad)
    return _pool(input, lambda data: ops.avg_pool(data, input._zero_point, *window, divisor_override))


@implements(F.adaptive_avg_pool2d)
def _adaptive_avg_pool2d(input: QTensor, output_size: Any) -> Any:
    sizes = (output_size, output_size) if isinstance(output_size, int) else output_size
    if not (isinstance(sizes, (tuple, list)) and len(sizes) == 2):
        raise ValueError(f"output_size must be an integer or two of them, each may be None, got {output_size!r}")
    size = [input._data.shape[i - 2] if sizes[i] is None else sizes[i] for i in (0, 1)]
    return _pool(input, lambda data: ops.adaptive_avg_pool(data, input._zero_point, size))


@implements(torch.mean, Tensor.mean)
def _mean(input: QTensor, dim: Any = None, keepdim: bool = False, *, dtype: torch.dtype | None = None) -> Any:
    dims = sorted(d + 4 if d < 0 else d for d in dim) if isinstance(dim, Sequence) else None
    if input.dim() != 4 or dims != [2, 3] or dtype not in (None, torch.float32):
        return NotImplemented
    mean = _adaptive_avg_pool2d(input, 1)
    return mean if mean is NotImplemented or keepdim else mean.flatten(1)


@implements(torch.cat, torch.concat, torch.concatenate)
def _cat(tensors: Sequence[Tensor], dim: int = 0) -> Any:
    first = tensors[0]
    for tensor in tensors:
        if not isinstance(tensor, QTensor) or tensor._axis is not None or not tensor.has_qparams_of(first):
            return NotImplemented
    return first._with_data(torch.cat([tensor._data for tensor in tensors], dim))


@implements(torch.stack)
def _stack(tensors: Sequence[Tensor], dim: int = 0) -> Any:
    if not all(isinstance(tensor, QTensor) and tensor._axis is None for tensor in tensors):
        return NotImplemented
    return _cat([tensor.unsqueeze(dim) for tensor in tensors], dim)


@implements(F.pad)
def _pad(input: QTensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    if input._axis is not None or mode != "constant" or value not in (None, 0, 0.0):
        return NotImplemented
    return input._with_data(F.pad(input._data, pad, value=input._zero_point))


@implements(F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout)
def _dropout(input: QTensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    return NotImplemented if training else input


@implements(F.interpolate)
def _interpolate(
    input: QTensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", **kwargs: Any
) -> Any:
    if not _bytes(input) or mode not in ("nearest", "nearest-exact"):
        return NotImplemented
    # torch moves uint8 but not int8 here; the bits are the same.
    moved = F.interpolate(input._data.view(torch.uint8), size, scale_factor, mode, **kwargs)
    return input._with_data(moved.view(input._data.dtype))
