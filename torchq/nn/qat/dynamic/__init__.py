"""Modules for training what will quantize its input at run time."""

from torchq.nn.qat.dynamic.linear import Linear

__all__ = ["Linear"]
