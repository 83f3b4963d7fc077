"""int8 inference for PyTorch models: quantized tensors, exact kernels, and the prepare / convert layer."""

import importlib
from types import ModuleType

from torchq import ops, qtensor_functions  # noqa: F401  (the latter fills QTensor's table of functions)
from torchq._library import cpu_capabilities, get_cpu_capability, set_cpu_capability
from torchq.dtypes import (
    QDtype,
    QScheme,
    per_channel_affine,
    per_channel_affine_float_qparams,
    per_channel_symmetric,
    per_tensor_affine,
    per_tensor_symmetric,
    qint8,
    qint32,
    quint4x2,
    quint8,
)
from torchq.qtensor import (
    QTensor,
    dequantize,
    float_fallbacks,
    no_float_fallback,
    quantize_per_channel,
    quantize_per_tensor,
)

__version__ = "0.1.0"

_LAYER = ("nn", "quantization")


def __getattr__(name: str) -> ModuleType:
    """Imports ``torchq.nn`` and ``torchq.quantization`` when they are first asked for."""
    if name in _LAYER:
        return importlib.import_module(f"torchq.{name}")
    raise AttributeError(f"module 'torchq' has no attribute {name!r}")


__all__ = [
    "QDtype",
    "QScheme",
    "QTensor",
    "cpu_capabilities",
    "dequantize",
    "float_fallbacks",
    "get_cpu_capability",
    "no_float_fallback",
    "ops",
    "per_channel_affine",
    "per_channel_affine_float_qparams",
    "per_channel_symmetric",
    "per_tensor_affine",
    "per_tensor_symmetric",
    "qint8",
    "qint32",
    "quantize_per_channel",
    "quantize_per_tensor",
    "quint4x2",
    "quint8",
    "set_cpu_capability",
]
