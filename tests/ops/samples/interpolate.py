"""Samples of upsample_bilinear."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ops.samples.sample import Sample
from ops.samples.values import BYTES, full_range, layouts, short


def upsample(name: str, x: Tensor, size: tuple[int, int], align: bool, factors: tuple = (), **marks: bool) -> Sample:
    arguments = {"input": x, "output_size": size, "align_corners": align, "factors": factors}
    return Sample("upsample_bilinear", f"{short(x.dtype)}-{name}{'-aligned' * align}", arguments, **marks)


def samples(dtype: torch.dtype) -> Iterator[Sample]:
    x = full_range(2, 18, 5, 7, dtype=dtype)
    for align in (False, True):
        for size in ((10, 14), (11, 9), (5, 7), (3, 2), (1, 1), (2, 30)):
            yield upsample(f"to-{size[0]}x{size[1]}", x, size, align, typical=size == (11, 9))
        for channels in (1, 15, 16, 17, 63, 64, 65):
            yield upsample(f"channels-{channels}", full_range(1, channels, 3, 4, dtype=dtype), (7, 5), align)
        for name, layout in layouts(full_range(2, 5, 4, 3, dtype=dtype)).items():
            yield upsample(name, layout, (7, 8), align)
        yield upsample("one-pixel", full_range(2, 3, 1, 1, dtype=dtype), (4, 3), align)
        yield upsample("empty-batch", full_range(0, 3, 2, 2, dtype=dtype), (4, 3), align)
        yield upsample("large", full_range(2, 33, 20, 30, dtype=dtype), (50, 60), align, parallel=True)
    yield upsample("factors", x, (12, 18), False, (2.5, 2.6), typical=True)
    yield upsample("smaller-factors", x, (2, 3), False, (0.5, 0.55))


SAMPLES = [sample for dtype in BYTES for sample in samples(dtype)]
