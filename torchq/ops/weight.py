"""The packed weight that linear and convolution read."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from torchq.ops._register import require_one_device

_ops = torch.ops.torchq
_HEADER_BYTES = 64
_PANEL_COLUMNS = 16


def pack_weight(weight: Tensor, zero_points: Tensor | None = None, groups: int = 1) -> Tensor:
    """Packs an int8 weight for the kernels of every CPU.

    The result describes itself (shape, groups, zero points), so that operators check what they are given; it can be
    saved, memory-mapped and used on any machine. ``csrc/cpu/gemm/pack.h`` has the layout.

    Args:
        weight: int8 ``[O, I / groups, *kernel]`` with 0 to 3 kernel dimensions; ``[N, K]`` for linear.
        zero_points: integers ``[O]``, the weight's zero point per output channel; None where all are 0.
        groups: of the convolution.

    Returns:
        uint8 ``[bytes]``.

    Raises:
        TypeError: if zero points are floating.
        RuntimeError: for a wrong dtype or shape, a zero point out of range, or if an output sums over more products
            than are exact in int32: 65,793, or 33,025 with zero points.
    """
    if zero_points is not None:
        if zero_points.is_floating_point():
            raise TypeError(f"zero_points must be integers, got {zero_points.dtype}")
        zero_points = zero_points.to(torch.int64)
    return _ops.pack_weight.default(weight, zero_points, groups)


def _in_quads(size: int) -> int:
    return -(-size // 4) * 4


@torch.library.register_fake("torchq::pack_weight")
def _(weight: Tensor, zero_points: Tensor | None, groups: int) -> Tensor:
    require_one_device(weight, zero_points)
    channels, k, *kernel = weight.shape
    *_, height, width = 1, 1, *kernel
    depth = math.prod(kernel) // width * _in_quads(width * k)
    if groups > 1 and channels == groups and k == 1 and math.prod(kernel) == height * width:
        groups = 1  # depthwise: the channels of one group; taps follow each other, but for kernel rows of three
        depth = depth if width == 3 else _in_quads(height * width)
    if groups > 1 and channels == groups * k and k in (4, 8, 16):
        groups = 1  # narrow groups lie side by side
    panels = groups * -(-(channels // groups) // _PANEL_COLUMNS)
    panel_bytes = depth * _PANEL_COLUMNS
    vectors = 1 if zero_points is None else 2
    size = _HEADER_BYTES + panels * (panel_bytes + vectors * 4 * _PANEL_COLUMNS)
    return weight.new_empty((size,), dtype=torch.uint8)


def unpack_weight(packed_weight: Tensor, size: Sequence[int]) -> Tensor:
    """Returns the weight that ``pack_weight`` packed.

    Args:
        packed_weight: what ``pack_weight`` returned.
        size: the shape of the weight that was packed.

    Returns:
        int8, of shape ``size``.
    """
    return _ops.unpack_weight.default(packed_weight, size)


@torch.library.register_fake("torchq::unpack_weight")
def _(packed_weight: Tensor, size: Sequence[int]) -> Tensor:
    return packed_weight.new_empty(size, dtype=torch.int8)
