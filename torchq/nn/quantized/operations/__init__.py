"""Functions of quantized tensors that take the scale and zero point of their result: what graphs call.

They are named after the float functions and take those's arguments, then ``scale`` and ``zero_point``, by name. The
result has the input's dtype. The arithmetic is that of docs/numerics.md.
"""

from torchq.nn.quantized.operations.activations import (
    elu,
    gelu,
    hardsigmoid,
    hardswish,
    leaky_relu,
    prelu,
    sigmoid,
    silu,
    tanh,
)
from torchq.nn.quantized.operations.arithmetic import (
    add,
    add_relu,
    add_scalar,
    cat,
    matmul,
    mul,
    mul_relu,
    mul_scalar,
)
from torchq.nn.quantized.operations.normalize import batch_norm, group_norm, instance_norm, layer_norm, softmax

__all__ = [
    "add",
    "add_relu",
    "add_scalar",
    "batch_norm",
    "cat",
    "elu",
    "gelu",
    "group_norm",
    "hardsigmoid",
    "hardswish",
    "instance_norm",
    "layer_norm",
    "leaky_relu",
    "matmul",
    "mul",
    "mul_relu",
    "mul_scalar",
    "prelu",
    "sigmoid",
    "silu",
    "softmax",
    "tanh",
]
