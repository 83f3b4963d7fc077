"""Comparing a float model with its quantized form, under torch.ao.ns's names."""

from torchq.ns import _numeric_suite, fx

__all__ = ["_numeric_suite", "fx"]
