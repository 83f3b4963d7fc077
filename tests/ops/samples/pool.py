"""Samples of max_pool, avg_pool and adaptive_avg_pool."""

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from ops.samples.sample import Sample
from ops.samples.values import BYTES, full_range, layouts, short

CHANNELS = (1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65)
# kernel, stride, padding
WINDOWS = {
    "two-by-two": ((2, 2), (2, 2), (0, 0)),
    "overlapping": ((3, 3), (2, 2), (1, 1)),
    "wide": ((1, 5), (1, 2), (0, 2)),
    "tall": ((5, 1), (3, 1), (2, 0)),
    "one-pixel": ((1, 1), (2, 3), (0, 0)),
    "gaps-between": ((2, 3), (4, 4), (1, 0)),
    "whole-image": ((7, 8), (1, 1), (0, 0)),
}
PLAIN = ((3, 2), (2, 1), (1, 1))


def max_pool(name: str, x: Tensor, window: tuple, dilation=(1, 1), ceil_mode: bool = False, **marks) -> Sample:
    kernel, stride, padding = window
    arguments = {"input": x, "kernel_size": kernel, "stride": stride, "padding": padding}
    arguments |= {"dilation": dilation, "ceil_mode": ceil_mode}
    return Sample("max_pool", f"{short(x.dtype)}-{name}", arguments, **marks)


def avg_pool(
    name: str,
    x: Tensor,
    zero_point: int,
    window: tuple,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
    **marks: bool,
) -> Sample:
    kernel, stride, padding = window
    arguments = {"input": x, "zero_point": zero_point, "kernel_size": kernel, "stride": stride, "padding": padding}
    arguments |= {"ceil_mode": ceil_mode, "count_include_pad": count_include_pad, "divisor_override": divisor}
    return Sample("avg_pool", f"{short(x.dtype)}-{name}", arguments, **marks)


def adaptive(name: str, x: Tensor, zero_point: int, size: tuple[int, int], **marks: bool) -> Sample:
    arguments = {"input": x, "zero_point": zero_point, "output_size": size}
    return Sample("adaptive_avg_pool", f"{short(x.dtype)}-{name}", arguments, **marks)


def window_samples(dtype: torch.dtype) -> Iterator[Sample]:
    x, odd = full_range(2, 18, 7, 8, dtype=dtype), torch.iinfo(dtype).max - 50
    for (name, window), ceil_mode in itertools.product(WINDOWS.items(), (False, True)):
        label = name + "-ceil" * ceil_mode
        typical = label in ("two-by-two", "overlapping-ceil")
        yield max_pool(label, x, window, ceil_mode=ceil_mode, typical=typical)
        yield avg_pool(label, x, odd, window, ceil_mode, typical=typical)
        yield avg_pool(f"{label}-without-padding", x, odd, window, ceil_mode, count_include_pad=False)
        yield avg_pool(f"{label}-divisor", x, odd, window, ceil_mode, divisor=14)
    # Windows that see the same pixels, and as much padding or less.
    small = full_range(2, 5, 2, 2, dtype=dtype)
    yield avg_pool("small", small, odd, ((5, 5), (2, 2), (2, 2)), True)
    yield max_pool("dilation", x, PLAIN, dilation=(2, 3))
    yield max_pool("dilation-ceil", x, PLAIN, dilation=(3, 2), ceil_mode=True)
    yield avg_pool("divisor-beyond-the-range", x, odd, PLAIN, divisor=10**12)
    for size in ((1, 1), (3, 2), (7, 8), (5, 7), (9, 20)):
        yield adaptive(f"to-{size[0]}x{size[1]}", x, odd, size, typical=size in ((1, 1), (3, 2)))


