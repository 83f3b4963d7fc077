"""Samples of linear and linear_dequantize."""

import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ops.samples.sample import Sample
from ops.samples.values import BYTES, INT8, UINT8, ends_in_every_position, full_range, scales, short

# Around panels of 16 columns and blocks of 64, and around how blocks are divided.
COLUMNS = (1, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 79, 80, 81, 96, 127, 128, 129, 192, 193)
DEPTHS = (*range(1, 10), 63, 64, 65)
# Register tiles have up to 6 rows, chunks 96.
ROWS = (*range(14), 95, 96, 97, 191, 192, 193)
LONGEST = 65_793  # K * 255 * 128 < 2^31
LONGEST_ASYMMETRIC = 33_025  # K * 255 * 255 < 2^31


def products(
    name: str,
    x: Tensor,
    weight: Tensor,
    *,
    seed: int = 0,
    zero_point: int | None = None,
    output_dtype: torch.dtype = UINT8,
    output_scale: float | None = None,
    output_zero_point: int | None = None,
    input_scale: float = 0.05,
    weight_scales: Tensor | None = None,
    bias: Tensor | None = None,
    with_bias: bool = False,
    asymmetric: bool = False,
    relu: bool = False,
    **marks: bool,
) -> Iterator[Sample]:
    """A call of linear and the same call of linear_dequantize."""
    columns, depth = weight.shape
    zero_point = int(full_range(dtype=x.dtype, seed=seed + 1)) if zero_point is None else zero_point
    if output_zero_point is None:
        output_zero_point = int(full_range(dtype=output_dtype, seed=seed + 2))
    weight_scales = scales(columns, seed) if weight_scales is None else weight_scales
    if output_scale is None:
        output_scale = input_scale * float(weight_scales.mean()) * 100 * math.sqrt(depth)
    if with_bias:
        bias = (torch.randn(columns, generator=torch.Generator().manual_seed(seed)) * 30 * output_scale).float()
    arguments = {"input": x, "input_scale": input_scale, "input_zero_point": zero_point, "weight": weight}
    arguments |= {"weight_scales": weight_scales, "bias": bias}
    output = {"output_scale": output_scale, "output_zero_point": output_zero_point, "output_dtype": output_dtype}
    zero_points = full_range(columns, dtype=INT8, seed=seed + 3).long() if asymmetric else None
    last = {"relu": relu, "weight_zero_points": zero_points}
    yield Sample("linear", name, arguments | output | last, **marks)
    if output_dtype == UINT8:
        yield Sample("linear_dequantize", name, arguments | last, **marks)


def shape_samples() -> Iterator[Sample]:
    """Shapes at the ends of tiles, each with another mixture of the options."""
    mixtures = itertools.cycle(itertools.product(BYTES, (True, False), (False, True), (False, True)))
    shapes = [
        *((f"rows-{m}", m, 20, 50) for m in ROWS),
        *((f"depth-{k}", 7, k, 17) for k in DEPTHS),
        *((f"columns-{n}", 8, 13, n) for n in COLUMNS),
    ]
    for seed, ((name, m, k, n), (dtype, with_bias, relu, asymmetric)) in enumerate(zip(shapes, mixtures, strict=False)):
        x, weight = full_range(m, k, dtype=dtype, seed=seed), full_range(n, k, dtype=INT8, seed=seed + 1)
        yield from products(name, x, weight, seed=seed, with_bias=with_bias, relu=relu, asymmetric=asymmetric)


def option_samples() -> Iterator[Sample]:
    """Every mixture of the options on one shape."""
    for number, (dtype, output_dtype, with_bias, relu, asymmetric) in enumerate(
        itertools.product(BYTES, BYTES, (False, True), (False, True), (False, True))
    ):
        words = [short(dtype), "to", short(output_dtype)]
        words += ["bias"] * with_bias + ["relu"] * relu + ["asymmetric"] * asymmetric
        x, weight = full_range(5, 37, dtype=dtype, seed=number), full_range(33, 37, dtype=INT8, seed=number)
        options = {"output_dtype": output_dtype, "with_bias": with_bias, "relu": relu, "asymmetric": asymmetric}
        yield from products("-".join(words), x, weight, seed=number, **options, typical=number in (0, 7, 26))


