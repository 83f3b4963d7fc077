"""Calls of the functions with packed weights."""

import torch

SPATIAL = {1: (17,), 2: (9, 8), 3: (5, 6, 7)}


def packed_linear(q, of, n=None, k=None):
    n, k = n or of.number(1, 40), k or of.number(1, 70)
    return q.linear_prepack(of.weight(n, k), of.bias(n)), k


def _linear(name, *arguments):
    def call(q, of):
        packed, k = packed_linear(q, of)
        return getattr(q, name)(of.quantized(of.number(1, 9), k, unsigned=True), packed, 0.5, 60, *arguments)

    return call


def _linear_tanh(q, of):
    packed, k = packed_linear(q, of)
    return q.linear_tanh(of.quantized(3, k, unsigned=True), packed, 0.01, 99)


def _float_rows(name, reduce_range=True):
    def call(q, of):
        packed, k = packed_linear(q, of)
        # torch's default of 8 bits saturates on a CPU without VNNI instructions.
        arguments = (packed, True) if reduce_range else (0.05, 60, packed)
        return getattr(q, name)(of.floats(5, k).clamp(-2.9, 3.2), *arguments)

    return call


def packed_conv(q, of, dims, transposed=False):
    """A packed weight and the size of an input."""
    groups = of.number(1, 2)
    kernel = [of.number(1, 3) for _ in range(dims)]
    stride, padding, dilation = ([of.number(low, 2) for _ in range(dims)] for low in (1, 0, 1))
    if transposed:
        weight = of.weight(4 * groups, 3, *kernel, one_scale=True)  # torch has no other here
        output_padding = [of.number(0, 1) if s > 1 else 0 for s in stride]
        padding = [min(p, k - 1) for p, k in zip(padding, kernel, strict=True)]
        window = (stride, padding, output_padding, dilation, groups)
    else:
        weight, window = of.weight(3 * groups, 4, *kernel), (stride, padding, dilation, groups)
    prepack = getattr(q, f"conv{'_transpose' if transposed else ''}{dims}d_prepack")
    return prepack(weight, of.bias(3 * groups), *window), (2, 4 * groups, *SPATIAL[dims])


def _conv(name, dims, transposed=False):
    def call(q, of):
        packed, size = packed_conv(q, of, dims, transposed)
        return getattr(q, name)(of.quantized(*size, unsigned=True), packed, 0.5, 60)

    return call


def _conv_add(name):
    def call(q, of):
        packed, size = packed_conv(q, of, 2)
        x = of.quantized(*size, unsigned=True).contiguous(memory_format=torch.channels_last)
        shape = q.conv2d(x, packed, 0.5, 60).shape
        other = of.quantized(*shape, unsigned=True).contiguous(memory_format=torch.channels_last)
        return getattr(q, name)(x, other, packed, 0.5, 60)

    return call


LINEAR = {
    "linear": _linear("linear"),
    "linear_relu": _linear("linear_relu"),
    "conv1d": _conv("conv1d", 1),
    "conv1d_relu": _conv("conv1d_relu", 1),
    "conv_transpose1d": _conv("conv_transpose1d", 1, transposed=True),
    "conv2d": _conv("conv2d", 2),
    "conv2d_relu": _conv("conv2d_relu", 2),
    "conv_transpose2d": _conv("conv_transpose2d", 2, transposed=True),
    "conv3d": _conv("conv3d", 3),
    "conv3d_relu": _conv("conv3d_relu", 3),
    "conv_transpose3d": _conv("conv_transpose3d", 3, transposed=True),
}
# torch has these with its onednn engine only.
ONEDNN = {
    "linear_leaky_relu": _linear("linear_leaky_relu", 0.1),
    "linear_tanh": lambda q, of: q.linear_tanh(
        of.quantized(3, 9, unsigned=True), packed_linear(q, of, k=9)[0], 0.01, 99
    ),
    "conv2d_add": _conv_add("conv2d_add"),
    "conv2d_add_relu": _conv_add("conv2d_add_relu"),
}
FLOAT = {
    "linear_dynamic": _float_rows("linear_dynamic"),
    "linear_relu_dynamic": _float_rows("linear_relu_dynamic"),
    "linear_with_input_q_dq_qweight_dq_output_fp32": _float_rows(
        "linear_with_input_q_dq_qweight_dq_output_fp32", False
    ),
    "linear_with_input_q_dq_qweight_dq_relu_output_fp32": _float_rows(
        "linear_with_input_q_dq_qweight_dq_relu_output_fp32", False
    ),
}
# Whose spatial dimensions, and whether it is transposed.
DYNAMIC = {
    "conv1d_dynamic": (1, False),
    "conv_transpose1d_dynamic": (1, True),
    "conv2d_dynamic": (2, False),
    "conv_transpose2d_dynamic": (2, True),
    "conv3d_dynamic": (3, False),
    "conv_transpose3d_dynamic": (3, True),
}
