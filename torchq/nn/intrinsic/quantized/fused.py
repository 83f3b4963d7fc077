"""Quantized modules with a relu in their rounding step."""

from typing import Any

from torchq.dtypes import qint8
from torchq.nn import quantized
from torchq.nn.intrinsic import fused, qat


class LinearReLU(quantized.Linear):
    """A quantized Linear followed by a relu, at the cost of the Linear.

    Args:
        in_features: K.
        out_features: N.
        bias: whether there is a bias.
        dtype: of the weight; ``qint8`` is the only one.

    Raises:
        ValueError: for another dtype.
    """

    _relu = True
    _float_types = (fused.LinearReLU, qat.LinearReLU)

    def __init__(self, in_features: int, out_features: int, bias: bool = True, dtype: Any = qint8) -> None:
        super().__init__(in_features, out_features, bias, dtype)

    def _get_name(self) -> str:
        return "QuantizedLinearReLU"


class ConvReLU1d(quantized.Conv1d):
    """A quantized Conv1d followed by a relu, at the cost of the Conv1d.

    Args, shapes and errors are those of ``torchq.nn.quantized.Conv1d``.
    """

    _relu = True
    _float_types = (fused.ConvReLU1d, qat.ConvReLU1d, qat.ConvBnReLU1d)

    def _get_name(self) -> str:
        return "QuantizedConvReLU1d"


class ConvReLU2d(quantized.Conv2d):
    """A quantized Conv2d followed by a relu, at the cost of the Conv2d.

    Args, shapes and errors are those of ``torchq.nn.quantized.Conv2d``.
    """

    _relu = True
    _float_types = (fused.ConvReLU2d, qat.ConvReLU2d, qat.ConvBnReLU2d)

    def _get_name(self) -> str:
        return "QuantizedConvReLU2d"


class ConvReLU3d(quantized.Conv3d):
    """A quantized Conv3d followed by a relu, at the cost of the Conv3d.

    Args, shapes and errors are those of ``torchq.nn.quantized.Conv3d``.
    """

    _relu = True
    _float_types = (fused.ConvReLU3d, qat.ConvReLU3d, qat.ConvBnReLU3d)

    def _get_name(self) -> str:
        return "QuantizedConvReLU3d"


class BNReLU2d(quantized.BatchNorm2d):
    """A quantized BatchNorm2d followed by a relu, at the cost of the BatchNorm2d.

    Args, shapes and errors are those of ``torchq.nn.quantized.BatchNorm2d``.
    """

    _relu = True
    _float_types = (fused.BNReLU2d,)

    def _get_name(self) -> str:
        return "QuantizedBNReLU2d"


class BNReLU3d(quantized.BatchNorm3d):
    """A quantized BatchNorm3d followed by a relu, at the cost of the BatchNorm3d.

    Args, shapes and errors are those of ``torchq.nn.quantized.BatchNorm3d``.
    """

    _relu = True
    _float_types = (fused.BNReLU3d,)

    def _get_name(self) -> str:
        return "QuantizedBNReLU3d"
