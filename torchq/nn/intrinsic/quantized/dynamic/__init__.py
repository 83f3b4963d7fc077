"""Modules with quantized weights that take and return float tensors, and stand for several float ones."""

from torchq.nn.intrinsic.quantized.dynamic.linear import LinearReLU

__all__ = ["LinearReLU"]
