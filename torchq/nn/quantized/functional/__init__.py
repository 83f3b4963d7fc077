"""Functions of quantized tensors.

Those without a scale and zero point among their arguments return the input's, or what docs/numerics.md says.
"""

from torchq.nn.quantized.functional.activations import (
    celu,
    clamp,
    dropout,
    elu,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    threshold,
)
from torchq.nn.quantized.functional.layers import conv1d, conv2d, conv3d, instance_norm, layer_norm, linear
from torchq.nn.quantized.functional.pooling import (
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    avg_pool2d,
    avg_pool3d,
    interpolate,
    max_pool1d,
    max_pool2d,
    upsample,
    upsample_bilinear,
    upsample_nearest,
)

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "avg_pool2d",
    "avg_pool3d",
    "celu",
    "clamp",
    "conv1d",
    "conv2d",
    "conv3d",
    "dropout",
    "elu",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "instance_norm",
    "interpolate",
    "layer_norm",
    "leaky_relu",
    "linear",
    "max_pool1d",
    "max_pool2d",
    "threshold",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]
