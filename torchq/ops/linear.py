"""Matrix products with a packed int8 weight, and of two quantized tensors."""

import torch
from torch import Tensor

from torchq.ops._register import (
    call_forward_only,
    forward_only,
    require,
    require_bytes,
    require_one_device,
    require_weight,
)

_ops = torch.ops.torchq


def _output(
    input: Tensor, packed_weight: Tensor, weight_scales: Tensor, bias: Tensor | None, dtype: torch.dtype
) -> Tensor:
    require_one_device(input, packed_weight, weight_scales, bias)
    require_weight(packed_weight, weight_scales, bias)
    require(input.dim() >= 1, "input must have at least one dimension")
    return input.new_empty((*input.shape[:-1], weight_scales.numel()), dtype=dtype)


def linear(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    packed_weight: Tensor,
    weight_scales: Tensor,
    bias: Tensor | None,
    output_scale: float,
    output_zero_point: int,
    output_dtype: torch.dtype,
    relu: bool = False,
) -> Tensor:
    """Multiplies quantized rows by a quantized weight, to integers.

    ``acc = sum_k (x - input_zero_point) * w`` in exact int32; then
    ``y = sat(rne((acc + bias / s) * (s / output_scale)) + output_zero_point)`` in float32 with
    ``s = input_scale * weight_scale`` of the output channel: fbgemm's order of operations.

    Args:
        input: uint8 or int8 ``[..., K]``.
        input_scale: of the input.
        input_zero_point: of the input.
        packed_weight: what ``pack_weight`` made of an int8 ``[N, K]``.
        weight_scales: float32 ``[N]``; a per-tensor scale repeated N times.
        bias: float32 ``[N]`` in real units, or None.
        output_scale: of the result.
        output_zero_point: of the result.
        output_dtype: ``torch.uint8`` or ``torch.int8``.
        relu: whether the result is at least its zero point.

    Returns:
        ``[..., N]`` of ``output_dtype``.
    """
    return _ops.linear.default(
        input,
        input_scale,
        input_zero_point,
        packed_weight,
        weight_scales,
        bias,
        output_scale,
        output_zero_point,
        output_dtype,
        relu,
    )


@torch.library.register_fake("torchq::linear")
def _(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    packed_weight: Tensor,
    weight_scales: Tensor,
    bias: Tensor | None,
    output_scale: float,
    output_zero_point: int,
    output_dtype: torch.dtype,
    relu: bool,
) -> Tensor:
    require_bytes(input)
    return _output(input, packed_weight, weight_scales, bias, output_dtype)


def linear_dequantize(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    packed_weight: Tensor,
    weight_scales: Tensor,
    bias: Tensor | None,
    relu: bool = False,
) -> Tensor:
    """Multiplies quantized rows by a quantized weight, to float32.

    ``y = fma(float(acc), s, bias)`` with the accumulator and ``s`` of ``linear``.

    Args:
        input: uint8 or int8 ``[..., K]``.
        input_scale: of the input.
        input_zero_point: of the input.
        packed_weight: what ``pack_weight`` made of an int8 ``[N, K]``.
        weight_scales: float32 ``[N]``.
        bias: float32 ``[N]``, or None.
        relu: whether the result is at least 0.

    Returns:
        float32 ``[..., N]``.
    """
    return call_forward_only(
        _ops.linear_dequantize.default, input, input_scale, input_zero_point, packed_weight, weight_scales, bias, relu
    )


@torch.library.register_fake("torchq::linear_dequantize")
def _(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    packed_weight: Tensor,
    weight_scales: Tensor,
    bias: Tensor | None,
    relu: bool,
) -> Tensor:
    require_bytes(input)
    return _output(input, packed_weight, weight_scales, bias, torch.float32)


def linear_dynamic(
    input: Tensor,
    packed_weight: Tensor,
    weight_scales: Tensor,
    bias: Tensor | None,
    per_token: bool,
    reduce_range: bool,
    relu: bool = False,
) -> Tensor:
    """Multiplies float rows, quantized on the fly to uint8, by a quantized weight, to float32.

    The scale and zero point of the rows cover their minimum, their maximum and 0, as fbgemm chooses them. A range that
    holds NaN or infinity makes all results computed with it NaN.

    Args:
        input: float32 ``[..., K]``.
        packed_weight: what ``pack_weight`` made of an int8 ``[N, K]``.
        weight_scales: float32 ``[N]``.
        bias: float32 ``[N]``, or None.
        per_token: whether each row gets a scale of its own, so that its result does not depend on the rows beside it;
            otherwise one scale serves the whole input, as in torch.ao.
        reduce_range: whether scales are chosen for 7 bits, as torch.ao's default is.
        relu: whether the result is at least 0.

    Returns:
        float32 ``[..., N]``.
    """
    return call_forward_only(
        _ops.linear_dynamic.default, input, packed_weight, weight_scales, bias, per_token, reduce_range, relu
    )


@torch.library.register_fake("torchq::linear_dynamic")
def _(
    input: Tensor,
    packed_weight: Tensor,
    weight_scales: Tensor,
    bias: Tensor | None,
    per_token: bool,
    reduce_range: bool,
    relu: bool,
) -> Tensor:
    require(input.dtype == torch.float32, f"input must be float32, got {input.dtype}")
    return _output(input, packed_weight, weight_scales, bias, torch.float32)


def matmul(
    a: Tensor,
    a_scale: float,
    a_zero_point: int,
    b: Tensor,
    b_scale: float,
    b_zero_point: int,
    output_scale: float,
    output_zero_point: int,
) -> Tensor:
    """Multiplies batches of quantized matrices.

    The arithmetic is that of ``linear`` with ``b`` for the weight: one exact sum, one rounding.

    Args:
        a: uint8 or int8 ``[..., M, K]``.
        a_scale: of a.
        a_zero_point: of a.
        b: of a's dtype, ``[..., K, N]`` with the same batch dimensions; a transposed view is read as it is.
        b_scale: of b.
        b_zero_point: of b.
        output_scale: of the result.
        output_zero_point: of the result.

    Returns:
        ``[..., M, N]`` of a's dtype, contiguous.
    """
    return _ops.matmul.default(a, a_scale, a_zero_point, b, b_scale, b_zero_point, output_scale, output_zero_point)


@torch.library.register_fake("torchq::matmul")
def _(
    a: Tensor,
    a_scale: float,
    a_zero_point: int,
    b: Tensor,
    b_scale: float,
    b_zero_point: int,
    output_scale: float,
    output_zero_point: int,
) -> Tensor:
    require_one_device(a, b)
    require_bytes(a)
    require(
        a.dtype == b.dtype and a.dim() == b.dim() >= 2 and a.shape[:-2] == b.shape[:-2] and a.shape[-1] == b.shape[-2],
        "a and b must be [..., M, K] and [..., K, N] of one dtype, got "
        f"{a.dtype} {tuple(a.shape)} and {b.dtype} {tuple(b.shape)}",
    )
    return a.new_empty((*a.shape[:-1], b.shape[-1]))


forward_only("linear_dequantize")
forward_only("linear_dynamic")
