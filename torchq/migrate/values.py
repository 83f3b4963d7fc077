"""Quantized tensors and packed parameters of torch, as torchq's."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.fx import Node, Tracer

from torchq.dtypes import as_qdtype, quint4x2
from torchq.qtensor import QTensor
from torchq.qtensor_packed import PackedQTensor


class PackedParameters:
    """A torch class of packed weights, read from a file without that class: its state, and what the class is called."""

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __getstate__(self) -> Any:
        return self.state

    def __fx_create_arg__(self, tracer: Tracer) -> Node:
        """Is an attribute of the model where torch.fx traces the code of a saved graph."""
        name = next(name for name, value in vars(tracer.root).items() if value is self)
        return tracer.create_node("get_attr", name, (), {})


def as_qtensor(tensor: torch.Tensor) -> QTensor:
    """Returns a quantized tensor of torch, or a QTensor, as a QTensor with the same integers.

    Args:
        tensor: with one scale, or one per index of an axis.

    Raises:
        TypeError: if it is not quantized, or has a dtype that torchq has not.
    """
    if isinstance(tensor, QTensor):
        return tensor
    if not isinstance(tensor, torch.Tensor) or not tensor.is_quantized:
        raise TypeError(f"expected a quantized tensor, got {getattr(tensor, 'dtype', type(tensor).__name__)}")
    dtype, integers = as_qdtype(tensor.dtype), tensor.int_repr()
    if str(tensor.qscheme()).startswith("torch.per_tensor"):
        return QTensor(integers, tensor.q_scale(), tensor.q_zero_point())
    qparams = (tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points(), tensor.q_per_channel_axis())
    if dtype is quint4x2:
        return PackedQTensor(integers.reshape(-1), tensor.shape, *qparams)
    return QTensor(integers, *qparams)


def is_packed(value: Any) -> bool:
    """Whether a value is one of torch's objects that hold packed weights."""
    return isinstance(value, torch.ScriptObject | PackedParameters)


def linear_parameters(packed: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Returns weight and bias of a packed linear layer: a QTensor, or a float tensor where it was float16.

    Args:
        packed: an object of torch, or both of these in a tuple.
    """
    weight, bias = _state(packed) if is_packed(packed) else packed
    quantized = isinstance(weight, QTensor) or weight.is_quantized
    return as_qtensor(weight) if quantized else weight, None if bias is None else bias.detach()


def convolution_parameters(packed: Any) -> tuple[QTensor, torch.Tensor | None, dict[str, Any]]:
    """Returns weight, bias and arguments of a packed convolution.

    One in 1 dimension is packed as one in 2, of height 1; it is returned so.
    """
    _, (numbers, weight), (bias,) = _state(packed)
    dims, *rest = numbers.tolist()
    names = ("stride", "padding", "dilation", "output_padding")
    window = {name: tuple(rest[i * dims : (i + 1) * dims]) for i, name in enumerate(names)}
    return as_qtensor(weight), None if bias is None else bias.detach(), {**window, "groups": rest[4 * dims]}


def weight_and_bias(packed: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Returns weight and bias of a packed layer of any kind."""
    return convolution_parameters(packed)[:2] if "Conv" in packed.__getstate__()[1] else linear_parameters(packed)


def layer_weights(packed: Sequence[Any], suffixes: Sequence[str]) -> dict[str, Any]:
    """Returns what an LSTM's or GRU's ``set_weight_bias`` takes.

    Args:
        packed: the parameters of each layer and direction.
        suffixes: what the names of their weights end with.

    Raises:
        ValueError: if one quantizes its input in 8 bits, or there are more or fewer than suffixes.
    """
    if len(packed) != len(suffixes):
        raise ValueError(f"it has {len(packed)} packed layers and directions, expected {len(suffixes)}")
    given: dict[str, Any] = {}
    for cell, suffix in zip(packed, suffixes, strict=True):
        kind, biases, _, options, layers = _state(cell)
        if kind == "quantized_dynamic" and options != [1]:
            raise ValueError("it quantizes inputs in 8 bits; torchq's recurrent layers do so in 7")
        weights, own = zip(*map(linear_parameters, layers), strict=True)
        given |= {f"weight_{name}_{suffix}": weight for name, weight in zip(("ih", "hh"), weights, strict=True)}
        given |= {f"bias_{name}_{suffix}": bias for name, bias in zip(("ih", "hh"), biases or own, strict=True)}
    return given


def cell_weights(ih: Any, hh: Any) -> dict[str, dict[str, Any]]:
    """Returns what a cell's ``set_weight_bias`` takes, for its two packed linear layers."""
    (weight_ih, bias_ih), (weight_hh, bias_hh) = linear_parameters(ih), linear_parameters(hh)
    weights = {"weight_ih": weight_ih, "weight_hh": weight_hh}
    return {"weight": weights, "bias": {"bias_ih": bias_ih, "bias_hh": bias_hh}}


def embedding_rows(packed: Any) -> QTensor:
    """Returns the rows of a packed embedding, or of a quantized tensor."""
    return as_qtensor(_state(packed)[1][0] if is_packed(packed) else packed)


def _state(packed: Any) -> Any:
    # Behind it comes the name of the class.
    return packed.__getstate__()[0]
