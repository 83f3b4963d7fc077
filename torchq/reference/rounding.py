"""One rounding at a time: what all of the reference is built from."""

import torch
from torch import Tensor


def fma(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Returns ``a * b + c`` in float32, rounded once."""
    # The float64 product of two float32 numbers is exact (48 bits), the float64 sum is not, and rounding it a
    # second time to float32 would move near-ties. So the sum is rounded to odd first: whenever bits were lost
    # (`lost`, exact by Knuth's two-sum) the neighbour with an odd last bit is taken. It is never a tie of a
    # format two or more bits shorter, which makes the final rounding the right one (Boldo & Melquiond 2008).
    product, addend = torch.broadcast_tensors(a.double() * b.double(), c.double())
    total = product + addend
    back = total - product
    lost = (product - (total - back)) + (addend - back)
    bits = total.contiguous().view(torch.int64)
    must_move = torch.isfinite(total) & (lost != 0) & (bits % 2 == 0)
    away_from_zero = (lost > 0) == (total > 0)
    bits = torch.where(must_move, torch.where(away_from_zero, bits + 1, bits - 1), bits)
    return bits.view(torch.float64).float()


def saturate(value: Tensor, dtype: torch.dtype) -> Tensor:
    """Clamps to the dtype's range; NaN becomes its largest value."""
    info = torch.iinfo(dtype)
    return value.double().nan_to_num(nan=info.max).clamp(info.min, info.max).to(dtype)


def float32(value: float | Tensor) -> Tensor:
    """Rounds a number, or float64 numbers, to float32."""
    return torch.as_tensor(value, dtype=torch.float64).float()


def along(values: Tensor, axis: int, ndim: int) -> Tensor:
    """Views a vector so that it broadcasts along ``axis`` of a tensor with ``ndim`` dimensions."""
    shape = [1] * ndim
    shape[axis] = -1
    return values.reshape(shape)
