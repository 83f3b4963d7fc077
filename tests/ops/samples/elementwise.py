"""Samples of add, mul, relu, clamp, lookup, prelu and cat."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ops.samples.sample import Sample
from ops.samples.values import BYTES, full_range, generator, layouts, short

SIZES = (0, 1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129)


def combine(
    op: str, name: str, a: Tensor, b: Tensor, scales: tuple, zero_points: tuple, relu: bool = False, **marks
) -> Sample:
    arguments = {}
    for operand, value, scale, zero_point in zip("ab", (a, b), scales, zero_points, strict=False):
        arguments |= {operand: value, f"{operand}_scale": scale, f"{operand}_zero_point": zero_point}
    arguments |= {"output_scale": scales[2], "output_zero_point": zero_points[2], "relu": relu}
    return Sample(op, f"{short(a.dtype)}-{name}", arguments, **marks)


def combine_samples(op: str, dtype: torch.dtype) -> Iterator[Sample]:
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
            ("infinite", (3e38, 3e38, 1.0)),
        ):
            yield combine(op, f"every-pair-{name}{'-relu' * relu}", *pairs, scales, odd, relu)
        for name, zero_point in (("lowest", info.min), ("highest", info.max)):
            points = (zero_point, zero_point, zero_point)
            yield combine(op, f"every-pair-{name}-zero-point{'-relu' * relu}", *pairs, (0.5, 0.25, 0.5), points, relu)
    scales = (0.031, 0.07, 0.09)
    for size in SIZES:
        a, b = full_range(size, dtype=dtype), full_range(size, dtype=dtype, seed=1)
        yield combine(op, f"size-{size}", a, b, scales, odd, relu=size % 2 == 0, typical=size == 17)
    a, b = full_range(2, 5, 4, 3, dtype=dtype), full_range(2, 5, 4, 3, dtype=dtype, seed=1)
    for name, layout in layouts(a).items():
        yield combine(op, f"{name}-and-contiguous", layout, b, scales, odd)
        yield combine(op, f"contiguous-and-{name}", b, layout, scales, odd)
        yield combine(op, f"{name}-both", layout, layouts(b)[name], scales, odd)
    scalar = torch.tensor(info.max, dtype=dtype)
    yield combine(op, "scalar", scalar, scalar, scales, odd)
    image = full_range(2, 37, 6, 5, dtype=dtype).contiguous(memory_format=torch.channels_last)
    for name, shape in (("channels", (2, 37, 1, 1)), ("pixels", (2, 1, 6, 5)), ("all", (1, 1, 1, 1))):
        gate = full_range(*shape, dtype=dtype, seed=1).expand(image.shape)
        yield combine(op, f"expanded-over-{name}", image, gate, scales, odd, typical=name == "channels")
        yield combine(op, f"expanded-over-{name}-first", gate, image, scales, odd)
    # A gate for each of several images, and neighbouring pixels of a larger one, whose runs are as short.
    image = full_range(3, 64, 10, 10, dtype=dtype).contiguous(memory_format=torch.channels_last)
    yield combine(op, "gates", image, full_range(3, 64, 1, 1, dtype=dtype, seed=1).expand(image.shape), scales, odd)
    wide = full_range(3, 128, 10, 10, dtype=dtype, seed=1).contiguous(memory_format=torch.channels_last)
    yield combine(op, "half-of-the-channels", image, wide[:, :64], scales, odd)
    large = full_range(200_003, dtype=dtype), full_range(200_003, dtype=dtype, seed=1)
    yield combine(op, "large", *large, scales, odd, parallel=True)
    gate = full_range(1, 64, 1, 1, dtype=dtype).expand(2, 64, 40, 30)
    image = full_range(2, 64, 40, 30, dtype=dtype).contiguous(memory_format=torch.channels_last)
    yield combine(op, "large-expanded", image, gate, scales, odd, parallel=True)


def lookup_samples(dtype: torch.dtype) -> Iterator[Sample]:
    info = torch.iinfo(dtype)
    every = torch.arange(info.min, info.max + 1).to(dtype)
    inputs = {f"size-{size}": full_range(size, dtype=dtype) for size in SIZES}
    inputs |= layouts(full_range(2, 5, 4, 3, dtype=dtype))
    inputs |= {"every-value": every, "scalar": torch.tensor(info.max, dtype=dtype)}
    inputs |= {"large": full_range(200_003, dtype=dtype)}
    for number, (name, x) in enumerate(inputs.items()):
        marks = {"typical": name in ("size-17", "channels-last"), "parallel": name == "large"}
        for output in BYTES:
            table = full_range(256, dtype=output, seed=number)
            yield Sample("lookup", f"{short(dtype)}-{short(output)}-{name}", {"input": x, "table": table}, **marks)


def prelu_samples(dtype: torch.dtype) -> Iterator[Sample]:
    info = torch.iinfo(dtype)
    inputs = {f"channels-{c}": full_range(2, c, 3, dtype=dtype, seed=c) for c in (1, 2, 15, 16, 17, 64, 65, 80)}
    inputs |= layouts(full_range(2, 5, 4, 3, dtype=dtype))
    inputs |= {"two-dimensions": full_range(7, 20, dtype=dtype), "empty": full_range(0, 3, 4, dtype=dtype)}
    inputs |= {"every-value": torch.arange(info.min, info.max + 1).to(dtype).expand(1, 3, 256)}
    inputs |= {"large": full_range(3, 65, 30, 31, dtype=dtype)}
    for number, (name, x) in enumerate(inputs.items()):
        marks = {"typical": name in ("channels-17", "channels-last"), "parallel": name == "large"}
        for shared in (False, True):
            weight = torch.randn(1 if shared else x.shape[1], generator=generator(number))
            arguments = {"input": x, "input_scale": 0.07, "input_zero_point": info.max - 100, "weight": weight}
            arguments |= {"output_scale": 0.05, "output_zero_point": info.min + 77}
            yield Sample("prelu", f"{short(dtype)}-{name}{'-shared' * shared}", arguments, **marks)


def cat_samples(dtype: torch.dtype) -> Iterator[Sample]:
    info = torch.iinfo(dtype)
    qparams = [(0.05, info.min + 9), (0.11, info.max - 60), (0.05, info.min + 9), (0.02, info.min)]
    image = full_range(2, 5, 4, 3, dtype=dtype)
    last = image.contiguous(memory_format=torch.channels_last)
    cases = {
        "rows": ([full_range(n, 7, dtype=dtype, seed=n) for n in (3, 1, 4)], 0),
        "columns": ([full_range(5, n, dtype=dtype, seed=n) for n in (3, 70, 4)], -1),
        "one": ([image], 2),
        "empty-among": ([full_range(2, 0, 3, dtype=dtype), full_range(2, 4, 3, dtype=dtype)], 1),
        "all-empty": ([full_range(0, 3, dtype=dtype), full_range(0, 2, dtype=dtype)], 1),
        # Around the bytes that are copied without a call, and those that are looked up together.
        "short-and-long": ([full_range(3, n, dtype=dtype, seed=n) for n in (255, 257, 4096, 4097)], 1),
        "many-pixels": (
            [full_range(2, n, 13, 11, dtype=dtype).to(memory_format=torch.channels_last) for n in (33, 31, 16)],
            1,
        ),
        "one-channel-and-many": (
            [full_range(2, n, 13, 11, dtype=dtype).to(memory_format=torch.channels_last) for n in (1, 63)],
            1,
        ),
        "channels-last": (
            [last, full_range(2, 33, 4, 3, dtype=dtype).contiguous(memory_format=torch.channels_last)],
            1,
        ),
        "channels-last-first": ([last, image[:, :2]], 1),
        "channels-last-second": ([image, last], 1),
        "channels-last-rows": ([last, last, image], 2),
        "channels-last-batch": ([last, image], 0),
        "strided": ([image[:, ::2], image[..., ::2].expand(2, 5, 4, 2)[:, :3, :, :].repeat(1, 1, 1, 2)[..., :3]], 1),
        "volumes": ([full_range(1, 3, 2, 3, 4, dtype=dtype), full_range(1, 3, 2, 3, 4, dtype=dtype, seed=1)], -3),
        "five": ([image] * 5, 1),
        "large": ([full_range(2, 40, 40, 30, dtype=dtype, seed=i) for i in range(2)], 1),
    }
    for name, (tensors, dim) in cases.items():
        used = [qparams[i % len(qparams)] for i in range(len(tensors))]
        for output in (qparams[0], (0.083, info.max - 128)):
            arguments = {"tensors": tensors, "scales": [s for s, _ in used], "zero_points": [z for _, z in used]}
            arguments |= {"dim": dim, "output_scale": output[0], "output_zero_point": output[1]}
            marks = {"typical": name in ("rows", "channels-last"), "parallel": name == "large"}
            yield Sample("cat", f"{short(dtype)}-{name}-to-{output[0]}", arguments, **marks)


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
    sample
    for dtype in BYTES
    for samples in (
        combine_samples("add", dtype),
        combine_samples("mul", dtype),
        clamp_samples(dtype),
        lookup_samples(dtype),
        prelu_samples(dtype),
        cat_samples(dtype),
    )
    for sample in samples
]
