"""Samples of matmul."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ops.samples.sample import Sample
from ops.samples.values import BYTES, full_range, short


def product(name: str, a: Tensor, b: Tensor, zero_points: tuple | None = None, **marks: bool) -> Sample:
    info = torch.iinfo(a.dtype)
    za, zb = zero_points or (info.max - 77, info.min + 130)
    arguments = {"a": a, "a_scale": 0.03, "a_zero_point": za, "b": b, "b_scale": 0.05, "b_zero_point": zb}
    arguments |= {"output_scale": 0.0015 * 4000 * math.sqrt(a.shape[-1]) / 40, "output_zero_point": info.max - 120}
    return Sample("matmul", f"{short(a.dtype)}-{name}", arguments, **marks)


def samples(dtype: torch.dtype) -> Iterator[Sample]:
    info = torch.iinfo(dtype)
    sizes = [
        (1, 1, 1),
        (3, 4, 16),
        (5, 5, 17),
        (6, 8, 15),
        (7, 33, 64),
        (13, 63, 65),
        (2, 64, 5),
        (1, 128, 80),
        (97, 9, 3),
    ]
    for m, k, n in sizes:
        a, b = full_range(m, k, dtype=dtype, seed=m), full_range(k, n, dtype=dtype, seed=n)
        yield product(f"{m}x{k}x{n}", a, b, typical=m == 5)
        yield product(f"{m}x{k}x{n}-transposed", a, full_range(n, k, dtype=dtype, seed=n).t())
    a, b = full_range(2, 3, 7, 20, dtype=dtype), full_range(2, 3, 20, 9, dtype=dtype, seed=1)
    yield product("batches", a, b, typical=True)
    yield product("batches-transposed", a, full_range(2, 3, 9, 20, dtype=dtype).transpose(-1, -2))
    heads = full_range(2, 7, 3, 20, dtype=dtype)
    yield product("heads", heads.transpose(1, 2), full_range(2, 7, 3, 20, dtype=dtype).permute(0, 2, 3, 1))
    yield product("expanded", a, b[:1].expand(2, 3, 20, 9))
    yield product(
        "every-second", full_range(2, 7, 40, dtype=dtype)[..., ::2], full_range(2, 20, 18, dtype=dtype)[..., ::2]
    )
    yield product("transposed-first", full_range(20, 7, dtype=dtype).t(), full_range(20, 9, dtype=dtype))
    for name, zeros in (("symmetric", (3, info.min + 128)), ("lowest", (info.min,) * 2), ("highest", (info.max,) * 2)):
        yield product(f"{name}-zero-points", a, b, zeros)
    for name, value in (("low", info.min), ("high", info.max)):
        yield product(
            f"all-{name}", torch.full((7, 300), value, dtype=dtype), torch.full((300, 17), value, dtype=dtype)
        )
    longest = torch.full((1, 33_025), info.max, dtype=dtype), torch.full((33_025, 2), info.max, dtype=dtype)
    yield product("longest", *longest, (info.min, info.min))
    for m, n in ((0, 5), (5, 0)):
        yield product(f"empty-{m}x{n}", full_range(m, 4, dtype=dtype), full_range(4, n, dtype=dtype))
    yield product("empty-batch", full_range(0, 3, 4, dtype=dtype), full_range(0, 4, 5, dtype=dtype))
    yield product("large", full_range(200, 300, dtype=dtype), full_range(300, 100, dtype=dtype), parallel=True)
    batches = full_range(12, 128, 64, dtype=dtype), full_range(12, 128, 64, dtype=dtype).transpose(1, 2)
    yield product("large-batches", *batches, parallel=True)


SAMPLES = [sample for dtype in BYTES for sample in samples(dtype)]
