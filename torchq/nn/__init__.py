"""Quantized modules, under torch.ao.nn's names."""

from torchq.nn import intrinsic, quantized
from torchq.nn.intrinsic import quantized as _intrinsic_quantized  # noqa: F401 torchq.nn.intrinsic.quantized resolves

__all__ = ["intrinsic", "quantized"]
