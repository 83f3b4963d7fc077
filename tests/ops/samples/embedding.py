"""Samples of embedding_bag."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ops.samples.sample import Sample
from ops.samples.values import full_range, generator


def rows(count: int, columns: int, bits: int, seed: int = 0) -> Tensor:
    """Rows of random values with their scale and bias behind them."""
    values = full_range(count, columns * bits // 8, seed=seed)
    parameters = torch.randn(count, 2, generator=generator(seed))
    parameters = parameters if bits == 8 else parameters.half()
    return torch.cat([values, parameters.view(torch.uint8)], 1)


def bag(name: str, weight: Tensor, bits: int, sizes: list[int], seed: int = 0, **options) -> Sample:
    marks = {mark: options.pop(mark) for mark in ("typical", "parallel") if mark in options}
    dtype = options.pop("dtype", torch.int64)
    indices = torch.randint(0, weight.shape[0], (sum(sizes),), generator=generator(seed), dtype=dtype)
    offsets = torch.tensor([0, *sizes]).cumsum(0).to(dtype)
    weights = torch.randn(len(indices), generator=generator(seed + 1)) if options.pop("weighted", False) else None
    arguments = {"packed_weight": weight, "bits": bits, "indices": indices, "offsets": offsets}
    arguments |= {"per_sample_weights": weights, "mode": options.pop("mode", 0)}
    return Sample("embedding_bag", f"{bits}-bits-{name}", arguments, **marks)


def samples(bits: int) -> Iterator[Sample]:
    for columns in (2, 4, 14, 16, 18, 30, 32, 34, 64, 66, 128):
        yield bag(f"columns-{columns}", rows(11, columns, bits, columns), bits, [1, 3, 0, 2], columns)
    table = rows(50, 36, bits)
    yield bag("sums", table, bits, [2, 5, 1], typical=True)
    yield bag("means", table, bits, [2, 5, 0, 1], mode=1, typical=True)
    yield bag("weighted", table, bits, [2, 5, 1], weighted=True)
    yield bag("int32", table, bits, [2, 5, 1], dtype=torch.int32)
    yield bag("no-bags", table, bits, [])
    yield bag("empty-bags", table, bits, [0, 0, 0])
    yield bag("one-row-each", table, bits, [1] * 40)
    yield bag("long", table, bits, [300, 200])
    yield bag("large", rows(100, 130, bits), bits, [1, 2, 0] * 300, parallel=True)


SAMPLES = [sample for bits in (8, 4) for sample in samples(bits)]
