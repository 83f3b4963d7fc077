"""The reference convolutions."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from torchq.nn.quantized.reference.module import ReferenceQuantizedModule


class ConvNd(ReferenceQuantizedModule):
    """Base of the convolutions: comes before the float class, whose arguments it takes, and ``weight_qparams``."""

    _names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")

    def __init__(self, *args: Any, weight_qparams: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._init_weight_qparams(weight_qparams, self.weight.device)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(x, self.get_weight(), self.bias)

    @classmethod
    def from_float(cls, float_conv: nn.Module, weight_qparams: dict[str, Any]) -> "ConvNd":
        """Makes a reference convolution with the parameters of a float one, and qparams for its weight."""
        arguments = {name: getattr(float_conv, name) for name in cls._names}
        placed = {"device": float_conv.weight.device, "dtype": float_conv.weight.dtype}
        bias = float_conv.bias is not None
        return cls(**arguments, bias=bias, **placed, weight_qparams=weight_qparams)._take(float_conv)


class Conv1d(ConvNd, nn.Conv1d):
    """An ``nn.Conv1d`` that computes with its weight quantized and dequantized.

    Args: those of ``nn.Conv1d``, and ``weight_qparams``, as ``torchq.quantization.utils.get_qparam_dict`` returns them.
    """


class Conv2d(ConvNd, nn.Conv2d):
    """An ``nn.Conv2d`` that computes with its weight quantized and dequantized.

    Args: those of ``nn.Conv2d``, and ``weight_qparams``, as ``torchq.quantization.utils.get_qparam_dict`` returns them.
    """


class Conv3d(ConvNd, nn.Conv3d):
    """An ``nn.Conv3d`` that computes with its weight quantized and dequantized.

    Args: those of ``nn.Conv3d``, and ``weight_qparams``, as ``torchq.quantization.utils.get_qparam_dict`` returns them.
    """


class ConvTransposeNd(ConvNd):
    """Base of the transposed convolutions: comes before the float class."""

    _names = (*ConvNd._names, "output_padding")
    _dimensions: int

    def forward(self, x: torch.Tensor, output_size: list[int] | None = None) -> torch.Tensor:
        geometry = (self.stride, self.padding, self.kernel_size)
        padding = self._output_padding(x, output_size, *geometry, self._dimensions, self.dilation)
        convolve = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self._dimensions - 1]
        weight = self.get_weight()
        return convolve(x, weight, self.bias, self.stride, self.padding, padding, self.groups, self.dilation)


class ConvTranspose1d(ConvTransposeNd, nn.ConvTranspose1d):
    """An ``nn.ConvTranspose1d`` that computes with its weight quantized and dequantized.

    Args: those of ``nn.ConvTranspose1d``, and ``weight_qparams``; see ``Conv1d``.
    """

    _dimensions = 1


class ConvTranspose2d(ConvTransposeNd, nn.ConvTranspose2d):
    """An ``nn.ConvTranspose2d`` that computes with its weight quantized and dequantized.

    Args: those of ``nn.ConvTranspose2d``, and ``weight_qparams``; see ``Conv1d``.
    """

    _dimensions = 2


class ConvTranspose3d(ConvTransposeNd, nn.ConvTranspose3d):
    """An ``nn.ConvTranspose3d`` that computes with its weight quantized and dequantized.

    Args: those of ``nn.ConvTranspose3d``, and ``weight_qparams``; see ``Conv1d``.
    """

    _dimensions = 3
