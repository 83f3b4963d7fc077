"""Convolutions with fake-quantized weights."""

from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from torchq.nn.intrinsic import FusedModule
from torchq.nn.qat.module import QATModule, plain_parameter


class ConvNd(QATModule):
    """Base of the convolutions: comes before the float class, whose arguments it takes.

    Attributes:
        plain_type: the convolution that ``to_float`` makes.
        relu_type: the container that ``to_float`` puts it into, where the module includes a relu.
    """

    plain_type: ClassVar[type[nn.Module]]
    relu_type: ClassVar[type[FusedModule] | None] = None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | str = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        qconfig: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        size = (in_channels, out_channels, kernel_size, stride, padding, dilation, groups)
        super().__init__(*size, bias, padding_mode, device, dtype)
        self._set_qconfig(qconfig)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        output = self._output(input)
        return output if self.relu_type is None else F.relu(output)

    def _output(self, input: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(input, self.weight_fake_quant(self.weight), self.bias)

    @classmethod
    def from_float(cls, mod: nn.Module) -> "ConvNd":
        """Makes a module for training from a float one, with the same parameters.

        Args:
            mod: of the class's ``float_type``, with a ``qconfig``.

        Raises:
            TypeError: if ``mod`` has another type.
            ValueError: if it has no qconfig.
        """
        cls._check_float(mod)
        conv = mod[0] if isinstance(mod, FusedModule) else mod
        module = cls(**_arguments(conv), qconfig=mod.qconfig, device=conv.weight.device, dtype=conv.weight.dtype)
        module._share(conv, "weight", "bias")
        return module.train(mod.training)

    def to_float(self) -> nn.Module:
        """Returns the float module: a convolution, with batch norm folded into it, and the relu behind it."""
        weight, bias = self.folded_weight_bias()
        arguments = {**_arguments(self), "bias": bias is not None}
        conv = self.plain_type(**arguments, device=weight.device, dtype=weight.dtype)
        conv.weight = plain_parameter(weight)
        if bias is not None:
            conv.bias = plain_parameter(bias)
        module = conv if self.relu_type is None else self.relu_type(conv, nn.ReLU())
        return module.train(self.training)


def _arguments(conv: nn.Module) -> dict[str, Any]:
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
    return {**{name: getattr(conv, name) for name in names}, "bias": conv.bias is not None}


class Conv1d(ConvNd, nn.Conv1d):
    """An ``nn.Conv1d`` whose weight is fake-quantized.

    Args: those of ``nn.Conv1d``, and ``qconfig``, whose ``weight`` makes the fake quantizer.

    Raises:
        ValueError: without a qconfig.
    """

    float_type = nn.Conv1d
    plain_type = nn.Conv1d


class Conv2d(ConvNd, nn.Conv2d):
    """An ``nn.Conv2d`` whose weight is fake-quantized.

    Args: those of ``nn.Conv2d``, and ``qconfig``, whose ``weight`` makes the fake quantizer.

    Raises:
        ValueError: without a qconfig.

    Example:
        >>> from torchq.quantization import get_default_qat_qconfig
        >>> Conv2d(3, 8, 3, qconfig=get_default_qat_qconfig())(torch.randn(1, 3, 8, 8)).shape
        torch.Size([1, 8, 6, 6])
    """

    float_type = nn.Conv2d
    plain_type = nn.Conv2d


class Conv3d(ConvNd, nn.Conv3d):
    """An ``nn.Conv3d`` whose weight is fake-quantized.

    Args: those of ``nn.Conv3d``, and ``qconfig``, whose ``weight`` makes the fake quantizer.

    Raises:
        ValueError: without a qconfig.
    """

    float_type = nn.Conv3d
    plain_type = nn.Conv3d
