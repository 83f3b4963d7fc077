"""Float modules that run in sequence and become one quantized module."""

from torchq.nn.intrinsic.fused import ConvBn2d, ConvBnReLU2d, ConvReLU2d, FusedModule, LinearReLU

__all__ = ["ConvBn2d", "ConvBnReLU2d", "ConvReLU2d", "FusedModule", "LinearReLU"]
