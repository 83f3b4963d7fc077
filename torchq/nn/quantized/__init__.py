"""Modules that take and return quantized tensors."""

from torchq.nn.quantized import dynamic
from torchq.nn.quantized.conv import Conv2d
from torchq.nn.quantized.functional_modules import FloatFunctional, QFunctional
from torchq.nn.quantized.linear import Linear
from torchq.nn.quantized.quantize import DeQuantize, Quantize

__all__ = ["Conv2d", "DeQuantize", "FloatFunctional", "Linear", "QFunctional", "Quantize", "dynamic"]
