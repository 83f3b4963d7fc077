"""Quantized modules, and modules for quantization-aware training, under torch.ao.nn's names."""

from torchq.nn import intrinsic, qat, quantized

# Its modules are made of those of the other packages, and quantized ones of them.
# isort: split
from torchq.nn import quantizable
from torchq.nn.intrinsic import qat as _intrinsic_qat  # noqa: F401 torchq.nn.intrinsic.qat resolves
from torchq.nn.intrinsic import quantized as _intrinsic_quantized  # noqa: F401 torchq.nn.intrinsic.quantized resolves

__all__ = ["intrinsic", "qat", "quantizable", "quantized"]
