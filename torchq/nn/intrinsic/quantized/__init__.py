"""Quantized modules that stand for several float ones."""

from torchq.nn.intrinsic.quantized import dynamic
from torchq.nn.intrinsic.quantized.conv_add import ConvAdd2d, ConvAddReLU2d
from torchq.nn.intrinsic.quantized.fused import BNReLU2d, BNReLU3d, ConvReLU1d, ConvReLU2d, ConvReLU3d, LinearReLU
from torchq.nn.intrinsic.quantized.linear_activation import LinearLeakyReLU, LinearTanh

__all__ = [
    "BNReLU2d",
    "BNReLU3d",
    "ConvAdd2d",
    "ConvAddReLU2d",
    "ConvReLU1d",
    "ConvReLU2d",
    "ConvReLU3d",
    "LinearLeakyReLU",
    "LinearReLU",
    "LinearTanh",
    "dynamic",
]