def shape_samples(dtype: torch.dtype) -> Iterator[Sample]:
    info = torch.iinfo(dtype)
    inputs = {f"channels-{channels}": full_range(1, channels, 5, 6, dtype=dtype) for channels in CHANNELS}
    inputs |= layouts(full_range(2, 5, 6, 5, dtype=dtype))
    inputs |= {
        "empty-batch": full_range(0, 3, 5, 5, dtype=dtype),
        "one-pixel-image": full_range(2, 17, 1, 1, dtype=dtype),
        "all-lowest": torch.full((1, 17, 5, 5), info.min, dtype=dtype),
        "all-highest": torch.full((1, 17, 5, 5), info.max, dtype=dtype),
    }
    for name, x in inputs.items():
        window = ((1, 1), (1, 1), (0, 0)) if name == "one-pixel-image" else PLAIN
        yield max_pool(name, x, window)
        for zero_point in (info.min, info.max - 120, info.max):
            yield avg_pool(f"{name}-{zero_point}", x, zero_point, window)
            yield adaptive(f"{name}-{zero_point}", x, zero_point, (2, 3))
    # A sum of 250,000 bytes is beyond float32's integers.
    whole = torch.full((1, 2, 500, 500), info.max, dtype=dtype)
    whole[0, 0, ::3] = info.min
    yield avg_pool("long-sum", whole, info.min + 1, ((500, 500), (1, 1), (0, 0)))
    yield adaptive("long-sum", whole, info.min + 1, (1, 1))


def tie_samples(dtype: torch.dtype) -> Iterator[Sample]:
    """Averages of two and of four that end in a half, at an odd and an even zero point."""
    every = torch.arange(torch.iinfo(dtype).min, torch.iinfo(dtype).max + 1).to(dtype)
    x = torch.stack([every, every.roll(-1), every.roll(5), every], -1).reshape(1, 256, 2, 2)
    for zero_point in (4, 5):
        yield avg_pool(f"ties-{zero_point}", x, zero_point, ((2, 2), (2, 2), (0, 0)))
        yield avg_pool(f"ties-of-two-{zero_point}", x, zero_point, ((1, 2), (1, 2), (0, 0)))
        yield adaptive(f"ties-{zero_point}", x, zero_point, (1, 1))
        yield adaptive(f"ties-of-two-{zero_point}", x, zero_point, (2, 1))


def dimension_samples(dtype: torch.dtype) -> Iterator[Sample]:
    """One and three spatial dimensions."""
    lines, volumes = full_range(2, 18, 19, dtype=dtype), full_range(2, 5, 5, 6, 7, dtype=dtype)
    for name, x, window in (
        ("1d", lines, ((3,), (2,), (1,))),
        ("1d-whole", lines, ((19,), (1,), (0,))),
        ("3d", volumes, ((2, 3, 2), (2, 1, 3), (1, 1, 0))),
        ("3d-strided", volumes.transpose(0, 1), ((3, 3, 3), (2, 2, 2), (1, 1, 1))),
    ):
        dims = len(window[0])
        yield max_pool(name, x, window, dilation=(1,) * dims, typical=name == "3d")
        yield max_pool(f"{name}-ceil", x, window, dilation=(1,) * dims, ceil_mode=True)
        for ceil_mode, counted in itertools.product((False, True), (False, True)):
            label = name + "-ceil" * ceil_mode + "-without-padding" * (not counted)
            yield avg_pool(label, x, 3, window, ceil_mode, counted, typical=label == "1d")
        yield adaptive(name, x, 3, (4, 2, 5)[:dims])
    yield max_pool("1d-dilation", lines, ((3,), (1,), (1,)), dilation=(4,))


def parallel_samples(dtype: torch.dtype) -> Iterator[Sample]:
    x = full_range(3, 65, 30, 31, dtype=dtype)
    yield max_pool("large", x, PLAIN, parallel=True)
    yield avg_pool("large", x, 7, PLAIN, parallel=True)
    yield adaptive("large", x, 7, (13, 11), parallel=True)


SAMPLES = [
    sample
    for dtype in BYTES
    for make in (window_samples, dimension_samples, shape_samples, tie_samples, parallel_samples)
    for sample in make(dtype)
]
