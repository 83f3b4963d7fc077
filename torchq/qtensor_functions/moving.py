"""What moves values about without looking at them."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from torchq.qtensor import FUNCTIONS, QTensor, float_fallback
from torchq.qtensor_functions.channels import of_copies, of_cuts, of_views
from torchq.qtensor_functions.copying import written_out
from torchq.qtensor_functions.table import implements, of_torch, per_tensor


def wrap_like(q: QTensor, result: Tensor | Sequence[Tensor]) -> Any:
    """Returns integers, or several tensors of them, with q's scale and zero point."""
    if isinstance(result, Tensor):
        return QTensor(result, q._scale, q._zero_point)
    return type(result)(wrap_like(q, part) for part in result)


def _register(function: Callable, of_channels: Callable) -> None:
    def move(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            return _move_by_name(function, of_channels, args, kwargs)
        q = args[0]
        if not isinstance(q, QTensor):
            return float_fallback(function, args, kwargs)
        if q._axis is None:
            result = function(q._data, *args[1:])
            return QTensor(result, q._scale, q._zero_point) if isinstance(result, Tensor) else wrap_like(q, result)
        result = of_channels(q, lambda data: function(data, *args[1:]))
        return float_fallback(function, args, kwargs) if result is NotImplemented else result

    FUNCTIONS[function] = move


def _move_by_name(function: Callable, of_channels: Callable, args: tuple, kwargs: dict) -> Any:
    """As ``move``, with the tensor, what it is moved by, or ``out`` given by name."""
    rest = {name: value for name, value in kwargs.items() if name not in ("input", "out")}
    q, places = (args[0], args[1:]) if args else (kwargs.get("input"), ())
    out = kwargs.get("out")
    if not isinstance(q, QTensor) or not isinstance(out, (QTensor, type(None))):
        return float_fallback(function, args, kwargs)
    if q._axis is None:
        result = wrap_like(q, function(q._data, *places, **rest))
    else:
        result = of_channels(q, lambda data: function(data, *places, **rest))
    return float_fallback(function, args, kwargs) if result is NotImplemented else written_out(result, out)


for _view in (
    Tensor.reshape, Tensor.flatten, Tensor.unflatten, Tensor.ravel, Tensor.permute, Tensor.transpose, Tensor.swapaxes,
    Tensor.swapdims, Tensor.t, Tensor.T.__get__, Tensor.mT.__get__, Tensor.H.__get__, Tensor.mH.__get__, Tensor.adjoint,
    Tensor.movedim, Tensor.moveaxis, Tensor.squeeze, Tensor.unsqueeze, Tensor.expand, Tensor.broadcast_to,
    Tensor.diagonal, Tensor.unfold, Tensor.positive, Tensor.conj, Tensor.conj_physical, Tensor.resolve_conj,
    Tensor.resolve_neg, Tensor.real.__get__,
    torch.reshape, torch.flatten, torch.unflatten, torch.ravel, torch.permute, torch.transpose, torch.swapaxes,
    torch.swapdims, torch.t, torch.adjoint, torch.movedim, torch.moveaxis, torch.squeeze, torch.unsqueeze,
    torch.broadcast_to, torch.diagonal, torch.linalg.diagonal, torch.positive, torch.conj, torch.conj_physical,
    torch.resolve_conj, torch.resolve_neg, torch.real,
):  # fmt: skip
    _register(_view, of_views)


for _cut in (
    Tensor.select, Tensor.narrow, Tensor.chunk, Tensor.unsafe_chunk, Tensor.split, Tensor.unsafe_split,
    Tensor.split_with_sizes, Tensor.unsafe_split_with_sizes, Tensor.tensor_split, Tensor.hsplit, Tensor.vsplit,
    Tensor.dsplit, Tensor.unbind,
    torch.select, torch.narrow, torch.chunk, torch.unsafe_chunk, torch.split, torch.unsafe_split,
    torch.split_with_sizes, torch.unsafe_split_with_sizes, torch.tensor_split, torch.hsplit, torch.vsplit, torch.dsplit,
    torch.unbind,
):  # fmt: skip
    _register(_cut, of_cuts)


for _copy in (
    Tensor.index_select, Tensor.gather, Tensor.take, Tensor.take_along_dim, Tensor.masked_select, Tensor.flip,
    Tensor.fliplr, Tensor.flipud, Tensor.rot90, Tensor.roll, Tensor.repeat, Tensor.tile, Tensor.__reversed__,
    torch.index_select, torch.gather, torch.take, torch.take_along_dim, torch.masked_select, torch.flip, torch.fliplr,
    torch.flipud, torch.rot90, torch.roll, torch.tile, torch.channel_shuffle, torch.native_channel_shuffle,
    F.pixel_shuffle, F.pixel_unshuffle,
):  # fmt: skip
    _register(_copy, of_copies)


def _not_of_channels(q: QTensor, function: Callable) -> Any:
    """For strides, which say where the float values would lie: those that are dequantized lie elsewhere."""
    raise RuntimeError("as_strided is for per tensor QTensors, got one per channel")


for _strided in (Tensor.as_strided, torch.as_strided):
    _register(_strided, _not_of_channels)


_register(Tensor.view, of_views)
_view_as_shape = FUNCTIONS[Tensor.view]


def _view(*args: Any, **kwargs: Any) -> Any:
    if kwargs or len(args) < 2 or isinstance(args[1], torch.dtype):
        return float_fallback(Tensor.view, args, kwargs)  # of the float values' bits
    if not per_tensor(args[0]) and isinstance(args[0], QTensor):
        args[0]._data.view(*args[1:])  # raises where that is no view; where the channels go, reshape can tell
        return args[0].reshape(*args[1:])
    return _view_as_shape(*args)


FUNCTIONS[Tensor.view] = _view


def _copied(view: Callable) -> Callable:
    def copy(input: QTensor, *args: Any, **kwargs: Any) -> Any:
        viewed = view(input, *args, **kwargs)
        if isinstance(viewed, Tensor):
            return viewed.clone(memory_format=torch.contiguous_format)
        return type(viewed)(part.clone(memory_format=torch.contiguous_format) for part in viewed)

    return copy


for _name in (
    "as_strided", "detach", "diagonal", "expand", "narrow", "permute", "select", "split", "split_with_sizes", "squeeze",
    "t", "transpose", "unbind", "unfold", "unsqueeze", "view",
):  # fmt: skip
    FUNCTIONS.update(dict.fromkeys(of_torch(f"{_name}_copy"), _copied(getattr(Tensor, _name))))


@implements(Tensor.view_as)
def _view_as(input: Tensor, other: Tensor) -> Any:
    return input.view(other.shape)


@implements(Tensor.reshape_as)
def _reshape_as(input: Tensor, other: Tensor) -> Any:
    return input.reshape(other.shape)


@implements(Tensor.expand_as)
def _expand_as(input: Tensor, other: Tensor) -> Any:
    return input.expand(other.shape)


@implements(torch.broadcast_tensors)
def _broadcast_tensors(*tensors: Tensor) -> Any:
    shape = torch.broadcast_shapes(*(tensor.shape for tensor in tensors))
    return tuple(tensor.expand(shape) for tensor in tensors)


def _atleast(function: Callable) -> Callable:
    _register(function, of_views)
    move = FUNCTIONS[function]

    def atleast(*tensors: Any) -> Any:
        if len(tensors) == 1 and isinstance(tensors[0], QTensor):
            return move(*tensors)
        return tuple(map(function, tensors if isinstance(tensors[0], Tensor) else tensors[0]))

    return atleast


# Those of torch.functional, and those that they call, where torch goes on with a list of tensors.
for _name in ("atleast_1d", "atleast_2d", "atleast_3d"):
    _dims = getattr(torch, _name)
    FUNCTIONS[_dims] = FUNCTIONS[getattr(torch._VF, _name)] = _atleast(_dims)


@implements(torch.meshgrid, torch._VF.meshgrid)
def _meshgrid(*tensors: Any, indexing: str | None = None) -> Any:
    given = tensors if isinstance(tensors[0], Tensor) else tensors[0]
    if not all(map(per_tensor, given)) or len({tensor._data.dtype for tensor in given}) > 1:
        return NotImplemented
    grids = torch.meshgrid(*(tensor._data for tensor in given), indexing=indexing)
    return tuple(map(wrap_like, given, grids))


@implements(Tensor.repeat_interleave, torch.repeat_interleave)
def _repeat_interleave(input: QTensor, repeats: Any, dim: int | None = None, *, output_size: int | None = None) -> Any:
    if not isinstance(input, QTensor):
        return NotImplemented
    repeated = lambda data: torch.repeat_interleave(data, repeats, dim, output_size=output_size)  # noqa: E731
    return of_copies(input, repeated) if input._axis is not None else wrap_like(input, repeated(input._data))


@implements(Tensor.diag, torch.diag)
def _diag(input: QTensor, diagonal: int = 0) -> Any:
    # A matrix with this diagonal would have zeros beside it, which are values.
    return torch.diagonal_copy(input, diagonal) if input.dim() == 2 else NotImplemented


@implements(F.embedding)
def _embedding(
    input: Tensor,
    weight: QTensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    # What has no say here: a padding's row is one like others, and the last two are about gradients.
    if not isinstance(weight, QTensor) or weight._axis is not None or max_norm is not None:
        return NotImplemented
    return weight.index_select(0, input.reshape(-1)).view(*input.shape, weight.shape[1])
