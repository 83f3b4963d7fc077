"""Float rows quantized one by one, with a scale and bias behind the integers of each: fbgemm's fused rows.

A row holds its integers, 8 / bits of them in a byte, the first in the lowest bits; then its scale and its bias, the
smallest value, in float32 with 8 bits and in float16 with fewer.
"""

import torch
from torch import Tensor

from torchq import ops
from torchq.qtensor import QTensor
from torchq.qtensor_qparams import choose_qparams_optimized

# What fbgemm adds to a range before it divides by it.
_EPSILON = 1e-8


def embedding_bag_byte_prepack(weight: Tensor) -> Tensor:
    """Quantizes each row of a float table to 8 bits.

    ``scale = (max - min) / 255`` and ``q = rne((x - min) * (255 / (max - min + 1e-8)))`` in float32.

    Args:
        weight: float32 or float16 ``[..., columns]``.

    Returns:
        uint8 ``[..., columns + 8]``.

    Raises:
        TypeError: if the table is quantized or no float.

    Example:
        >>> embedding_bag_byte_prepack(torch.tensor([[0.0, 0.5, 2.0]]))[0, :3]
        tensor([  0,  64, 255], dtype=torch.uint8)
    """
    return _bytes(_float_rows("embedding_bag_byte_prepack", weight), None).view(*weight.shape[:-1], -1)


def embedding_bag_byte_prepack_with_rowwise_min_max(weight: Tensor, rowwise_min_max: Tensor) -> Tensor:
    """Is ``embedding_bag_byte_prepack`` with given ranges.

    Args:
        weight: float32 or float16 ``[rows, columns]``.
        rowwise_min_max: float32 ``[rows, 2]``: the smallest and largest value of each row.
    """
    rows = _float_rows("embedding_bag_byte_prepack_with_rowwise_min_max", weight)
    return _bytes(rows, _given(rows, rowwise_min_max)).view(*weight.shape[:-1], -1)


def embedding_bag_4bit_prepack(
    weight: Tensor, optimized_qparams: bool = False, nbins: int = 200, ratio: float = 0.16
) -> Tensor:
    """Quantizes each row of a float table to 4 bits.

    ``min`` and ``scale = (max - min) / 15`` are rounded to float16; ``q = sat(rne((x - min) * (1 / scale)))``.

    Args:
        weight: float32 or float16 ``[rows, columns]``, of an even number of columns.
        optimized_qparams: whether to search the range that loses least (``torchq.choose_qparams_optimized``).
        nbins: of that search.
        ratio: of that search.

    Returns:
        uint8 ``[rows, columns / 2 + 4]``.
    """
    return _nbit("embedding_bag_4bit_prepack", 4, weight, optimized_qparams, nbins, ratio, None)


def embedding_bag_4bit_prepack_with_rowwise_min_max(
    weight: Tensor, rowwise_min_max: Tensor, optimized_qparams: bool = False, nbins: int = 200, ratio: float = 0.16
) -> Tensor:
    """Is ``embedding_bag_4bit_prepack`` with given ranges, float32 ``[rows, 2]``, unless they are searched for."""
    name = "embedding_bag_4bit_prepack_with_rowwise_min_max"
    return _nbit(name, 4, weight, optimized_qparams, nbins, ratio, rowwise_min_max)


def embedding_bag_2bit_prepack(
    weight: Tensor, optimized_qparams: bool = False, nbins: int = 200, ratio: float = 0.16
) -> Tensor:
    """Is ``embedding_bag_4bit_prepack`` with 2 bits, for a multiple of 4 columns: uint8 ``[rows, columns / 4 + 4]``."""
    return _nbit("embedding_bag_2bit_prepack", 2, weight, optimized_qparams, nbins, ratio, None)


def embedding_bag_2bit_prepack_with_rowwise_min_max(
    weight: Tensor, rowwise_min_max: Tensor, optimized_qparams: bool = False, nbins: int = 200, ratio: float = 0.16
) -> Tensor:
    """Is ``embedding_bag_4bit_prepack_with_rowwise_min_max`` with 2 bits."""
    name = "embedding_bag_2bit_prepack_with_rowwise_min_max"
    return _nbit(name, 2, weight, optimized_qparams, nbins, ratio, rowwise_min_max)


def embedding_bag_byte_unpack(weight: Tensor) -> Tensor:
    """Returns the values of the rows that ``embedding_bag_byte_prepack`` made: float32 ``[..., columns]``."""
    rows = checked_rows("embedding_bag_byte_unpack", weight.reshape(-1, weight.shape[-1]), 8)
    return _values(rows, 8).view(*weight.shape[:-1], -1)


def embedding_bag_4bit_unpack(weight: Tensor) -> Tensor:
    """Returns the values of the rows that ``embedding_bag_4bit_prepack`` made: float32 ``[rows, columns]``."""
    return _values(checked_rows("embedding_bag_4bit_unpack", weight, 4), 4)


