"""Quantized modules that stand for several float ones."""

from torchq.nn.intrinsic.quantized.fused import ConvReLU2d, LinearReLU

__all__ = ["ConvReLU2d", "LinearReLU"]
