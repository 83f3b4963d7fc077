"""Samples of add, relu and clamp."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ops.samples.sample import Sample
from ops.samples.values import BYTES, full_range, layouts, short

SIZES = (0, 1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129)


def add(name: str, a: Tensor, b: Tensor, scales: tuple, zero_points: tuple, relu: bool = False, **marks) -> Sample:
    arguments = {}
    for operand, value, scale, zero_point in zip("ab", (a, b), scales, zero_points, strict=False):
        arguments |= {operand: value, f"{operand}_scale": scale, f"{operand}_zero_point": zero_point}
    arguments |= {"output_scale": scales[2], "output_zero_point": zero_points[2], "relu": relu}
    return Sample("add", f"{short(a.dtype)}-{name}", arguments, **marks)


def add_samples(dtype: torch.dtype) -> Iterator[Sample]:
    info = torch.iinfo(dtype)
    odd = (info.max - 100, info.min + 3, info.max - 127)
    every = torch.arange(info.min, info.max + 1).to(dtype)
    pairs = every.repeat(256), every.repeat_interleave(256)
    for relu in (False, True):
        for name, scales in (
            ("different-scales", (0.031, 0.07, 0.09)),
            ("equal-scales", (0.1, 0.1, 0.2)),
            ("power-of-two-scales", (0.25, 0.5, 1.0)),
            ("beyond-int32", (1e5, 0.1, 1e-30)),
            ("vanishing", (1e-30, 1e-38, 1.0)),
            ("infinite-sum", (3e38, 3e38, 1.0)),
        ):
            yield add(f"every-pair-{name}{'-relu' * relu}", *pairs, scales, odd, relu)
        for name, zero_point in (("lowest", info.min), ("highest", info.max)):
            points = (zero_point, zero_point, zero_point)
            yield add(f"every-pair-{name}-zero-point{'-relu' * relu}", *pairs, (0.5, 0.25, 0.5), points, relu)
    scales = (0.031, 0.07, 0.09)
    for size in SIZES:
        a, b = full_range(size, dtype=dtype), full_range(size, dtype=dtype, seed=1)
        yield add(f"size-{size}", a, b, scales, odd, relu=size % 2 == 0, typical=size == 17)
    a, b = full_range(2, 5, 4, 3, dtype=dtype), full_range(2, 5, 4, 3, dtype=dtype, seed=1)
    for name, layout in layouts(a).items():
        yield add(f"{name}-and-contiguous", layout, b, scales, odd)
        yield add(f"contiguous-and-{name}", b, layout, scales, odd)
        yield add(f"{name}-both", layout, layouts(b)[name], scales, odd)
    scalar = torch.tensor(info.max, dtype=dtype)
    yield add("scalar", scalar, scalar, scales, odd)
    large = full_range(200_003, dtype=dtype), full_range(200_003, dtype=dtype, seed=1)
    yield add("large", *large, scales, odd, parallel=True)


def clamp_samples(dtype: torch.dtype) -> Iterator[Sample]:
    info, label = torch.iinfo(dtype), short(dtype)
    every = torch.arange(info.min, info.max + 1).to(dtype)
    for zero_point in (info.min, info.min + 1, info.max - 78, info.max):
        yield Sample("relu", f"{label}-every-value-{zero_point}", {"input": every, "zero_point": zero_point})
    bounds = ((info.min, info.max), (info.min + 9, info.max - 30), (info.max, info.max), (info.min, info.min))
    for lowest, highest in bounds:
        arguments = {"input": every, "lowest": lowest, "highest": highest}
        yield Sample("clamp", f"{label}-every-value-{lowest}-{highest}", arguments)
    inputs = {f"size-{size}": full_range(size, dtype=dtype) for size in SIZES}
    inputs |= layouts(full_range(2, 5, 4, 3, dtype=dtype))
    inputs |= {"scalar": torch.tensor(info.max, dtype=dtype), "large": full_range(200_003, dtype=dtype)}
    for name, x in inputs.items():
        marks = {"typical": name in ("size-17", "channels-last"), "parallel": name == "large"}
        yield Sample("relu", f"{label}-{name}", {"input": x, "zero_point": info.max - 120}, **marks)
        arguments = {"input": x, "lowest": info.min + 40, "highest": info.max - 50}
        yield Sample("clamp", f"{label}-{name}", arguments, **marks)


SAMPLES = [
    *(sample for dtype in BYTES for sample in add_samples(dtype)),
    *(sample for dtype in BYTES for sample in clamp_samples(dtype)),
]
