"""Samples of linear_dynamic."""

import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ops.samples.sample import Sample
from ops.samples.values import INT8, full_range, generator, near_ties, scales


def dynamic(
    name: str,
    x: Tensor,
    n: int,
    *,
    per_token: bool,
    reduce_range: bool = False,
    relu: bool = False,
    with_bias: bool = True,
    asymmetric: bool = False,
    weight: Tensor | None = None,
    **marks: bool,
) -> Sample:
    weight = full_range(n, x.shape[-1], dtype=INT8, seed=n) if weight is None else weight
    arguments = {"input": x, "weight": weight, "weight_scales": scales(n)}
    arguments |= {"bias": torch.randn(n, generator=generator(n)) if with_bias else None}
    arguments |= {"per_token": per_token, "reduce_range": reduce_range, "relu": relu}
    arguments |= {"weight_zero_points": full_range(n, dtype=INT8, seed=1).long() if asymmetric else None}
    name = f"{name}-{'per-token' if per_token else 'per-tensor'}"
    return Sample("linear_dynamic", name, arguments, **marks)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=generator(seed))


def range_inputs() -> dict[str, Tensor]:
    """Inputs of [5, 40] by what is special about their range."""
    x = normal(5, 40)
    ties = near_ties((5, 40), 0.1).clamp(-20.0, 5.5)
    ties[:, 0], ties[:, -1] = -20.0, 5.5
    symmetric = (x / x.abs().max()).clamp(-0.75, 0.75)
    symmetric[:, :2] = torch.tensor([-0.75, 0.75])
    inputs = {
        "ties": ties,
        "symmetric": symmetric,
        "positive": x.abs() + 1,
        "negative": -x.abs() - 1,
        "zero": x * 0,
        "minus-zero": torch.full((5, 40), -0.0),
        "constant": torch.full((5, 40), 3.7),
        "small": x * 1e-4,
        "small-positive": x.abs() * 1e-5,
        "small-negative": -x.abs() * 1e-9,
        "denormal": x * 1e-40,
        "one-denormal": torch.full((5, 40), 1e-45),
        "large": x * 1e30,
        "largest": x.sign() * 3.4e38,
        "rows-of-differing-range": x * torch.tensor([1e-6, 1e-3, 1.0, 1e3, 1e6])[:, None],
    }
    for name, value in (("nan", math.nan), ("inf", math.inf), ("minus-inf", -math.inf)):
        # The vectors of the search take 32 elements, the rest of a row one by one.
        for place, column in (("body", 3), ("second-vector", 20), ("tail", 39)):
            inputs[f"{name}-in-{place}"] = x.clone()
            inputs[f"{name}-in-{place}"][1, column] = value
    return inputs


def range_samples() -> Iterator[Sample]:
    for (name, x), per_token, reduce_range in itertools.product(range_inputs().items(), (False, True), (False, True)):
        label = name + "-reduce-range" * reduce_range
        yield dynamic(label, x, 17, per_token=per_token, reduce_range=reduce_range, relu=reduce_range)


def shape_samples() -> Iterator[Sample]:
    for per_token in (False, True):
        for k in (*range(1, 10), 15, 16, 17, 31, 32, 33, 63, 64, 65):
            yield dynamic(f"depth-{k}", normal(7, k), 18, per_token=per_token, asymmetric=k % 2 == 0)
        for m in (*range(14), 96, 97):
            yield dynamic(f"rows-{m}", normal(m, 21), 33, per_token=per_token, with_bias=m % 3 > 0)
        for n in (1, 15, 16, 17, 63, 64, 65, 129):
            yield dynamic(f"columns-{n}", normal(3, 10), n, per_token=per_token, relu=n % 2 == 0)
        marks = {"per_token": per_token, "typical": True}
        yield dynamic("plain", normal(2, 3, 20), 18, reduce_range=True, relu=True, **marks)
        yield dynamic("one-dimension", normal(20), 18, per_token=per_token)
        yield dynamic("no-rows", normal(2, 0, 20), 18, per_token=per_token)
        yield dynamic("transposed", normal(20, 6).t(), 18, per_token=per_token)
        longest = {"weight": torch.full((2, 65_793), -128, dtype=INT8)}
        yield dynamic("longest", normal(2, 65_793).sign(), 2, per_token=per_token, **longest)
        yield dynamic("large-many-rows", normal(300, 128), 200, per_token=per_token, parallel=True)
        yield dynamic("large-one-row", normal(1, 2300), 2310, per_token=per_token, parallel=True)


SAMPLES = [*shape_samples(), *range_samples()]
