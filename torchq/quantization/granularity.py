"""Which elements of a tensor share a scale, in words: the descriptions that torchao's functions take."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "Granularity",
    "MappingType",
    "PerAxis",
    "PerBlock",
    "PerGroup",
    "PerRow",
    "PerTensor",
    "PerToken",
    "ZeroPointDomain",
    "get_block_size",
]


class MappingType(enum.Enum):
    """How a range of values becomes a range of integers."""

    SYMMETRIC = enum.auto()
    SYMMETRIC_NO_CLIPPING_ERR = enum.auto()
    ASYMMETRIC = enum.auto()


class ZeroPointDomain(enum.Enum):
    """What a zero point is: an integer, a float, or not there."""

    INT = enum.auto()
    FLOAT = enum.auto()
    NONE = enum.auto()


@dataclass(frozen=True)
class Granularity:
    """Base of the descriptions of which elements share a scale."""


@dataclass(frozen=True)
class PerTensor(Granularity):
    """All elements share one."""


@dataclass(frozen=True)
class PerAxis(Granularity):
    """Those with the same index along a dimension share one.

    Attributes:
        axis: the dimension.
    """

    axis: int


@dataclass(frozen=True)
class PerGroup(Granularity):
    """So many neighbours in a row of a matrix share one.

    Attributes:
        group_size: how many.
    """

    group_size: int


@dataclass(frozen=True)
class PerBlock(Granularity):
    """The elements of a block share one.

    Attributes:
        block_size: its shape.
    """

    block_size: tuple[int, ...]


@dataclass(frozen=True)
class PerRow(Granularity):
    """Those along the last dimension share one."""


@dataclass(frozen=True)
class PerToken(Granularity):
    """Those along the last dimension share one: each token of ``[..., tokens, features]`` has its own."""


def get_block_size(input_shape: Sequence[int], granularity: Granularity) -> tuple[int, ...]:
    """Returns the shape of the blocks of a tensor that share a scale.

    Args:
        input_shape: of the tensor.
        granularity: which elements share one.

    Raises:
        TypeError: if ``granularity`` is no description.
        ValueError: if a tensor of this shape has no such blocks.

    Example:
        >>> get_block_size((8, 16), PerAxis(0)), get_block_size((8, 16), PerGroup(4))
        ((1, 16), (1, 4))
    """
    shape = tuple(input_shape)
    if isinstance(granularity, PerTensor):
        return shape
    if isinstance(granularity, PerAxis) and -len(shape) <= granularity.axis < len(shape):
        return tuple(1 if dim == granularity.axis % len(shape) else size for dim, size in enumerate(shape))
    if isinstance(granularity, (PerRow, PerToken)) and shape:
        return (*[1] * (len(shape) - 1), shape[-1])
    if isinstance(granularity, PerGroup) and len(shape) == 2 and granularity.group_size > 0:
        return (1, granularity.group_size)
    if isinstance(granularity, PerBlock) and len(granularity.block_size) == len(shape):
        return tuple(granularity.block_size)
    if isinstance(granularity, Granularity):
        raise ValueError(f"a tensor of shape {shape} has no blocks of {granularity}")
    raise TypeError(f"granularity must be one of PerTensor(), PerAxis(axis) and so on, got {granularity!r}")
