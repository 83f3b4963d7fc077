"""Quantized linear layers with an activation function between their exact sums and the rounding."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from torchq import ops
from torchq.dtypes import qint8
from torchq.nn import quantized
from torchq.nn.intrinsic import fused
from torchq.qtensor import QTensor


def activated(layer: quantized.Linear, x: QTensor, activation: Callable[[torch.Tensor], torch.Tensor]) -> QTensor:
    """Returns a function of what a layer gives in float32, rounded once to the layer's scale, zero point and dtype.

    Args:
        layer: holds the weight.
        x: as the layer takes it.
        activation: of a float32 tensor.
    """
    layer._check(x)
    values = activation(ops.linear_dequantize(x._data, x._scale, x._zero_point, *layer.operands()))
    data = ops.quantize_per_tensor(values, layer.scale, layer.zero_point, layer._output_storage)
    return QTensor(data, layer.scale, layer.zero_point)


def tanh(values: torch.Tensor) -> torch.Tensor:
    """Returns the hyperbolic tangent in float64, as tables are made: the same integers whatever computes it."""
    return torch.tanh(values.double()).float()


class _LinearActivation(quantized.Linear):
    def forward(self, x: QTensor) -> QTensor:
        """Returns the layer's output.

        Args:
            x: ``quint8`` or ``qint8`` ``[..., K]`` with one scale.

        Returns:
            ``[..., N]`` with the module's scale, zero point and dtype.

        Raises:
            TypeError: if ``x`` is not quantized.
            ValueError: if its last dimension is not K, or it has several scales.
        """
        return activated(self, x, self._activation)

    def _activation(self, values: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


class LinearLeakyReLU(_LinearActivation):
    """A quantized Linear followed by a leaky relu, with one rounding.

    Args:
        in_features: K.
        out_features: N.
        negative_slope: of the leaky relu.
        bias: whether there is a bias.
        dtype: of the weight; ``qint8`` is the only one.

    Raises:
        ValueError: for another dtype.
    """

    _float_types = (fused.LinearLeakyReLU,)

    def __init__(
        self, in_features: int, out_features: int, negative_slope: float, bias: bool = True, dtype: Any = qint8
    ) -> None:
        super().__init__(in_features, out_features, bias, dtype)
        self.negative_slope = negative_slope

    def _activation(self, values: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(values, self.negative_slope)

    @classmethod
    def _sized_as(cls, mod: nn.Module, bias: bool) -> "LinearLeakyReLU":
        return cls(mod[0].in_features, mod[0].out_features, mod[1].negative_slope, bias)

    def _get_name(self) -> str:
        return "QuantizedLinearLeakyReLU"


class LinearTanh(_LinearActivation):
    """A quantized Linear followed by a tanh, with one rounding.

    Args:
        in_features: K.
        out_features: N.
        bias: whether there is a bias.
        dtype: of the weight; ``qint8`` is the only one.

    Raises:
        ValueError: for another dtype.
    """

    _float_types = (fused.LinearTanh,)

    def __init__(self, in_features: int, out_features: int, bias: bool = True, dtype: Any = qint8) -> None:
        super().__init__(in_features, out_features, bias, dtype)

    def _activation(self, values: torch.Tensor) -> torch.Tensor:
        return tanh(values)

    def _get_name(self) -> str:
        return "QuantizedLinearTanh"
