"""The operators: plain integer tensors in and out, quantization parameters as arguments.

Every function here is ``torch.ops.torchq.<name>`` with documentation and the fake (shape) function that torch.compile
and torch.export use. Bad shapes, dtypes, devices and quantization parameters raise a RuntimeError from the C++ side
that names the value.
"""

from torchq.ops.conv import convolution, convolution_dequantize, window
from torchq.ops.elementwise import add, clamp, relu
from torchq.ops.linear import linear, linear_dequantize, linear_dynamic
from torchq.ops.pool import adaptive_avg_pool2d, avg_pool2d, max_pool2d
from torchq.ops.quantize import (
    dequantize_per_channel,
    dequantize_per_tensor,
    quantize_per_channel,
    quantize_per_tensor,
)
from torchq.ops.weight import pack_weight, unpack_weight

__all__ = [
    "adaptive_avg_pool2d",
    "add",
    "avg_pool2d",
    "clamp",
    "convolution",
    "convolution_dequantize",
    "dequantize_per_channel",
    "dequantize_per_tensor",
    "linear",
    "linear_dequantize",
    "linear_dynamic",
    "max_pool2d",
    "pack_weight",
    "quantize_per_channel",
    "quantize_per_tensor",
    "relu",
    "unpack_weight",
    "window",
]
