"""Quantized modules with a relu in their rounding step."""

from torchq.nn import quantized
from torchq.nn.intrinsic import fused, qat


class LinearReLU(quantized.Linear):
    """A quantized Linear followed by a relu, at the cost of the Linear.

    Args, shapes and errors are those of ``torchq.nn.quantized.Linear``.
    """

    _relu = True
    _float_types = (fused.LinearReLU, qat.LinearReLU)

    def _get_name(self) -> str:
        return "QuantizedLinearReLU"


class ConvReLU2d(quantized.Conv2d):
    """A quantized Conv2d followed by a relu, at the cost of the Conv2d.

    Args, shapes and errors are those of ``torchq.nn.quantized.Conv2d``.
    """

    _relu = True
    _float_types = (fused.ConvReLU2d, qat.ConvReLU2d, qat.ConvBnReLU2d)

    def _get_name(self) -> str:
        return "QuantizedConvReLU2d"
