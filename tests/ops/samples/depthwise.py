"""Samples of convolution and convolution_dequantize with a kernel per channel, which have kernels of their own."""

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from ops.samples.conv import convolutions
from ops.samples.sample import Sample
from ops.samples.values import BYTES, INT8, full_range, layouts, short

# Around the 16, 32 and 64 channels of a block.
CHANNELS = (2, 3, 4, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 80, 127, 128, 129)
KERNELS = ((1, 1), (1, 3), (3, 1), (3, 3), (2, 3), (3, 2), (4, 3), (2, 2), (5, 5), (7, 7), (3, 9))


def depthwise(name: str, x: Tensor, kernel: tuple[int, int], **options) -> Iterator[Sample]:
    return convolutions(f"depthwise-{name}", x, (x.shape[1], *kernel), groups=x.shape[1], **options)


def shape_samples() -> Iterator[Sample]:
    mixtures = itertools.cycle(itertools.product(BYTES, (True, False), (False, True), (False, True)))
    shapes = [
        *((f"channels-{c}", (1, c, 5, 6), (3, 3), {"padding": (1, 1)}) for c in CHANNELS),
        *((f"channels-{c}-5x5", (1, c, 6, 5), (5, 5), {"padding": (2, 2)}) for c in CHANNELS),
        *((f"kernel-{h}x{w}", (2, 18, 9, 10), (h, w), {"padding": (1, 2)}) for h, w in KERNELS),
        *((f"stride-{h}x{w}", (1, 18, 9, 10), (h, w), {"stride": (2, 2)}) for h, w in KERNELS),
        *((f"dilation-{h}x{w}", (1, 18, 13, 17), (h, w), {"dilation": (1, 2)}) for h, w in KERNELS),
        # At stride 1 two pixels share the loads of a row; the last may be alone.
        *((f"width-{w}", (2, 18, 3, w), (3, 3), {"padding": (1, 1)}) for w in range(1, 10)),
        *((f"width-{w}-unpadded", (2, 18, 4, w), (3, 3), {}) for w in range(3, 10)),
        ("tall-stride", (1, 18, 9, 10), (3, 3), {"stride": (3, 1), "padding": (1, 1)}),
        ("wide-stride", (1, 18, 9, 10), (3, 3), {"stride": (1, 3), "padding": (1, 1)}),
        ("tall-dilation", (1, 18, 9, 10), (3, 3), {"dilation": (3, 1), "padding": (1, 0)}),
        ("tall-dilation-padded", (2, 18, 12, 10), (3, 3), {"dilation": (3, 1), "padding": (3, 1)}),
        *(
            (f"channels-{c}-stride-{s}", (1, c, 7, 40), (3, 3), {"stride": (s, s)})
            for c in (2, 4, 8, 16)
            for s in (2, 3)
        ),
        ("padding-beyond-the-kernel", (1, 18, 2, 2), (3, 3), {"padding": (4, 5)}),
        *((f"width-{w}-stride", (2, 80, 3, w), (3, 3), {"padding": (1, 1), "stride": (2, 2)}) for w in range(1, 10)),
        *(
            (f"width-{w}-5x5-stride", (1, 66, 4, w), (5, 5), {"padding": (2, 2), "stride": (2, 2)})
            for w in range(1, 10)
        ),
        # Lines too long to be copied with their padding.
        ("long-lines", (2, 66, 4, 190), (3, 3), {"padding": (1, 1)}),
        ("long-lines-of-few-channels", (2, 4, 3, 3100), (3, 3), {"padding": (1, 1)}),
        ("long-lines-5x5", (1, 130, 6, 160), (5, 5), {"padding": (2, 2)}),
        ("long-lines-stride", (2, 80, 5, 61), (3, 3), {"padding": (1, 1), "stride": (2, 2)}),
        ("long-lines-even-stride", (1, 80, 5, 62), (3, 3), {"padding": (1, 1), "stride": (2, 2)}),
        ("long-lines-dilation", (1, 66, 5, 120), (3, 3), {"padding": (2, 3), "dilation": (2, 3)}),
        ("empty-batch", (0, 18, 4, 4), (3, 3), {}),
    ]
    for seed, ((name, image, kernel, window), mixture) in enumerate(zip(shapes, mixtures, strict=False)):
        dtype, with_bias, relu, asymmetric = mixture
        options = {"with_bias": with_bias, "relu": relu, "asymmetric": asymmetric, "seed": seed}
        yield from depthwise(name, full_range(*image, dtype=dtype, seed=seed), kernel, **window, **options)


def option_samples() -> Iterator[Sample]:
    for number, (dtype, output_dtype, relu, asymmetric, kernel) in enumerate(
        itertools.product(BYTES, BYTES, (False, True), (False, True), ((3, 3), (2, 2)))
    ):
        words = [short(dtype), "to", short(output_dtype), f"{kernel[0]}x{kernel[1]}"]
        words += ["relu"] * relu + ["asymmetric"] * asymmetric
        options = {"output_dtype": output_dtype, "relu": relu, "asymmetric": asymmetric, "seed": number}
        x = full_range(2, 37, 5, 7, dtype=dtype, seed=number)
        yield from depthwise("-".join(words), x, kernel, padding=(1, 1), **options, typical=number == 0)


def extreme_samples() -> Iterator[Sample]:
    for dtype, w, kernel in itertools.product(BYTES, (-128, -127, 127), ((3, 3), (4, 4))):
        info = torch.iinfo(dtype)
        for name, value, zero_point in (("low", info.min, info.max), ("high", info.max, info.min)):
            x, weight = torch.full((1, 18, 5, 5), value, dtype=dtype), torch.full((18, 1, *kernel), w, dtype=INT8)
            options = {"weight": weight, "zero_point": zero_point, "padding": (1, 1), "asymmetric": w == -127}
            yield from depthwise(f"{short(dtype)}-{name}-times-{w}-{kernel[0]}x{kernel[1]}", x, kernel, **options)
    for name, x in layouts(full_range(2, 18, 6, 5)).items():
        yield from depthwise(name, x, (3, 3), padding=(1, 1))


def parallel_samples() -> Iterator[Sample]:
    yield from depthwise("large", full_range(2, 65, 70, 71), (3, 3), padding=(1, 1), asymmetric=True, parallel=True)
    yield from depthwise("large-5x5", full_range(1, 64, 66, 67), (5, 5), stride=(1, 1), with_bias=True, parallel=True)


SAMPLES = [*option_samples(), *shape_samples(), *extreme_samples(), *parallel_samples()]
