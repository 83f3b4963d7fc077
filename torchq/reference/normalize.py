"""Normalizations, softmax and embeddings."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from torchq.reference.quantize import quantize_per_tensor
from torchq.reference.rounding import along, float32, fma, saturate


def _affine(
    q: Tensor, offset: Tensor, scale: Tensor, shift: Tensor, output_scale: float, output_zero_point: int
) -> Tensor:
    """Quantizes ``fma(q + offset, scale, shift)``; all of them broadcast."""
    value = fma(q.float() + offset, scale, shift)
    return quantize_per_tensor(value, output_scale, output_zero_point, q.dtype)


def batch_norm(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    eps: float,
    output_scale: float,
    output_zero_point: int,
    relu: bool = False,
) -> Tensor:
    """Normalizes each channel by given statistics.

    ``v = fma(q + o, g, bias)`` with ``o = float32(-(zero_point + mean / s))`` and ``g = float32(s * weight /
    sqrt(variance + eps))``, both in float64 up to there.
    """
    scale = float32(input_scale).double()
    gain = torch.ones_like(mean) if weight is None else weight
    offset = -(input_zero_point + mean.double() / scale)
    gain = scale * gain.double() / torch.sqrt(variance.double() + eps)
    shift = torch.zeros_like(mean) if bias is None else bias
    offset, gain, shift = (along(v.float(), 1, input.dim()) for v in (offset, gain, shift))
    output = _affine(input, offset, gain, shift, output_scale, output_zero_point)
    return output.clamp(min=output_zero_point) if relu else output


def _statistics(q: Tensor, scale: float, zero_point: int, eps: float) -> tuple[Tensor, Tensor]:
    """Offset and factor that normalize rows ``[..., n]`` of integers."""
    centered = q.long() - zero_point
    count, s = centered.shape[-1], float32(scale).double()
    mean = centered.sum(-1).double() / count
    square = (centered * centered).sum(-1).double() / count
    variance = (square - mean * mean).clamp(min=0)
    return (-(zero_point + mean)).float(), (s / torch.sqrt(variance * (s * s) + eps)).float()


def group_norm(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    groups: int,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    output_scale: float,
    output_zero_point: int,
) -> Tensor:
    """Normalizes groups of channels of each image.

    ``v = fma(q + o, f * weight, bias)`` with ``o = float32(-(zero_point + m))`` and
    ``f = float32(s / sqrt(var * (s * s) + eps))``; ``m`` and ``var`` are mean and variance of ``q - zero_point`` over
    the group, from exact sums, in float64.
    """
    batch, channels = input.shape[:2]
    members = input.unflatten(1, (groups, channels // groups)).flatten(2)
    offset, factor = _statistics(members, input_scale, input_zero_point, eps)
    per_channel = [v.repeat_interleave(channels // groups, 1) for v in (offset, factor)]
    shape = (batch, channels, *(1,) * (input.dim() - 2))
    gain = per_channel[1] if weight is None else per_channel[1] * weight
    shift = torch.zeros(channels) if bias is None else bias
    return _affine(
        input,
        per_channel[0].reshape(shape),
        gain.reshape(shape),
        along(shift, 1, input.dim()),
        output_scale,
        output_zero_point,
    )


def layer_norm(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    normalized_shape: Sequence[int],
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    output_scale: float,
    output_zero_point: int,
) -> Tensor:
    """Normalizes over the last dimensions, as :func:`group_norm` does over a group."""
    dims = len(normalized_shape)
    rows = input.flatten(-dims) if math.prod(normalized_shape) else input
    offset, factor = (v[..., None] for v in _statistics(rows, input_scale, input_zero_point, eps))
    gain = factor if weight is None else factor * weight.flatten()
    shift = torch.zeros(1) if bias is None else bias.flatten()
    return _affine(rows, offset, gain, shift, output_scale, output_zero_point).reshape(input.shape)


def _exp(x: Tensor) -> Tensor:
    """``e ** x`` for float64 ``x <= 0``: the Taylor series around the nearest multiple of ln 2."""
    multiple = torch.floor(x * 1.4426950408889634 + 0.5)
    r = (x - multiple * 0.6931471803691238) - multiple * 1.9082149292705877e-10
    total = torch.ones_like(x)
    for k in range(13, 0, -1):
        total = 1.0 + r / k * total
    return total * torch.pow(torch.tensor(2.0, dtype=torch.float64), multiple)


def softmax(input: Tensor, input_scale: float, output_scale: float, output_zero_point: int) -> Tensor:
    """Shares of the last dimension, from integer weights.

    ``e = rne(exp(-(largest - q) * s) * 2**24)``, ``y = sat(rne(float(e) * float32(1 / (sum(e) * output_scale))) +
    output_zero_point)``.
    """
    if input.shape[-1] == 0:
        return input.clone()
    below = input.long() - input.long().amax(-1, keepdim=True)
    weights = torch.round((_exp(below.double() * float32(input_scale).double()) * 2.0**24).float())
    total = weights.long().sum(-1, keepdim=True).double()
    ratio = (1.0 / (total * float32(output_scale).double())).float()
    return saturate(torch.round(weights * ratio).double() + output_zero_point, input.dtype)


def embedding_bag(
    packed_weight: Tensor,
    bits: int,
    indices: Tensor,
    offsets: Tensor,
    per_sample_weights: Tensor | None,
    mode: int,
) -> Tensor:
    """Adds ``fma(w, fma(scale, q, bias), sum)`` row by row."""
    dtype, size = (torch.float32, 8) if bits == 8 else (torch.float16, 4)
    values, parameters = packed_weight[:, :-size], packed_weight[:, -size:].contiguous().view(dtype).float()
    if bits == 4:
        values = torch.stack([values & 15, values >> 4], -1).flatten(1)
    output = torch.zeros(offsets.numel() - 1, values.shape[1])
    for bag, (begin, end) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
        for i in range(begin, end):
            scale, bias = parameters[indices[i]]
            weight = float32(1) / float32(end - begin) if mode == 1 else float32(1)
            weight = weight if per_sample_weights is None else per_sample_weights[i]
            output[bag] = fma(weight, fma(scale, values[indices[i]].float(), bias), output[bag])
    return output
