"""Samples of quantize_per_tensor, quantize_per_channel and their inverses."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ops.samples.sample import Sample
from ops.samples.values import BYTES, EDGES, INT8, INT32, UINT8, full_range, layouts, near_ties, scales, short

DTYPES = (*BYTES, INT32)
# Around the 16 lanes of a vector and the 64 elements of a block.
SIZES = (0, 1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129)
LARGE = 200_003
ODD_ZERO_POINTS = {UINT8: 77, INT8: -33, INT32: 1_234_567}


def per_tensor(name: str, x: Tensor, scale: float, zero_point: int, dtype: torch.dtype, **marks: bool) -> Sample:
    arguments = {"input": x, "scale": scale, "zero_point": zero_point, "dtype": dtype}
    return Sample("quantize_per_tensor", f"{short(dtype)}-{name}", arguments, **marks)


def per_tensor_back(name: str, q: Tensor, scale: float, zero_point: int, **marks: bool) -> Sample:
    arguments = {"input": q, "scale": scale, "zero_point": zero_point}
    return Sample("dequantize_per_tensor", f"{short(q.dtype)}-{name}", arguments, **marks)


def per_tensor_samples(dtype: torch.dtype) -> Iterator[Sample]:
    info, odd = torch.iinfo(dtype), ODD_ZERO_POINTS[dtype]
    for size in SIZES:
        typical = size == 17
        yield per_tensor(f"size-{size}", near_ties((size,), 0.1, odd, size), 0.1, odd, dtype, typical=typical)
        yield per_tensor_back(f"size-{size}", full_range(size, dtype=dtype, seed=size), 0.1, odd, typical=typical)
    zero_points = {"lowest": info.min, "zero": 0, "odd": odd, "highest": info.max}
    steps = {"tenth": 0.1, "quarter": 0.25, "smallest": 2.9388e-39, "largest": 3.4e38}
    for name, zero_point in zero_points.items():
        for step, scale in steps.items():
            x = torch.cat([torch.tensor(EDGES), torch.tensor(EDGES) * scale, near_ties((100,), scale, zero_point)])
            yield per_tensor(f"edges-{name}-{step}", x, scale, zero_point, dtype)
            q = torch.cat([full_range(33, dtype=dtype), torch.tensor([info.min, 0, info.max], dtype=dtype)])
            yield per_tensor_back(f"{name}-{step}", q, scale, zero_point)
    every_tie = (torch.arange(info.min, info.max) if dtype != INT32 else torch.arange(-300, 300)) + 0.5
    yield per_tensor("every-tie", every_tie - odd, 1.0, odd, dtype)
    x = near_ties((2, 5, 4, 3), 0.25, odd)
    for name, layout in layouts(x).items():
        yield per_tensor(name, layout, 0.25, odd, dtype)
        yield per_tensor_back(name, layouts(full_range(2, 5, 4, 3, dtype=dtype))[name], 0.25, odd)
    for other in (torch.float64, torch.float16, torch.bfloat16):
        values = torch.cat([near_ties((70,), 0.25, odd), torch.tensor(EDGES)]).to(other)
        yield per_tensor(f"from-{short(other)}", values, 0.25, odd, dtype)
    yield per_tensor("scalar", torch.tensor(0.35), 0.1, odd, dtype)
    yield per_tensor_back("scalar", torch.tensor(11, dtype=dtype), 0.1, odd)
    yield per_tensor("large", near_ties((LARGE,), 0.1, odd), 0.1, odd, dtype, parallel=True)
    yield per_tensor_back("large", full_range(LARGE, dtype=dtype), 0.1, odd, parallel=True)


def per_channel(
    name: str, shape: tuple[int, ...], axis: int, dtype: torch.dtype, layout: str = "", double: bool = False, **marks
) -> Iterator[Sample]:
    """Quantizing and dequantizing with different scales and zero points for each channel."""
    count, along = shape[axis], [-1 if i == axis else 1 for i in range(len(shape))]
    info = torch.iinfo(dtype)
    steps = scales(count).double() * 1.0000001 if double else scales(count)
    zero_points = torch.linspace(max(info.min, -1001), min(info.max, 1001), count).long()
    x = near_ties(shape, steps.reshape(along), zero_points.reshape(along))
    if x.numel() > len(EDGES):
        x.view(-1)[torch.arange(len(EDGES)) * (x.numel() // len(EDGES))] = torch.tensor(EDGES)
    q = full_range(*shape, dtype=dtype)
    if layout:
        x, q = layouts(x)[layout], layouts(q)[layout]
    shared = {"scales": steps, "zero_points": zero_points, "axis": axis}
    label = f"{short(dtype)}-{name}"
    yield Sample("quantize_per_channel", label, {"input": x, **shared, "dtype": dtype}, **marks)
    yield Sample("dequantize_per_channel", label, {"input": q, **shared}, **marks)


def per_channel_samples(dtype: torch.dtype) -> Iterator[Sample]:
    shape = (3, 18, 5, 7)
    for axis in range(4):
        yield from per_channel(f"axis-{axis}", shape, axis, dtype, typical=axis == 1)
        for layout in ("channels-last", "transposed", "gaps", "expanded", "batch-innermost"):
            yield from per_channel(f"axis-{axis}-{layout}", shape, axis, dtype, layout)
    yield from per_channel("double-scales", shape, 1, dtype, double=True)
    for size in SIZES:
        yield from per_channel(f"vector-of-{size}", (size,), 0, dtype)
        yield from per_channel(f"runs-of-{size}", (2, 3, size), 1, dtype)
        yield from per_channel(f"channels-innermost-{size}", (3, size), 1, dtype)
    yield from per_channel("one-channel", (5, 1, 9), 1, dtype)
    yield from per_channel("empty-batch", (0, 4, 2), 1, dtype)
    yield from per_channel("large-runs", (3, 70_001), 0, dtype, parallel=True)
    yield from per_channel("large-channels-innermost", (4001, 17), 1, dtype, parallel=True)


def int32_far_apart() -> Iterator[Sample]:
    q = torch.tensor([-(2**31), -(2**31) + 1, -1, 0, 1, 2**31 - 1], dtype=INT32)
    for name, zero_point in (("lowest", -(2**31)), ("highest", 2**31 - 1)):
        yield per_tensor_back(f"ends-from-{name}", q, 0.7, zero_point)


SAMPLES = [
    *(sample for dtype in DTYPES for sample in per_tensor_samples(dtype)),
    *(sample for dtype in DTYPES for sample in per_channel_samples(dtype)),
    *int32_far_apart(),
]
