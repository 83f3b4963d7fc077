"""Means and deviations: exact sums of integers, then one rounding."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from torchq.qtensor import QTensor
from torchq.qtensor_functions.copying import written_out
from torchq.qtensor_functions.table import implements, integers_rounded_twice, of_bytes, per_tensor


def _dims(input: QTensor, dim: Any) -> list[int]:
    """The dimensions that are reduced: all, where none is named."""
    if dim is None or (isinstance(dim, Sequence) and not dim):
        return list(range(input.dim()))
    return [dim] if isinstance(dim, int) else list(dim)


def _count(input: QTensor, reduced: Tensor) -> int:
    """How many elements there are for each result."""
    return input._data.numel() // max(reduced.numel(), 1)


@implements(torch.mean, Tensor.mean)
def _mean(
    input: QTensor, dim: Any = None, keepdim: bool = False, *, dtype: torch.dtype | None = None, out: Any = None
) -> Any:
    if not per_tensor(input) or dtype not in (None, torch.float32) or not isinstance(out, (QTensor, type(None))):
        return NotImplemented
    # As many bytes cannot leave int32, which is twice as fast.
    exact = torch.int32 if of_bytes(input) and input._data.numel() <= 8_421_504 else torch.int64
    total = input._data.sum(_dims(input, dim), keepdim, dtype=exact)
    mean = total.float().div_(_count(input, total)).round_()
    if not input._data.numel():
        mean.nan_to_num_(nan=input.qdtype.qmax)  # 0 / 0
    if not of_bytes(input):
        mean = mean.double().clamp_(input.qdtype.qmin, input.qdtype.qmax)  # float32 rounds qmax up
    return written_out(input._with_data(mean.to(input._data.dtype)), out)


@implements(torch.std, Tensor.std)
def _std(
    input: QTensor,
    dim: Any = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    out: Any = None,
) -> Any:
    if not per_tensor(input) or not isinstance(out, (QTensor, type(None))):
        return NotImplemented
    if isinstance(dim, bool):  # std(input, unbiased)
        dim, unbiased = None, dim
    correction = unbiased if correction is None else correction
    dims = _dims(input, dim)
    exact = torch.int64 if of_bytes(input) else torch.float64  # squares of 32 bits, and their sum, leave 64
    data = input._data.to(exact)
    total, squares = (part.sum(dims, keepdim).double() for part in (data, data.square()))
    count = _count(input, total)
    mean, freedom = total / count, torch.tensor(max(count - correction, 0), dtype=torch.float64)
    # Of the integers, without their zero point, which a deviation does not have.
    variance = squares / freedom - 2 * mean * (total / freedom) + mean * mean * count / freedom
    deviation = (variance.clamp_(min=0).sqrt_() * input._scale).float()
    return written_out(input._with_data(integers_rounded_twice(input, deviation)), out)
