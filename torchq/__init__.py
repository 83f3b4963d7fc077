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
from torchq.qtensor import QTensor, dequantize, float_fallbacks, no_float_fallback
from torchq.qtensor_creation import quantize_per_channel, quantize_per_tensor, quantize_per_tensor_dynamic
from torchq.qtensor_qparams import _choose_qparams_per_tensor, choose_qparams_optimized  # noqa: F401  (torch's name)
from torchq.qtensor_wrapping import (  # noqa: F401  (as these are, of what has an underscore in torch)
    _empty_affine_quantized,
    _empty_per_channel_affine_quantized,
    _make_per_channel_quantized_tensor,
    _make_per_tensor_quantized_tensor,
    empty_quantized,
)

__version__ = "0.1.0"

_LAYER = ("migrate", "nn", "ns", "quantization", "quantized")


def __getattr__(name: str) -> ModuleType:
    """Imports the packages above the quantized tensors when they are first asked for."""
    if name in _LAYER:
        return importlib.import_module(f"torchq.{name}")
    raise AttributeError(f"module 'torchq' has no attribute {name!r}")


__all__ = [
    "QDtype",
    "QScheme",
    "QTensor",
    "choose_qparams_optimized",
    "cpu_capabilities",
    "dequantize",
    "empty_quantized",
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
    "quantize_per_tensor_dynamic",
    "quint4x2",
    "quint8",
    "set_cpu_capability",
]
