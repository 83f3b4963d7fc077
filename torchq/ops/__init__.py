"""The operators: plain integer tensors in and out, quantization parameters as arguments.

Every function here is ``torch.ops.torchq.<name>`` with documentation and the fake (shape) function that torch.compile
and torch.export use. Bad shapes, dtypes, devices and quantization parameters raise a RuntimeError from the C++ side
that names the value.
"""

from torchq.ops.conv import convolution, convolution_dequantize, window
from torchq.ops.elementwise import add, cat, clamp, lookup, mul, prelu, relu
from torchq.ops.embedding import embedding_bag
from torchq.ops.interpolate import upsample_bilinear
from torchq.ops.layer import prepare_layer, run_layer, run_layer_add
from torchq.ops.linear import linear, linear_dequantize, linear_dynamic, matmul
from torchq.ops.normalize import batch_norm, group_norm, layer_norm, softmax
from torchq.ops.pool import adaptive_avg_pool, avg_pool, max_pool
from torchq.ops.quantize import (
    dequantize_per_channel,
    dequantize_per_tensor,
    quantize_per_channel,
    quantize_per_tensor,
)
from torchq.ops.recurrent import gru_dynamic, lstm_dynamic
from torchq.ops.weight import pack_weight, unpack_weight

__all__ = [
    "adaptive_avg_pool",
    "add",
    "avg_pool",
    "batch_norm",
    "cat",
    "clamp",
    "convolution",
    "convolution_dequantize",
    "dequantize_per_channel",
    "dequantize_per_tensor",
    "embedding_bag",
    "group_norm",
    "gru_dynamic",
    "layer_norm",
    "linear",
    "linear_dequantize",
    "linear_dynamic",
    "lookup",
    "lstm_dynamic",
    "matmul",
    "max_pool",
    "mul",
    "pack_weight",
    "prelu",
    "prepare_layer",
    "quantize_per_channel",
    "quantize_per_tensor",
    "relu",
    "run_layer",
    "run_layer_add",
    "softmax",
    "unpack_weight",
    "upsample_bilinear",
    "window",
]
