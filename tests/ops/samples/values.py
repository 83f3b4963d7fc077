"""Values that find mistakes, the same in every run."""

import math

import torch
from torch import Tensor

UINT8, INT8, INT32 = torch.uint8, torch.int8, torch.int32
BYTES = (UINT8, INT8)

# Signed zeros, no numbers, denormals, and what lies at and beyond the ends of int32.
EDGES = [
    *(0.0, -0.0, math.nan, math.inf, -math.inf),
    *(1e-45, -1e-45, 1e-40, -1e-40, 1.1754944e-38, -1.1754942e-38),
    *(2147483520.0, 2147483648.0, -2147483648.0, -2147483904.0, 3e9, -3e9, 1e30, -1e30, 3.4e38, -3.4e38),
    *(0.5, -0.5, 1.5, 2.5, 8388607.5, -8388607.5, 8388608.0, 16777217.0),
]


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def full_range(*shape: int, dtype: torch.dtype = UINT8, seed: int = 0) -> Tensor:
    """Random integers of the whole dtype, one in ten of them its smallest or largest."""
    info, source = torch.iinfo(dtype), generator(seed)
    values = torch.randint(info.min, info.max + 1, shape, generator=source)
    pick = torch.rand(shape, generator=source)
    return values.where(pick > 0.05, info.min).where(pick < 0.95, info.max).to(dtype)


def ends_in_every_position(rows: int, columns: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    """A matrix whose row ``i`` has the smallest value at column ``i`` and the largest beside it."""
    info = torch.iinfo(dtype)
    values = full_range(rows, columns, dtype=dtype, seed=seed)
    row = torch.arange(rows)
    values[row, row % columns] = info.min
    values[row, (row + 1) % columns] = info.max
    return values


def scales(count: int, seed: int = 0) -> Tensor:
    return 1e-3 + 0.05 * torch.rand(count, generator=generator(seed))


def near_ties(shape: tuple[int, ...], scale: float | Tensor, zero_point: int | Tensor = 0, seed: int = 0) -> Tensor:
    """Values on and next to the middle between two integers, from below to above the 8-bit range."""
    source = generator(seed)
    middles = torch.randint(-300, 300, shape, generator=source).double() + 0.5 - zero_point
    values = (middles * torch.as_tensor(scale, dtype=torch.float32).double()).float()
    moved = values.view(torch.int32) + torch.randint(-2, 3, shape, generator=source, dtype=torch.int32)
    return torch.where(values == 0, values, moved.view(torch.float32))


def layouts(x: Tensor) -> dict[str, Tensor]:
    """The values of a 4-d tensor in other memory layouts."""
    gaps = torch.zeros(*x.shape[:-1], 2 * x.shape[-1], dtype=x.dtype)[..., ::2]
    gaps.copy_(x)
    offset = torch.zeros(x.numel() + 1, dtype=x.dtype)[1:].view(x.shape)
    offset.copy_(x)
    return {
        "channels-last": x.contiguous(memory_format=torch.channels_last),
        "transposed": x.transpose(1, 3).contiguous().transpose(1, 3),
        "gaps": gaps,
        "expanded": x[:, :1].expand(x.shape),
        "batch-innermost": x.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2),
        "not-aligned": offset,
    }
