"""Samples of lstm_dynamic and gru_dynamic."""

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ops.samples.sample import Sample
from ops.samples.values import INT8, full_range, generator, scales


def cells(
    name: str,
    *,
    steps: int = 3,
    batch: int = 2,
    inputs: int = 5,
    width: int = 6,
    projection: int = 0,
    batch_sizes: Sequence[int] = (),
    with_bias: bool = True,
    reverse: bool = False,
    per_token: bool = False,
    reduce_range: bool = False,
    size: float = 1.0,
    x: Tensor | None = None,
    **marks: bool,
) -> Iterator[Sample]:
    """A call of either operator; of the LSTM alone with a projection."""
    source = generator(width)
    state = projection or width
    if x is None:
        shape = (sum(batch_sizes), inputs) if batch_sizes else (steps, batch, inputs)
        x = size * torch.randn(shape, generator=source)

    def weight(rows: int, columns: int, seed: int) -> tuple[Tensor, Tensor]:
        # The sums of the gates lie around the bend of their functions.
        return full_range(rows, columns, dtype=INT8, seed=seed), scales(rows, seed) / math.sqrt(columns)

    for op, gates in (("lstm_dynamic", 4), ("gru_dynamic", 3)):
        if projection and gates == 3:
            continue
        weight_ih, scales_ih = weight(gates * width, inputs, 1)
        weight_hh, scales_hh = weight(gates * width, state, 2)
        bias_ih, bias_hh = torch.randn(2, gates * width, generator=source) if with_bias else (None, None)
        arguments = {"input": x, "hidden": torch.randn(batch, state, generator=source)}
        if gates == 4:
            arguments |= {"cell": size * torch.randn(batch, width, generator=source)}
        arguments |= {"weight_ih": weight_ih, "scales_ih": scales_ih, "bias_ih": bias_ih}
        arguments |= {"weight_hh": weight_hh, "scales_hh": scales_hh, "bias_hh": bias_hh}
        if gates == 4:
            weight_hr, scales_hr = weight(projection, width, 3) if projection else (None, None)
            arguments |= {"weight_hr": weight_hr, "scales_hr": scales_hr}
        arguments |= {"batch_sizes": list(batch_sizes), "reverse": reverse}
        arguments |= {"per_token": per_token, "reduce_range": reduce_range}
        yield Sample(op, name, arguments, **marks)


def option_samples() -> Iterator[Sample]:
    for reverse, per_token, reduce_range, with_bias, packed in itertools.product((False, True), repeat=5):
        chosen = {"reverse": reverse, "per-token": per_token, "reduce-range": reduce_range}
        chosen |= {"bias": with_bias, "packed": packed}
        name = "-".join(["options", *(word for word, on in chosen.items() if on)])
        options = {"reverse": reverse, "per_token": per_token, "reduce_range": reduce_range, "with_bias": with_bias}
        sizes = {"batch_sizes": [3, 2, 2, 1], "batch": 3} if packed else {}
        typical = (reverse, per_token, with_bias) in {(False, False, True), (True, True, False)} and not reduce_range
        yield from cells(name, **options, **sizes, typical=typical)
        yield from cells(f"{name}-projection", projection=4, **options, **sizes)


def shape_samples() -> Iterator[Sample]:
    for width in (1, 2, 15, 16, 17, 31, 32, 33, 64):
        yield from cells(f"width-{width}", width=width)
    for steps, batch in ((0, 2), (1, 1), (2, 0), (1, 7), (7, 1)):
        yield from cells(f"steps-{steps}-batch-{batch}", steps=steps, batch=batch)
    yield from cells("one-input", inputs=1)
    yield from cells("wide-projection", width=18, projection=17)
    yield from cells("transposed", x=torch.randn(2, 3, 5, generator=generator(0)).transpose(0, 1))
    yield from cells("large", steps=2, batch=100, inputs=300, width=100, parallel=True)


def value_samples() -> Iterator[Sample]:
    """Sums of the gates from nothing to far beyond where their functions end."""
    for size in (1e-30, 1e-4, 0.1, 10.0, 1e3, 1e30):
        yield from cells(f"size-{size:g}", size=size, width=37, inputs=9)
    x = torch.randn(4, 2, 5, generator=generator(1))
    yield from cells("zero", x=x * 0, with_bias=False, size=0.0)
    for name, value in (("nan", math.nan), ("inf", math.inf)):
        x = x.clone()
        x[2, 1, 3] = value
        for per_token in (False, True):
            yield from cells(f"{name}{'-per-token' * per_token}", x=x, per_token=per_token)


SAMPLES = [*option_samples(), *shape_samples(), *value_samples()]
