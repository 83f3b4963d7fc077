"""Packed weights: what the ``*_prepack`` functions return and the functions of layers take."""

import copy
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from torchq.dtypes import qdtype_of_storage
from torchq.nn import quantized
from torchq.nn.quantized.conv import StaticConv
from torchq.nn.quantized.static import StaticQuantizedModule
from torchq.qtensor import QTensor
from torchq.qtensor_creation import numbers

# A weight is used with one scale and zero point as a rule.
_MOST_LAYERS = 16
_LARGEST_HALF = 65504.0


class PackedParams:
    """A quantized weight, packed once for the kernels, and a bias.

    It can be pickled, copied and unpacked, and keeps a layer for each scale and zero point that it was called with;
    they share the packed weight.

    Args:
        layer: a module that holds the weight.
    """

    def __init__(self, layer: StaticQuantizedModule) -> None:
        self._layer = layer
        self._layers: dict[tuple, StaticQuantizedModule] = {}

    def unpack(self) -> tuple[QTensor, Tensor | None]:
        """Returns the weight and the bias, or None."""
        return self._layer.weight(), self._layer.bias()

    def bias(self) -> Tensor | None:
        """Returns the bias, or None."""
        return self._layer.bias()

    def layer(self, scale: Any, zero_point: Any, dtype: torch.dtype, relu: bool) -> StaticQuantizedModule:
        """Returns the layer that gives a result of a scale, zero point and dtype.

        Args:
            scale: of the result.
            zero_point: of the result.
            dtype: of its integers.
            relu: whether it is at least its zero point.
        """
        key = (*numbers(scale, zero_point), dtype, relu)
        layer = self._layers.get(key)
        if layer is None:
            layer = copy.copy(self._layer)  # its buffers are this one's
            layer._relu = relu
            layer.set_output_qparams(*key[:2], qdtype_of_storage(dtype))
            if len(self._layers) == _MOST_LAYERS:
                self._layers.clear()
            self._layers[key] = layer
        return layer

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out what is made when it is needed."""
        return {**self.__dict__, "_layers": {}}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._layer})"


class LinearPackedParams(PackedParams):
    """The weight of a linear layer, packed; what ``linear_prepack`` returns."""


class ConvPackedParams(PackedParams):
    """The weight of a convolution, packed, and its window; what ``conv2d_prepack`` and its like return."""

    _layer: StaticConv

    def weight(self) -> QTensor:
        """Returns the weight."""
        return self._layer.weight()

    def stride(self) -> list[int]:
        """Returns one number per spatial dimension, as the next three."""
        return list(self._layer.stride)

    def padding(self) -> list[int]:
        """Returns the padding on both sides."""
        return list(self._layer.padding)

    def output_padding(self) -> list[int]:
        """Returns the output padding; zeros if it is not transposed."""
        return list(self._layer.output_padding)

    def dilation(self) -> list[int]:
        """Returns the dilation."""
        return list(self._layer.dilation)

    def groups(self) -> int:
        """Returns the number of groups."""
        return self._layer.groups

    def transpose(self) -> bool:
        """Whether it is a transposed convolution."""
        return self._layer.transposed

    @property
    def dims(self) -> int:
        """The spatial dimensions of an image."""
        return self._layer.dims


class LinearPackedParamsFp16:
    """The weight of a linear layer in float16, which its float32 products are computed from; and its bias.

    Args:
        weight: float ``[N, K]``; what float16 does not reach becomes the largest number that it has.
        bias: float ``[N]``, or None.

    Raises:
        ValueError: if a shape does not fit.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        if isinstance(weight, QTensor) or not weight.is_floating_point() or weight.dim() != 2:
            given = "a quantized one" if isinstance(weight, QTensor) else f"{weight.dtype} {tuple(weight.shape)}"
            raise ValueError(f"a float16 weight is made of a float one of shape [N, K], got {given}")
        if bias is not None and bias.shape != weight.shape[:1]:
            raise ValueError(f"bias must have shape {(len(weight),)}, got {tuple(bias.shape)}")
        self._weight = weight.detach().clamp(-_LARGEST_HALF, _LARGEST_HALF).half()
        self._bias = None if bias is None else bias.detach().to(torch.float32, copy=True)

    def unpack(self) -> tuple[Tensor, Tensor | None]:
        """Returns the weight, rounded to float16, as float32, and the bias, or None."""
        return self._weight.float(), self.bias()

    def bias(self) -> Tensor | None:
        """Returns a copy of the bias, or None."""
        return None if self._bias is None else self._bias.clone()

    def product(self, input: Tensor) -> Tensor:
        """Returns ``input @ weight.T + bias`` for a float32 input ``[..., K]``."""
        return F.linear(input, self._weight.float(), self._bias)


class EmbeddingPackedParams:
    """Rows of 8 or 4 bits, each with its scale and bias behind it; what ``embedding_bag_prepack`` returns.

    Args:
        weight: ``quint8`` or ``quint4x2`` ``[rows, columns]``, with a scale and a float zero point for each row.

    Raises:
        TypeError: if it is no ``QTensor``.
        ValueError: if its shape, dtype or axis is another one.
    """

    def __init__(self, weight: QTensor) -> None:
        if not isinstance(weight, QTensor):
            raise TypeError(f"embedding_bag_prepack takes a QTensor, got {type(weight).__name__}")
        if weight.dim() != 2:
            raise ValueError(f"embedding_bag_prepack takes a weight [rows, columns], got {tuple(weight.shape)}")
        self._embedding = quantized.Embedding(*weight.shape, _weight=weight, dtype=weight.qdtype)

    def unpack(self) -> QTensor:
        """Returns the rows; scales and zero points are those that look-ups use, of float16 with 4 bits."""
        return self._embedding.weight()

    def bit_rate(self) -> int:
        """Returns the bits of a value, 8 or 4."""
        return self._embedding._bits

    def rows(self) -> Tensor:
        """Returns the rows as ``torchq.ops.embedding_bag`` reads them, and as the ``rowwise_offsets`` functions do."""
        return self._embedding._packed_weight

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._embedding})"
