"""How many integers differ from torch.ao's (fbgemm engine), over full-range inputs, half of them rich in exact ties."""

import random
from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.harness import Measured
from torchq import ops

_OUTPUTS = 2_000_000
_DTYPES = {torch.uint8: torch.quint8, torch.int8: torch.qint8, torch.int32: torch.qint32}


def _scale(ties: bool) -> float:
    """A power of two, which makes products land on ties, or any scale."""
    return 2.0 ** random.randint(-7, -3) if ties else random.uniform(0.005, 0.2)


def _zero_point(dtype: torch.dtype) -> int:
    return random.randint(torch.iinfo(dtype).min, torch.iinfo(dtype).max)


def _full_range(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    info = torch.iinfo(dtype)
    return torch.randint(info.min, info.max + 1, shape, dtype=dtype)


def _floats(shape: tuple[int, ...], scale: Tensor | float, ties: bool) -> Tensor:
    steps = torch.randint(-600, 600, shape).float()
    return (steps / 2 if ties else steps + torch.rand(shape)) * scale


def _quantize_per_tensor() -> Iterator[tuple[Tensor, Tensor]]:
    for dtype, torch_dtype in _DTYPES.items():
        for ties in (False, True):
            scale = _scale(ties)
            zero_point = _zero_point(torch.uint8 if dtype == torch.int32 else dtype)
            x = _floats((_OUTPUTS // 6 + 1,), scale, ties)
            theirs = torch.quantize_per_tensor(x, scale, zero_point, torch_dtype).int_repr()
            yield ops.quantize_per_tensor(x, scale, zero_point, dtype), theirs


def _quantize_per_channel() -> Iterator[tuple[Tensor, Tensor]]:
    for dtype, torch_dtype in _DTYPES.items():
        for axis in (0, 1):
            shape = (61, 67, 91)
            scales = torch.tensor([_scale(axis == 1) for _ in range(shape[axis])])
            zero_points = torch.tensor(
                [_zero_point(torch.uint8 if dtype == torch.int32 else dtype) for _ in range(shape[axis])]
            )
            along = [-1 if d == axis else 1 for d in range(3)]
            x = _floats(shape, scales.reshape(along), axis == 1)
            theirs = torch.quantize_per_channel(x, scales, zero_points, axis, torch_dtype).int_repr()
            yield ops.quantize_per_channel(x, scales, zero_points, axis, dtype), theirs


def _weight(shape: tuple[int, ...], ties: bool) -> tuple[Tensor, Tensor, Tensor]:
    weight = _full_range(shape, torch.int8)
    scales = torch.tensor([_scale(ties) for _ in range(shape[0])])
    zeros = torch.zeros(shape[0], dtype=torch.int64)
    return weight, scales, torch._make_per_channel_quantized_tensor(weight, scales.double(), zeros, 0)


def _linear() -> Iterator[tuple[Tensor, Tensor]]:
    for case in range(16):
        ties, relu = case % 2 == 1, case % 4 >= 2
        m, k, n = 256, random.randint(1, 300), 503
        x, (weight, scales, quantized) = _full_range((m, k), torch.uint8), _weight((n, k), ties)
        bias = torch.randn(n) if case % 8 < 6 else None
        qx, qy = (_scale(ties), _zero_point(torch.uint8)), (_scale(ties) * 64 * k**0.5, _zero_point(torch.uint8))
        run = torch.ops.quantized.linear_relu if relu else torch.ops.quantized.linear
        packed = torch.ops.quantized.linear_prepack(quantized, bias)
        theirs = run(torch._make_per_tensor_quantized_tensor(x, *qx), packed, *qy).int_repr()
        yield ops.linear(x, *qx, ops.pack_weight(weight), scales, bias, *qy, torch.uint8, relu), theirs


def _conv2d() -> Iterator[tuple[Tensor, Tensor]]:
    for case in range(16):
        ties, relu, groups = case % 2 == 1, case % 4 >= 2, (1, 1, 2, 4)[case // 4]
        kernel, window = (
            random.choice([1, 2, 3, 5]),
            [random.choice([1, 2]), random.randint(0, 2), random.choice([1, 2])],
        )
        channels = groups * random.choice([3, 4, 16])
        x = _full_range((4, channels, 40, 41), torch.uint8)
        weight, scales, quantized = _weight((96, channels // groups, kernel, kernel), ties)
        bias = torch.randn(96) if case % 8 < 6 else None
        depth = kernel * kernel * channels / groups
        qx, qy = (_scale(ties), _zero_point(torch.uint8)), (_scale(ties) * 64 * depth**0.5, _zero_point(torch.uint8))
        stride, padding, dilation = ([value] * 2 for value in window)
        packed = torch.ops.quantized.conv2d_prepack(quantized, bias, stride, padding, dilation, groups)
        run = torch.ops.quantized.conv2d_relu if relu else torch.ops.quantized.conv2d
        theirs = run(torch._make_per_tensor_quantized_tensor(x, *qx), packed, *qy).int_repr()
        ours = ops.pack_weight(weight, groups=groups)
        shape = ops.window([kernel] * 2, stride, padding, dilation)
        yield ops.convolution(x, *qx, ours, scales, bias, shape, False, *qy, torch.uint8, relu), theirs


_FAMILIES = {
    "quantize_per_tensor": _quantize_per_tensor,
    "quantize_per_channel": _quantize_per_channel,
    "linear": _linear,
    "conv2d": _conv2d,
}


def run() -> list[Measured]:
    """Counts, for each operator, the integers compared and those that differ."""
    torch.backends.quantized.engine = "fbgemm"
    random.seed(0)
    torch.manual_seed(0)
    rows = []
    for name, pairs in _FAMILIES.items():
        compared = differing = 0
        for ours, theirs in pairs():
            compared += ours.numel()
            differing += int((ours != theirs).sum())
        rows.append({"operator": name, "integers": compared, "differ from torch.ao": differing})
    return [Measured("integers that differ from torch.ao", rows)]
