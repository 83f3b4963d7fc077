"""Samples of batch_norm, group_norm, layer_norm and softmax."""

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from ops.samples.sample import Sample
from ops.samples.values import BYTES, full_range, generator, layouts, short


def quantized(x: Tensor, scale: float = 0.037) -> dict:
    return {"input": x, "input_scale": scale, "input_zero_point": torch.iinfo(x.dtype).max - 101}


def output(x: Tensor) -> dict:
    return {"output_scale": 0.021, "output_zero_point": torch.iinfo(x.dtype).min + 99}


def vector(size: int, seed: int, there: bool = True) -> Tensor | None:
    return torch.randn(size, generator=generator(seed)) if there else None


def images(dtype: torch.dtype) -> dict[str, Tensor]:
    """[N, C, *]: sizes around the vectors, layouts, dimensions, and what has no variance or much of it."""
    info = torch.iinfo(dtype)
    found = {f"channels-{c}": full_range(2, c, 3, 4, dtype=dtype, seed=c) for c in (2, 6, 16, 18, 32, 64, 66)}
    found |= {name: x[:, :4] for name, x in layouts(full_range(2, 6, 4, 3, dtype=dtype)).items()}
    found |= {
        "two-dimensions": full_range(9, 20, dtype=dtype),
        "1d": full_range(2, 6, 33, dtype=dtype),
        "3d": full_range(2, 6, 3, 4, 5, dtype=dtype),
        "empty-batch": full_range(0, 6, 3, dtype=dtype),
        "constant": torch.full((1, 4, 5), info.max, dtype=dtype),
        "extremes": torch.tensor([info.min, info.max], dtype=dtype).repeat(1, 4, 10),
        "large": full_range(2, 66, 40, 30, dtype=dtype),
    }
    return found


def marks(name: str) -> dict[str, bool]:
    return {"typical": name in ("channels-18", "channels-last"), "parallel": name == "large"}


def batch_norm_samples(dtype: torch.dtype) -> Iterator[Sample]:
    for seed, (name, x) in enumerate(images(dtype).items()):
        for affine, relu in ((True, False), (False, True)):
            channels = x.shape[1]
            arguments = quantized(x) | {"weight": vector(channels, seed, affine), "bias": vector(channels, 1, affine)}
            arguments |= {"mean": vector(channels, 2) * 3, "variance": vector(channels, 3).abs(), "eps": 1e-5}
            label = f"{short(dtype)}-{name}" + "-plain" * (not affine)
            yield Sample("batch_norm", label, arguments | output(x) | {"relu": relu}, **marks(name))


def group_norm_samples(dtype: torch.dtype) -> Iterator[Sample]:
    for seed, (name, x) in enumerate(images(dtype).items()):
        channels = x.shape[1]
        for groups in {1, 2, channels}:
            affine = groups != 2
            arguments = quantized(x) | {"groups": groups, "weight": vector(channels, seed, affine)}
            arguments |= {"bias": vector(channels, 1, affine), "eps": 1e-5}
            yield Sample("group_norm", f"{short(dtype)}-{name}-{groups}", arguments | output(x), **marks(name))
    # More pixels than squares of bytes fit an int32.
    many = torch.full((1, 2, 40_000), torch.iinfo(dtype).max, dtype=dtype)
    many[..., ::2] = torch.iinfo(dtype).min
    arguments = quantized(many) | {"groups": 2, "weight": None, "bias": None, "eps": 1e-5}
    yield Sample("group_norm", f"{short(dtype)}-many-pixels", arguments | output(many))


def layer_norm_samples(dtype: torch.dtype) -> Iterator[Sample]:
    rows = {f"size-{n}": full_range(3, n, dtype=dtype, seed=n) for n in (1, 2, 15, 16, 17, 63, 64, 65, 200)}
    rows |= {"large": full_range(300, 384, dtype=dtype)}
    rows |= {"batches": full_range(2, 3, 20, dtype=dtype), "strided": full_range(20, 7, dtype=dtype).t()}
    rows |= {"empty": full_range(0, 9, dtype=dtype)}
    for seed, (name, x) in enumerate(rows.items()):
        for affine in (True, False):
            n = x.shape[-1]
            arguments = quantized(x) | {"normalized_shape": [n], "weight": vector(n, seed, affine)}
            arguments |= {"bias": vector(n, 1, affine), "eps": 1e-5}
            label = f"{short(dtype)}-{name}" + "-plain" * (not affine)
            options = {"typical": name in ("size-17", "batches"), "parallel": name == "large"}
            yield Sample("layer_norm", label, arguments | output(x), **options)
    x = full_range(2, 3, 4, 5, dtype=dtype)
    arguments = quantized(x) | {"normalized_shape": [4, 5], "weight": vector(20, 0).reshape(4, 5), "bias": None}
    yield Sample("layer_norm", f"{short(dtype)}-two-dimensions", arguments | {"eps": 0.1} | output(x))
    flat = torch.full((2, 30), 5, dtype=dtype)
    arguments = quantized(flat) | {"normalized_shape": [30], "weight": None, "bias": None, "eps": 1e-5}
    yield Sample("layer_norm", f"{short(dtype)}-constant", arguments | output(flat))
    many = torch.full((1, 600_000), torch.iinfo(dtype).max, dtype=dtype)
    arguments = quantized(many) | {"normalized_shape": [600_000], "weight": None, "bias": None, "eps": 1e-5}
    yield Sample("layer_norm", f"{short(dtype)}-many-columns", arguments | output(many))


def softmax_samples(dtype: torch.dtype) -> Iterator[Sample]:
    info = torch.iinfo(dtype)
    every = torch.arange(info.min, info.max + 1).to(dtype)
    rows = {f"size-{n}": full_range(3, n, dtype=dtype, seed=n) for n in (1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 200)}
    rows |= {
        "every-value": every,
        "batches": full_range(2, 3, 4, 20, dtype=dtype),
        "strided": full_range(20, 7, dtype=dtype).t(),
        "empty": full_range(3, 0, dtype=dtype),
        "all-lowest": torch.full((2, 40), info.min, dtype=dtype),
        "all-highest": torch.full((2, 40), info.max, dtype=dtype),
        "low-half": every[:100].repeat(2, 1),
        "large": full_range(900, 128, dtype=dtype),
    }
    for (name, x), scale in itertools.product(rows.items(), (0.05, 3.0, 1e-30)):
        arguments = {"input": x, "input_scale": scale, "output_scale": 1 / 256, "output_zero_point": info.min}
        options = {"typical": name in ("size-17", "batches"), "parallel": name == "large"}
        yield Sample("softmax", f"{short(dtype)}-{name}-{scale}", arguments, **options)
    arguments = {"input": every[::3], "input_scale": 0.01, "output_scale": 0.0005, "output_zero_point": info.max - 9}
    yield Sample("softmax", f"{short(dtype)}-saturated", arguments)


SAMPLES = [
    sample
    for dtype in BYTES
    for make in (batch_norm_samples, group_norm_samples, layer_norm_samples, softmax_samples)
    for sample in make(dtype)
]
