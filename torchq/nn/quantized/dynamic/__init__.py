"""Modules with quantized weights that take and return float tensors."""

from torchq.nn.quantized.dynamic.linear import Linear

__all__ = ["Linear"]