def embedding_bag_2bit_unpack(weight: Tensor) -> Tensor:
    """Returns the values of the rows that ``embedding_bag_2bit_prepack`` made: float32 ``[rows, columns]``."""
    return _values(widened(checked_rows("embedding_bag_2bit_unpack", weight, 2)), 8)


def checked_rows(name: str, weight: Tensor, bits: int) -> Tensor:
    """Returns fused rows, or raises a ValueError if they are none.

    Args:
        name: of the function, for messages.
        weight: what should be uint8 ``[rows, bytes]``.
        bits: of the integers.
    """
    parameters = 8 if bits == 8 else 4
    if isinstance(weight, QTensor) or weight.dtype != torch.uint8 or weight.dim() != 2 or weight.size(1) <= parameters:
        raise ValueError(
            f"{name} takes rows of uint8, longer than the {parameters} bytes of scale and bias, got "
            f"{weight.dtype} {tuple(weight.shape)}"
        )
    return weight


def widened(rows: Tensor) -> Tensor:
    """Returns rows of 2 bits as rows of 8, with the same scales and biases."""
    integers, parameters = rows[:, :-4], rows[:, -4:].contiguous().view(torch.float16).float()
    shifts = torch.arange(0, 8, 2, dtype=torch.uint8, device=rows.device)
    each = integers.unsqueeze(2).bitwise_right_shift(shifts).bitwise_and_(3)
    return torch.cat([each.flatten(1), parameters.view(torch.uint8)], 1)


def _values(rows: Tensor, bits: int) -> Tensor:
    """The value of each integer: a bag for each row."""
    indices = torch.arange(len(rows) + 1, device=rows.device)
    return ops.embedding_bag(rows, bits, indices[:-1], indices, None, 0)


def _float_rows(name: str, weight: Tensor) -> Tensor:
    if isinstance(weight, QTensor) or weight.dtype not in (torch.float32, torch.float16):
        given = "a quantized one" if isinstance(weight, QTensor) else str(weight.dtype)
        raise TypeError(f"{name} takes a float32 or float16 table, got {given}")
    if weight.dim() < 2 or not weight.size(-1):
        raise ValueError(f"{name} takes a table of at least one column, got shape {tuple(weight.shape)}")
    rows = weight.detach().float().reshape(-1, weight.shape[-1])
    if not rows.isfinite().all():
        raise ValueError(f"{name} takes a table of finite values, got NaN or infinity")
    return rows


def _given(rows: Tensor, rowwise_min_max: Tensor) -> Tensor:
    if rowwise_min_max.shape != (len(rows), 2):
        raise ValueError(f"rowwise_min_max must have shape {(len(rows), 2)}, got {tuple(rowwise_min_max.shape)}")
    return rowwise_min_max.detach().float()


def _ranges(rows: Tensor) -> Tensor:
    return torch.stack(torch.aminmax(rows, dim=1), 1)


def _bytes(rows: Tensor, ranges: Tensor | None) -> Tensor:
    low, high = (_ranges(rows) if ranges is None else ranges).split(1, dim=1)
    span = high - low
    integers = ((rows - low) * (255.0 / (span + _EPSILON))).round_().clamp_(0, 255).to(torch.uint8)
    return torch.cat([integers, torch.cat([span / 255.0, low], 1).view(torch.uint8)], 1)


def _nbit(
    name: str,
    bits: int,
    weight: Tensor,
    optimized_qparams: bool,
    nbins: int,
    ratio: float,
    rowwise_min_max: Tensor | None,
) -> Tensor:
    rows, qmax, each = _float_rows(name, weight), 2**bits - 1, 8 // bits
    if weight.dim() != 2 or weight.size(1) % each:
        raise ValueError(f"{name} takes a table of rows of a multiple of {each} columns, got {tuple(weight.shape)}")
    ranges = _ranges(rows) if rowwise_min_max is None else _given(rows, rowwise_min_max)
    if optimized_qparams:
        found = [choose_qparams_optimized(row, len(row), nbins, ratio, bits) for row in rows]
        ranges = torch.stack([torch.cat([low, high]) for high, low in found])
    low, high = ranges.split(1, dim=1)
    low = low.half()
    span = high - low.float()
    scale = torch.where(span == 0, 1.0, span / qmax).half()
    scale = torch.where(scale == 0, 1.0, scale)  # less than float16 resolves
    if not (low.isfinite() & scale.isfinite()).all():
        raise ValueError(f"{name} has scale and bias in float16, got values from {rows.min()} to {rows.max()}")
    integers = ((rows - low.float()) * scale.float().reciprocal()).round_().clamp_(0, qmax).to(torch.uint8)
    shifts = torch.arange(0, 8, bits, dtype=torch.uint8, device=rows.device)
    packed = integers.unflatten(1, (-1, each)).bitwise_left_shift(shifts).sum(2, dtype=torch.uint8)
    return torch.cat([packed, torch.cat([scale, low], 1).view(torch.uint8)], 1)