def extreme_samples() -> Iterator[Sample]:
    """The ends of the integers in every position, of the sums, and of the zero points."""
    for dtype in BYTES:
        info, label = torch.iinfo(dtype), short(dtype)
        x, weight = ends_in_every_position(70, 67, dtype), ends_in_every_position(70, 67, INT8, seed=1)
        for name, zero_point in (("lowest", info.min), ("odd", info.max - 98), ("highest", info.max)):
            yield from products(f"{label}-every-position-{name}-zero-point", x, weight, zero_point=zero_point)
        # A panel that holds -128 takes another path on AVX2; here it is one panel of five.
        mixed = full_range(80, 20, dtype=INT8).clamp(min=-127)
        mixed[37, 11] = -128
        yield from products(f"{label}-one-minus-128", full_range(7, 20, dtype=dtype), mixed, asymmetric=True)
        ends = {"min": info.min, "max": info.max}
        for (name, value), w in itertools.product(ends.items(), (-128, -127, 127)):
            x = torch.full((2, 67), value, dtype=dtype)
            yield from products(f"{label}-all-{name}-times-{w}", x, torch.full((17, 67), w, dtype=INT8))
        for (name, value), w in itertools.product(ends.items(), (-128, 127)):
            far = info.max if name == "min" else info.min
            x, weight = torch.full((2, LONGEST), value, dtype=dtype), torch.full((3, LONGEST), w, dtype=INT8)
            yield from products(f"{label}-longest-{name}-times-{w}", x, weight, zero_point=far, with_bias=True)
            x, weight = x[:, :LONGEST_ASYMMETRIC], weight[:, :LONGEST_ASYMMETRIC].contiguous()
            for sample in products(f"{label}-longest-asymmetric-{name}-times-{w}", x, weight, zero_point=far):
                sample.arguments["weight_zero_points"] = torch.full((3,), -1 - w)
                yield sample


def rounding_samples() -> Iterator[Sample]:
    """Exact ties, and results far beyond the output."""
    x, ones = torch.arange(256, dtype=UINT8)[:, None], torch.ones(24)
    weight = torch.tensor([1, -1, 3], dtype=INT8).repeat(8)[:, None]
    exact = {"zero_point": 128, "input_scale": 1.0, "weight_scales": ones}
    for output_dtype in BYTES:
        label = short(output_dtype)
        for zero_point in (0, 7, 100):
            tie = exact | {"output_dtype": output_dtype, "output_zero_point": zero_point}
            yield from products(f"{label}-ties-{zero_point}", x, weight, output_scale=2.0, **tie)
            bias = torch.arange(24) - 11.5
            yield from products(f"{label}-bias-ties-{zero_point}", x, weight, output_scale=1.0, bias=bias, **tie)
    x, weight = full_range(6, 20), full_range(21, 20, dtype=INT8)
    infinite = torch.tensor([math.inf, -math.inf, math.nan, 0.0, -0.0, 1e-45, 3e38]).repeat(3)
    for relu in (False, True):
        label = "-relu" * relu
        yield from products(f"bias-no-number{label}", x, weight, bias=infinite, relu=relu)
        yield from products(f"beyond-int32{label}", x, weight, output_scale=1e-30, with_bias=True, relu=relu)
        yield from products(f"int8-beyond-int32{label}", x, weight, output_scale=1e-30, output_dtype=INT8, relu=relu)
        for name, scale in (("denormal-product", 1e-20), ("zero-product", 1e-30)):
            tiny = {"input_scale": scale, "weight_scales": torch.full((21,), scale), "output_scale": 1e-38}
            yield from products(f"{name}{label}", x, weight, bias=infinite, relu=relu, **tiny)
            yield from products(f"{name}-without-bias{label}", x, weight, relu=relu, **tiny)
        huge = {"input_scale": 1e30, "weight_scales": torch.full((21,), 1e30), "output_scale": 1.0}
        yield from products(f"infinite-product{label}", x, weight, bias=infinite, relu=relu, **huge)


def layout_samples() -> Iterator[Sample]:
    weight = full_range(19, 12, dtype=INT8)
    yield from products("one-dimension", full_range(12), weight)
    yield from products("four-dimensions", full_range(2, 3, 4, 12), weight)
    yield from products("empty-batch", full_range(2, 0, 12), weight, typical=True)
    yield from products("transposed", full_range(12, 5).t(), weight)
    yield from products("gaps", full_range(5, 24)[:, ::2], weight)
    yield from products("expanded", full_range(1, 12).expand(5, 12), weight)


def parallel_samples() -> Iterator[Sample]:
    """More than 5e6 products, shared out by rows, by columns and by both."""
    for name, m, k, n, asymmetric in (
        ("many-rows", 300, 128, 200, False),
        ("one-row", 1, 2300, 2310, False),
        ("some-rows", 100, 257, 330, True),
    ):
        x, weight = full_range(m, k), full_range(n, k, dtype=INT8)
        yield from products(f"large-{name}", x, weight, asymmetric=asymmetric, with_bias=True, parallel=True)
    # The one panel that takes another path on AVX2 is in the last range of columns.
    weight = full_range(2310, 2300, dtype=INT8).clamp(min=-127)
    weight[2305] = -128
    x = torch.zeros(1, 2300, dtype=UINT8)
    yield from products("large-one-minus-128", x, weight, zero_point=200, parallel=True)


SAMPLES = [
    *option_samples(),
    *shape_samples(),
    *extreme_samples(),
    *rounding_samples(),
    *layout_samples(),
    *parallel_samples(),
]
