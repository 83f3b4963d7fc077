"""Samples of convolution and convolution_dequantize."""

import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ops.samples.sample import Sample
from ops.samples.values import BYTES, INT8, UINT8, full_range, layouts, scales, short
from torchq import ops, reference


def convolutions(
    name: str,
    x: Tensor,
    kernel: tuple[int, ...],
    *,
    seed: int = 0,
    stride: tuple[int, ...] | None = None,
    padding: tuple[int, ...] | None = None,
    dilation: tuple[int, ...] | None = None,
    output_padding: tuple[int, ...] | None = None,
    transposed: bool = False,
    groups: int = 1,
    weight: Tensor | None = None,
    zero_point: int | None = None,
    output_dtype: torch.dtype = UINT8,
    with_bias: bool = False,
    asymmetric: bool = False,
    relu: bool = False,
    with_residual: bool = False,
    **marks: bool,
) -> Iterator[Sample]:
    """A call of convolution and the same of convolution_dequantize; ``kernel`` is output channels, then extents."""
    channels, *extents = kernel
    dims = len(extents)
    stride, dilation = stride or (1,) * dims, dilation or (1,) * dims
    padding, output_padding = padding or (0,) * dims, output_padding or (0,) * dims
    if weight is None:
        weight = full_range(channels, x.shape[1] // groups, *extents, dtype=INT8, seed=seed + 1)
    zero_point = int(full_range(dtype=x.dtype, seed=seed + 2)) if zero_point is None else zero_point
    output_scale = 0.05 * 0.026 * 100 * math.sqrt(weight[0].numel())
    bias = torch.randn(channels, generator=torch.Generator().manual_seed(seed)) * 30 * output_scale
    arguments = {"input": x, "input_scale": 0.05, "input_zero_point": zero_point, "weight": weight}
    arguments |= {"weight_scales": scales(channels, seed), "bias": bias if with_bias else None}
    window = ops.window(extents, stride, padding, dilation, output_padding if transposed else ())
    arguments |= {"window": window, "transposed": transposed}
    output = {"output_scale": output_scale, "output_zero_point": int(full_range(dtype=output_dtype, seed=seed + 3))}
    zero_points = full_range(channels, dtype=INT8, seed=seed + 4).long() if asymmetric else None
    last = {"groups": groups, "weight_zero_points": zero_points}
    dequantized = arguments | {"relu": relu} | last
    arguments |= output | {"output_dtype": output_dtype, "relu": relu}
    if with_residual:
        shape = reference.convolution_dequantize(**dequantized).shape
        arguments |= {"residual": full_range(*shape, dtype=output_dtype, seed=seed + 5)}
        arguments |= {"residual_scale": output_scale * 1.7, "residual_zero_point": int(full_range(dtype=output_dtype))}
    yield Sample("convolution", name, arguments | last, **marks)
    if output_dtype == UINT8 and not with_residual:
        yield Sample("convolution_dequantize", name, dequantized, **marks)


def option_samples() -> Iterator[Sample]:
    """Every mixture of the options on one shape."""
    for number, (dtype, output_dtype, with_bias, relu, asymmetric) in enumerate(
        itertools.product(BYTES, BYTES, (False, True), (False, True), (False, True))
    ):
        words = [short(dtype), "to", short(output_dtype)]
        words += ["bias"] * with_bias + ["relu"] * relu + ["asymmetric"] * asymmetric
        options = {"output_dtype": output_dtype, "with_bias": with_bias, "relu": relu, "asymmetric": asymmetric}
        x = full_range(2, 5, 6, 7, dtype=dtype, seed=number)
        kernel = {"kernel": (18, 3, 2), "padding": (1, 1), "stride": (1, 2)}
        yield from convolutions("-".join(words), x, **kernel, **options, seed=number, typical=number in (0, 7, 26))


def window_samples() -> Iterator[Sample]:
    for seed, (name, image, kernel, window) in enumerate(
        (
            ("pointwise", (2, 8, 5, 5), (17, 1, 1), {}),
            ("pointwise-stride", (1, 8, 7, 6), (17, 1, 1), {"stride": (2, 3)}),
            ("pointwise-padded", (1, 8, 3, 3), (5, 1, 1), {"padding": (1, 2)}),
            ("wide-kernel", (1, 4, 5, 9), (6, 1, 7), {"padding": (0, 3)}),
            ("tall-kernel", (1, 4, 9, 5), (6, 7, 1), {"padding": (3, 0)}),
            ("even-kernel", (1, 6, 7, 7), (6, 2, 4), {"stride": (2, 1)}),
            ("first-layer", (1, 3, 20, 19), (17, 7, 7), {"stride": (2, 2), "padding": (3, 3)}),
            ("dilation", (1, 4, 12, 11), (7, 3, 2), {"stride": (1, 2), "padding": (2, 0), "dilation": (2, 3)}),
            ("dilation-of-a-run", (1, 3, 12, 11), (7, 3, 5), {"padding": (1, 1), "dilation": (3, 1)}),
            ("padding-beyond-the-kernel", (1, 5, 3, 4), (9, 3, 3), {"padding": (4, 5)}),
            ("kernel-of-the-whole-image", (2, 5, 4, 3), (16, 4, 3), {}),
            ("one-pixel", (2, 20, 1, 1), (16, 3, 3), {"padding": (1, 1)}),
            ("stride-over-the-end", (1, 4, 8, 8), (4, 3, 3), {"stride": (7, 6)}),
            ("95-pixels", (1, 4, 5, 19), (8, 1, 1), {}),
            ("96-pixels", (1, 3, 8, 12), (8, 1, 1), {}),
            ("97-pixels", (1, 4, 97, 1), (8, 3, 1), {"padding": (1, 0)}),
            ("chunk-across-images", (5, 3, 7, 7), (8, 3, 3), {"padding": (1, 1)}),
            ("empty-batch", (0, 4, 5, 5), (8, 3, 3), {"padding": (1, 1)}),
            ("empty-width", (2, 3, 5, 0), (8, 3, 3), {"padding": (2, 2)}),
        )
    ):
        for asymmetric in (False, True):
            label = name + "-asymmetric" * asymmetric
            options = {"seed": seed, "asymmetric": asymmetric, "with_bias": seed % 2 == 0, "relu": seed % 3 == 0}
            yield from convolutions(label, full_range(*image, seed=seed), kernel, **window, **options)


def border_samples() -> Iterator[Sample]:
    """Outputs that see a part of the kernel, which is more than one row of it, or on both sides, or across a chunk.

    Prepared layers skip what they do not see, and operators where an input has many pixels.
    """
    for seed, (name, image, kernel, window) in enumerate(
        (
            ("two-rows", (3, 8, 9, 7), (17, 5, 3), {"padding": (2, 1)}),
            ("two-rows-stride", (1, 8, 9, 7), (17, 5, 3), {"padding": (4, 1), "stride": (3, 1)}),
            ("three-rows-of-three-channels", (1, 3, 12, 9), (17, 7, 7), {"padding": (3, 3), "stride": (2, 2)}),
            ("both-sides", (11, 4, 2, 6), (33, 5, 3), {"padding": (2, 1)}),
            ("nothing-but-padding", (1, 4, 3, 6), (33, 3, 3), {"padding": (5, 1)}),
            ("dilation", (2, 8, 14, 5), (65, 3, 3), {"padding": (6, 6), "dilation": (6, 6)}),
            ("dilation-beyond", (1, 8, 14, 5), (65, 3, 3), {"padding": (8, 2), "dilation": (3, 2)}),
            ("across-chunks", (3, 4, 5, 31), (20, 3, 3), {"padding": (1, 1)}),
            ("groups-of-4", (5, 12, 6, 5), (12, 5, 5), {"padding": (2, 2), "groups": 3}),
            ("groups-of-16", (5, 48, 6, 5), (48, 3, 3), {"padding": (1, 1), "groups": 3}),
            ("groups-of-20", (2, 40, 6, 5), (18, 3, 3), {"padding": (2, 2), "groups": 2}),
            ("3d", (1, 4, 4, 5, 3), (18, 3, 3, 3), {"padding": (1, 1, 1)}),
            ("long-kernel", (2, 4, 11, 9), (18, 9, 9), {"padding": (4, 4)}),
            ("3d-flat", (1, 4, 4, 5, 3), (18, 1, 3, 3), {"padding": (0, 1, 1)}),
        )
    ):
        for number, dtype in enumerate(BYTES):
            x = full_range(*image, dtype=dtype, seed=seed)
            options = {"output_dtype": BYTES[(seed + number) % 2], "with_residual": number == 1, "seed": seed}
            options |= {"asymmetric": (seed + number) % 2 == 0, "with_bias": True, "relu": seed % 2 == 0}
            yield from convolutions(f"border-{name}-{short(dtype)}", x, kernel, **window, **options)
    # Those that take long enough for the ends of lines to be computed apart.
    for seed, (name, image, kernel, window) in enumerate(
        (
            ("one-column", (3, 96, 7, 7), (96, 3, 3), {"padding": (1, 1)}),
            ("images-in-a-chunk", (5, 96, 6, 5), (97, 3, 3), {"padding": (1, 1)}),
            ("widest", (1, 32, 6, 24), (288, 3, 3), {"padding": (1, 1)}),
            ("two-columns", (2, 64, 8, 9), (52, 5, 5), {"padding": (2, 2)}),
            ("stride", (1, 96, 11, 12), (96, 3, 3), {"padding": (1, 1), "stride": (2, 2)}),
            ("dilation", (2, 96, 10, 7), (96, 3, 3), {"padding": (2, 2), "dilation": (2, 2)}),
            ("nothing-but-padding", (1, 96, 6, 4), (96, 3, 3), {"padding": (1, 4)}),
            ("one-column-inside", (1, 96, 8, 3), (96, 3, 3), {"padding": (1, 1)}),
            ("no-column-inside", (1, 96, 6, 2), (96, 3, 3), {"padding": (1, 1)}),
            ("too-many-rows-outside", (1, 64, 8, 4), (97, 5, 3), {"padding": (6, 6)}),
            ("no-row-outside", (1, 96, 6, 5), (96, 3, 3), {"padding": (0, 1)}),
            ("two-groups", (1, 192, 6, 7), (194, 3, 3), {"padding": (1, 1), "groups": 2}),
            ("1d", (6, 160, 9), (170, 3), {"padding": (1,)}),
            ("3d", (1, 32, 4, 3, 5), (100, 3, 3, 3), {"padding": (1, 1, 1)}),
        )
    ):
        x = full_range(*image, dtype=BYTES[seed % 2], seed=seed)
        for asymmetric in (False, True):
            options = {"with_bias": True, "relu": asymmetric, "seed": seed, "asymmetric": asymmetric}
            yield from convolutions(f"ends-{name}" + "-asymmetric" * asymmetric, x, kernel, **window, **options)
        yield from convolutions(f"ends-{name}-residual", x, kernel, **window, output_dtype=INT8, with_residual=True)


def channel_samples() -> Iterator[Sample]:
    for channels in (*range(1, 10), 15, 16, 17, 63, 64, 65):
        dtype = BYTES[channels % 2]
        x = full_range(1, channels, 5, 6, dtype=dtype, seed=channels)
        yield from convolutions(f"input-channels-{channels}", x, (9, 3, 3), padding=(1, 1), with_bias=True)
    for channels in (1, 2, 15, 16, 17, 31, 33, 48, 63, 64, 65, 80, 128, 129):
        x = full_range(1, 5, 4, 4, seed=channels)
        yield from convolutions(f"output-channels-{channels}", x, (channels, 2, 2), asymmetric=channels % 2 == 0)
    for name, channels, outputs, groups in (
        ("groups-of-4", 12, 24, 3),
        ("groups-of-3", 6, 34, 2),
        ("groups-of-16", 32, 32, 2),
        ("groups-to-17", 8, 34, 2),
        ("two-outputs-a-channel", 5, 10, 5),
    ):
        options = {"groups": groups, "padding": (1, 1), "asymmetric": groups == 2}
        yield from convolutions(name, full_range(2, channels, 5, 6), (outputs, 3, 3), with_bias=True, **options)
        options |= {"stride": (2, 2), "dilation": (1, 2), "relu": True, "output_dtype": INT8}
        yield from convolutions(f"{name}-int8", full_range(1, channels, 7, 8, dtype=INT8), (outputs, 3, 3), **options)


def narrow_group_samples() -> Iterator[Sample]:
    """Groups of 4, 8 and 16 channels to as many, which lie side by side, and their neighbours, which do not."""
    for seed, (width, groups) in enumerate(itertools.product((4, 8, 16, 12), (2, 3, 4, 5, 16))):
        for dtype, asymmetric in itertools.product(BYTES, (False, True)):
            x = full_range(2, width * groups, 5, 6, dtype=dtype, seed=seed)
            options = {"groups": groups, "padding": (1, 1), "asymmetric": asymmetric, "with_bias": True, "seed": seed}
            name = f"{groups}-groups-of-{width}-{short(dtype)}" + "-asymmetric" * asymmetric
            yield from convolutions(name, x, (width * groups, 3, 3), **options, relu=seed % 2 == 0)
    # 136 channels are whole blocks of 64 columns and a part of one.
    x, wide = full_range(2, 40, 7, 9), full_range(2, 136, 7, 9)
    for name, options in (
        ("stride", {"stride": (2, 2)}),
        ("dilation", {"dilation": (2, 3), "padding": (2, 2)}),
        ("int8", {"output_dtype": INT8}),
        ("residual", {"with_residual": True}),
        ("transposed", {"transposed": True, "stride": (2, 2), "padding": (1, 1), "asymmetric": True}),
        ("transposed-symmetric", {"transposed": True, "stride": (2, 2), "padding": (1, 1)}),
    ):
        yield from convolutions(f"wide-narrow-groups-{name}", wide, (136, 3, 3), groups=34, **options)
        yield from convolutions(f"wide-narrow-groups-of-8-{name}", wide, (136, 3, 3), groups=17, **options)
        yield from convolutions(f"narrow-groups-{name}", x, (40, 3, 3), groups=10, **options)
        yield from convolutions(f"narrow-groups-of-8-{name}", x, (40, 3, 3), groups=5, **options)
        yield from convolutions(f"narrow-groups-of-16-{name}", x[:, :32], (32, 3, 3), groups=2, **options)
    yield from convolutions("narrow-groups-to-more", x, (80, 3, 3), groups=10)
    yield from convolutions("narrow-groups-1d", full_range(1, 32, 40), (32, 3), groups=8)
    yield from convolutions("narrow-groups-3d", full_range(1, 16, 3, 4, 5), (16, 2, 2, 3), groups=2)
    x, weight = torch.full((1, 32, 4, 4), 255, dtype=UINT8), torch.full((32, 8, 3, 3), -128, dtype=INT8)
    yield from convolutions("narrow-groups-extremes", x, (32, 3, 3), weight=weight, groups=4, zero_point=0)
    x = torch.full((1, 64, 4, 4), 255, dtype=UINT8)
    for width in (4, 8):
        options = {"weight": torch.full((64, width, 3, 3), -128, dtype=INT8), "groups": 64 // width, "zero_point": 0}
        yield from convolutions(f"wide-narrow-groups-of-{width}-extremes", x, (64, 3, 3), padding=(1, 1), **options)


def extreme_samples() -> Iterator[Sample]:
    for dtype, w in itertools.product(BYTES, (-128, -127, 127)):
        info = torch.iinfo(dtype)
        for name, value, zero_point in (("low", info.min, info.max), ("high", info.max, info.min)):
            x, weight = torch.full((1, 9, 4, 4), value, dtype=dtype), torch.full((18, 9, 3, 3), w, dtype=INT8)
            options = {"weight": weight, "zero_point": zero_point, "padding": (1, 1)}
            yield from convolutions(f"{short(dtype)}-{name}-times-{w}", x, (18, 3, 3), **options)
    # Few channels and many pixels.
    x, weight = torch.full((1, 64, 6, 6), 255, dtype=UINT8), torch.full((80, 64, 1, 1), -128, dtype=INT8)
    yield from convolutions("pointwise-extremes", x, (80, 1, 1), weight=weight, zero_point=0)
    # 65,793 = 3 * 3 * 7310 + 3: the longest sum of whole windows.
    x, weight = torch.full((1, 7310, 3, 4), 255, dtype=UINT8), torch.full((2, 7310, 3, 3), -128, dtype=INT8)
    yield from convolutions("longest", x, (2, 3, 3), weight=weight, zero_point=0)


def layout_samples() -> Iterator[Sample]:
    for channels in (3, 8):
        for name, x in layouts(full_range(2, channels, 6, 5)).items():
            yield from convolutions(f"{name}-{channels}", x, (9, 3, 3), padding=(1, 1))


def parallel_samples() -> Iterator[Sample]:
    """More than 5e6 products in each group."""
    for name, image, kernel, options in (
        ("dense", (2, 32, 20, 20), (40, 3, 3), {"padding": (1, 1), "with_bias": True}),
        ("few-pixels", (1, 256, 3, 3), (320, 3, 3), {"padding": (1, 1), "asymmetric": True}),
        ("grouped", (1, 36, 32, 32), (66, 3, 3), {"padding": (1, 1), "groups": 2}),
        ("shallow", (1, 3, 56, 56), (64, 5, 5), {"stride": (1, 1), "relu": True}),
        ("transposed", (1, 64, 24, 25), (64, 4, 4), {"transposed": True, "stride": (2, 2), "padding": (1, 1)}),
        ("residual", (1, 64, 24, 25), (64, 3, 3), {"with_residual": True, "relu": True}),
        ("narrow-groups", (2, 128, 50, 50), (128, 3, 3), {"groups": 32, "padding": (1, 1)}),
    ):
        yield from convolutions(f"large-{name}", full_range(*image), kernel, **options, parallel=True)


def dimension_samples() -> Iterator[Sample]:
    """One and three spatial dimensions."""
    for seed, (name, image, kernel, window) in enumerate(
        (
            ("1d", (2, 8, 19), (17, 3), {"padding": (1,)}),
            ("1d-stride", (2, 6, 20), (9, 4), {"stride": (3,), "dilation": (2,)}),
            ("1d-pointwise", (3, 12, 33), (20, 1), {}),
            ("1d-padding-beyond", (1, 4, 2), (5, 3), {"padding": (5,)}),
            ("1d-long", (1, 4, 300), (8, 5), {"padding": (2,)}),
            ("3d", (2, 4, 5, 6, 7), (9, 3, 3, 3), {"padding": (1, 1, 1)}),
            ("3d-uneven", (1, 5, 6, 5, 9), (18, 2, 1, 3), {"stride": (2, 1, 2), "padding": (1, 0, 2)}),
            ("3d-dilation", (1, 8, 7, 6, 8), (5, 2, 3, 2), {"dilation": (3, 2, 4)}),
            ("3d-pointwise", (1, 16, 3, 4, 5), (33, 1, 1, 1), {"stride": (2, 1, 3)}),
            ("3d-whole", (2, 4, 3, 2, 4), (7, 3, 2, 4), {}),
        )
    ):
        for asymmetric in (False, True):
            options = {"seed": seed, "asymmetric": asymmetric, "with_bias": seed % 2 == 0, "relu": seed % 3 == 0}
            x = full_range(*image, dtype=BYTES[seed % 2], seed=seed)
            label = name + "-asymmetric" * asymmetric
            yield from convolutions(label, x, kernel, **window, **options, typical=seed in (0, 5) and not asymmetric)
    x = full_range(2, 18, 21)
    yield from convolutions("1d-depthwise", x, (18, 5), groups=18, padding=(2,), with_bias=True)
    yield from convolutions("1d-groups", x, (12, 3), groups=3, with_bias=True)
    for channels in (8, 70):
        x = full_range(1, channels, 5, 0)
        yield from convolutions(
            f"depthwise-{channels}-empty-width", x, (channels, 3, 3), groups=channels, padding=(2, 2)
        )
    x = full_range(1, 6, 4, 5, 6)
    yield from convolutions("3d-depthwise", x, (6, 3, 3, 3), groups=6, padding=(1, 1, 1))
    for padding in ((1, 0, 0), (1, 0, 2), (1, 1, 0)):  # beside the planes, along their lines, and above them
        name = "3d-depthwise-planes-" + "".join(map(str, padding))
        yield from convolutions(name, x, (6, 1, 3, 5), groups=6, padding=padding)
    yield from convolutions("3d-groups", x, (8, 2, 3, 2), groups=2)
    for dims in (1, 3):
        strided = full_range(*(9, 8, 7, 6, 5)[: 2 + dims]).transpose(0, 1)[:, ::2]
        yield from convolutions(f"{dims}d-strided", strided, (5, *(2,) * dims))
        yield from convolutions(f"{dims}d-empty", full_range(0, 4, *(5,) * dims), (5, *(2,) * dims))


def transposed_samples() -> Iterator[Sample]:
    for seed, (name, image, kernel, window) in enumerate(
        (
            ("2x2-stride-2", (2, 8, 5, 6), (17, 2, 2), {"stride": (2, 2)}),
            ("3x3-stride-2", (1, 8, 5, 4), (9, 3, 3), {"stride": (2, 2), "padding": (1, 1), "output_padding": (1, 1)}),
            ("4x4-stride-2", (1, 4, 4, 5), (9, 4, 4), {"stride": (2, 2), "padding": (1, 1)}),
            ("3x3-stride-1", (2, 12, 5, 4), (9, 3, 3), {"padding": (1, 1)}),
            ("uneven", (1, 8, 5, 4), (6, 3, 2), {"stride": (3, 1), "padding": (0, 1), "output_padding": (2, 0)}),
            ("stride-beyond-the-kernel", (1, 8, 3, 3), (6, 2, 2), {"stride": (5, 4)}),
            ("dilation", (1, 8, 4, 5), (6, 3, 3), {"stride": (2, 3), "dilation": (3, 2), "output_padding": (2, 1)}),
            ("padding-cuts", (1, 8, 4, 4), (6, 5, 5), {"stride": (2, 2), "padding": (4, 3)}),
            ("three-channels", (2, 3, 4, 5), (6, 3, 3), {"stride": (2, 2), "padding": (1, 1)}),
            ("pointwise-three-channels", (1, 3, 4, 5), (6, 1, 1), {"stride": (2, 2)}),
            ("groups", (1, 16, 4, 5), (24, 3, 3), {"stride": (2, 2), "groups": 2, "padding": (1, 1)}),
            ("groups-of-3", (1, 9, 4, 5), (6, 3, 3), {"stride": (2, 1), "groups": 3}),
            ("depthwise", (1, 9, 4, 5), (9, 3, 3), {"stride": (2, 2), "groups": 9}),
            ("1d", (2, 8, 9), (17, 4), {"stride": (2,), "padding": (1,), "output_padding": (1,)}),
            ("1d-long", (1, 8, 250), (5, 3), {"stride": (2,)}),
            ("3d", (1, 4, 3, 4, 5), (9, 2, 3, 2), {"stride": (2, 2, 2), "output_padding": (1, 0, 1)}),
            ("empty-batch", (0, 8, 3, 3), (6, 2, 2), {"stride": (2, 2)}),
        )
    ):
        for asymmetric in (False, True):
            options = {"seed": seed, "asymmetric": asymmetric, "with_bias": seed % 2 == 0, "relu": seed % 3 == 0}
            x = full_range(*image, dtype=BYTES[seed % 2], seed=seed)
            label = f"transposed-{name}" + "-asymmetric" * asymmetric
            typical = name == "3x3-stride-2"
            yield from convolutions(label, x, kernel, transposed=True, **window, **options, typical=typical)


def residual_samples() -> Iterator[Sample]:
    for seed, (output_dtype, relu, asymmetric) in enumerate(itertools.product(BYTES, (False, True), (False, True))):
        words = ["residual", short(output_dtype)] + ["relu"] * relu + ["asymmetric"] * asymmetric
        options = {"output_dtype": output_dtype, "relu": relu, "asymmetric": asymmetric, "with_residual": True}
        x = full_range(2, 8, 5, 6, seed=seed)
        window = {"padding": (1, 1), "with_bias": True, "seed": seed}
        yield from convolutions("-".join(words), x, (19, 3, 3), **window, **options, typical=seed == 1)
    x = full_range(2, 12, 5, 6)
    for outputs in (1, 15, 16, 33, 64, 80):
        yield from convolutions(f"residual-to-{outputs}", x, (outputs, 1, 1), with_residual=True)
    for scale in (1.0, 1e6, 1e30):  # of the residual, in units of the output: sums stay below 2^31, or not
        for sample in convolutions(f"residual-times-{scale}", x, (16, 1, 1), with_residual=True, zero_point=0):
            sample.arguments["residual_scale"] = sample.arguments["output_scale"] * scale
            yield sample
    yield from convolutions("residual-groups", x, (36, 3, 3), groups=3, with_residual=True)
    yield from convolutions("residual-transposed", x, (9, 3, 3), transposed=True, stride=(2, 2), with_residual=True)
    yield from convolutions("residual-3d", full_range(1, 4, 3, 4, 5), (9, 1, 2, 3), with_residual=True)
    yield from convolutions("residual-1d", full_range(2, 4, 9), (9, 3), with_residual=True)


SAMPLES = [
    *dimension_samples(),
    *transposed_samples(),
    *residual_samples(),
    *narrow_group_samples(),
    *option_samples(),
    *window_samples(),
    *border_samples(),
    *channel_samples(),
    *extreme_samples(),
    *layout_samples(),
    *parallel_samples(),
]
