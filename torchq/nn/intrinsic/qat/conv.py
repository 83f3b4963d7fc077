"""Convolutions with fake-quantized weights, and what runs behind them."""

from typing import Any, ClassVar

import torch
from torch import nn

from torchq.nn import qat
from torchq.nn.intrinsic import fused
from torchq.nn.intrinsic.qat.batch_norm import BatchNormFolding
from torchq.nn.qat.conv import ConvNd


class ConvReLU1d(qat.Conv1d):
    """A ``Conv1d`` with a fake-quantized weight, and a relu."""

    float_type = relu_type = fused.ConvReLU1d


class ConvReLU2d(qat.Conv2d):
    """A ``Conv2d`` with a fake-quantized weight, and a relu."""

    float_type = relu_type = fused.ConvReLU2d


class ConvReLU3d(qat.Conv3d):
    """A ``Conv3d`` with a fake-quantized weight, and a relu."""

    float_type = relu_type = fused.ConvReLU3d


class ConvBnNd(BatchNormFolding, ConvNd):
    """Base of the convolutions with a batch norm: comes before the float class, whose arguments it takes.

    Attributes:
        bn_type: the batch norm.
    """

    # torch.ao's number for these names in a state dict.
    _version = 2
    bn_type: ClassVar[type[nn.Module]]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | str = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool | None = None,
        padding_mode: str = "zeros",
        eps: float = 1e-05,
        momentum: float | None = 0.1,
        freeze_bn: bool = False,
        qconfig: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        size = (in_channels, out_channels, kernel_size, stride, padding, dilation, groups)
        super().__init__(*size, bool(bias), padding_mode, qconfig, device, dtype)
        self._set_bn(self.bn_type(out_channels, eps, momentum, device=device, dtype=dtype), freeze_bn)
        self.reset_bn_parameters()

    def _output(self, input: torch.Tensor) -> torch.Tensor:
        return self._normalized(input)

    def _product(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(x, weight, None)

    @classmethod
    def from_float(cls, mod: nn.Module) -> "ConvBnNd":
        """Makes a module for training from a float container, with the same parameters and batch norm.

        Args:
            mod: of the class's ``float_type``, with a ``qconfig``.

        Raises:
            TypeError: if ``mod`` has another type.
            ValueError: if it has no qconfig, or its batch norm no parameters or running statistics.
        """
        module = super().from_float(mod)
        module._set_bn(mod[1])
        return module


class ConvBn1d(ConvBnNd, nn.Conv1d):
    """A ``Conv1d`` and a ``BatchNorm1d``, folded into the weight that is fake-quantized (see ``BatchNormFolding``).

    Args: those of ``nn.Conv1d``, without a bias by default; ``eps`` and ``momentum`` of the batch norm;
    ``freeze_bn``, to begin with frozen statistics; and ``qconfig``, whose ``weight`` makes the fake quantizer.

    Raises:
        ValueError: without a qconfig.
    """

    float_type: ClassVar[type[nn.Module]] = fused.ConvBn1d
    plain_type = nn.Conv1d
    bn_type = nn.BatchNorm1d


class ConvBn2d(ConvBnNd, nn.Conv2d):
    """A ``Conv2d`` and a ``BatchNorm2d``, folded into the weight that is fake-quantized (see ``BatchNormFolding``).

    Args: those of ``nn.Conv2d``, without a bias by default; ``eps`` and ``momentum`` of the batch norm;
    ``freeze_bn``, to begin with frozen statistics; and ``qconfig``, whose ``weight`` makes the fake quantizer.

    Raises:
        ValueError: without a qconfig.

    Example:
        >>> from torchq.quantization import get_default_qat_qconfig
        >>> ConvBn2d(3, 8, 3, qconfig=get_default_qat_qconfig())(torch.randn(2, 3, 8, 8)).shape
        torch.Size([2, 8, 6, 6])
    """

    float_type: ClassVar[type[nn.Module]] = fused.ConvBn2d
    plain_type = nn.Conv2d
    bn_type = nn.BatchNorm2d


class ConvBn3d(ConvBnNd, nn.Conv3d):
    """A ``Conv3d`` and a ``BatchNorm3d``, folded into the weight that is fake-quantized (see ``BatchNormFolding``).

    Args: those of ``nn.Conv3d``, without a bias by default; ``eps`` and ``momentum`` of the batch norm;
    ``freeze_bn``, to begin with frozen statistics; and ``qconfig``, whose ``weight`` makes the fake quantizer.

    Raises:
        ValueError: without a qconfig.
    """

    float_type: ClassVar[type[nn.Module]] = fused.ConvBn3d
    plain_type = nn.Conv3d
    bn_type = nn.BatchNorm3d


class ConvBnReLU1d(ConvBn1d):
    """A ``ConvBn1d`` and a relu."""

    float_type = fused.ConvBnReLU1d
    relu_type = fused.ConvReLU1d


class ConvBnReLU2d(ConvBn2d):
    """A ``ConvBn2d`` and a relu."""

    float_type = fused.ConvBnReLU2d
    relu_type = fused.ConvReLU2d


class ConvBnReLU3d(ConvBn3d):
    """A ``ConvBn3d`` and a relu."""

    float_type = fused.ConvBnReLU3d
    relu_type = fused.ConvReLU3d
