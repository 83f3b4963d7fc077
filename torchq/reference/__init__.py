"""The arithmetic contract in plain torch operations: what every kernel must give, bit for bit.

The functions carry the names and the argument order of ``torchq.ops``, except that weights are plain
``int8`` tensors with optional zero points and groups where the ops take packed ones. They check no arguments and serve
tests only: product code never imports this package.

Notation: arithmetic is float32 unless a formula says otherwise. ``rne`` rounds to the nearest integer, ties
to even; ``fma(a, b, c)`` is ``a * b + c`` rounded once; ``sat`` clamps to the output dtype and sends NaN to
its largest value. Sums of integer products are exact.
"""

from torchq.reference.elementwise import add, cat, clamp, lookup, mul, prelu, relu
from torchq.reference.normalize import batch_norm, embedding_bag, group_norm, layer_norm, softmax
from torchq.reference.pool import adaptive_avg_pool, avg_pool, max_pool, upsample_bilinear
from torchq.reference.products import (
    convolution,
    convolution_dequantize,
    linear,
    linear_dequantize,
    linear_dynamic,
    matmul,
)
from torchq.reference.quantize import (
    dequantize_per_channel,
    dequantize_per_tensor,
    quantize_per_channel,
    quantize_per_tensor,
)
from torchq.reference.recurrent import gru_dynamic, lstm_dynamic
from torchq.reference.rounding import fma

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
    "fma",
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
    "prelu",
    "quantize_per_channel",
    "quantize_per_tensor",
    "relu",
    "softmax",
    "upsample_bilinear",
]
