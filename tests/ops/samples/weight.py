"""Samples of pack_weight and unpack_weight, and the packed layout spelled out in Python."""

import struct
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from ops.samples.sample import Sample
from ops.samples.values import INT8, ends_in_every_position, full_range

PANEL = 16


def packed_layout(weight: Tensor, zero_points: Tensor | None = None, groups: int = 1) -> Tensor:
    """What csrc/cpu/gemm/pack.h says: header, panels, column sums, zero points."""
    columns, k, kernel = weight.shape[0] // groups, weight.shape[1], list(weight.shape[2:])
    three = [1] * (3 - len(kernel)) + kernel
    header = struct.pack("<4sI7i28x", b"TQW1", 3, groups, columns, k, *three, int(zero_points is not None))
    # [groups, columns, depth]: kernel rows in whole quads, of taps before channels.
    rows = weight.movedim(1, -1).reshape(groups, columns, three[0] * three[1], -1)
    rows = F.pad(rows, (0, -rows.shape[3] % 4)).flatten(2)
    if groups > 1 and columns == 1 and k == 1 and three[0] == 1:  # depthwise: the channels are columns of one group
        if three[2] != 3:  # taps follow each other
            rows = weight.reshape(groups, -1)
        rows, groups, columns = rows.reshape(1, groups, -1), 1, groups
    if groups > 1 and columns == k and k in (4, 8, 16):  # narrow groups lie side by side
        rows, groups, columns = rows.reshape(1, groups * columns, -1), 1, groups * columns
    rows = F.pad(rows, (0, -rows.shape[2] % 4, 0, -columns % PANEL))
    panels = rows.reshape(groups, -1, PANEL, rows.shape[2] // 4, 4).transpose(2, 3)
    per_column = [rows.sum(-1, dtype=torch.int32)]
    if zero_points is not None:
        per_column.append(F.pad(zero_points.int().reshape(groups, columns), (0, -columns % PANEL)))
    parts = [torch.tensor(list(header), dtype=torch.uint8), panels.contiguous(), *per_column]
    return torch.cat([part.reshape(-1).view(torch.uint8) for part in parts])


def both(name: str, weight: Tensor, zero_points: Tensor | None = None, groups: int = 1, **marks) -> Iterator[Sample]:
    packed = packed_layout(weight, zero_points, groups)
    arguments = {"weight": weight, "zero_points": zero_points, "groups": groups}
    yield Sample("pack_weight", name, arguments, packed, **marks)
    unpack = {"packed_weight": packed, "size": list(weight.shape)}
    yield Sample("unpack_weight", name, unpack, weight.contiguous(), **marks)


def weight_samples() -> Iterator[Sample]:
    for n, k in ((1, 1), (15, 3), (16, 4), (17, 5), (33, 8), (64, 63), (65, 64), (129, 2)):
        yield from both(f"linear-{n}x{k}", full_range(n, k, dtype=INT8), typical=n == 17)
    yield from both("minus-128-in-every-position", ends_in_every_position(70, 67, INT8))
    yield from both("all-minus-128", torch.full((17, 9), -128, dtype=INT8))
    yield from both("asymmetric", full_range(18, 7, dtype=INT8), torch.arange(-9, 9), typical=True)
    for name, shape, groups in (
        ("conv1d", (5, 3, 4), 1),
        ("convolution", (18, 5, 3, 2), 1),
        ("conv3d", (4, 3, 2, 3, 2), 1),
        ("grouped", (34, 3, 3, 3), 2),
        ("groups-of-4", (20, 4, 3, 2), 5),
        ("groups-of-8", (16, 8, 1, 1), 2),
        ("groups-of-16", (32, 16, 2, 1), 2),
        ("groups-of-4-to-8", (16, 4, 1, 3), 2),
        ("depthwise-3x3", (20, 1, 3, 3), 20),
        ("depthwise-2x3", (16, 1, 2, 3), 16),
        ("depthwise-5x5", (33, 1, 5, 5), 33),
        ("depthwise-3x2", (3, 1, 3, 2), 3),
        ("depthwise-1x1", (17, 1, 1, 1), 17),
        ("depthwise-1d", (20, 1, 3), 20),
        ("depthwise-3d", (4, 1, 2, 3, 3), 4),
        ("depthwise-flat-3d", (20, 1, 1, 3, 3), 20),
        ("depthwise-multiplier", (10, 1, 3, 3), 5),
    ):
        weight = full_range(*shape, dtype=INT8)
        yield from both(name, weight, groups=groups, typical=name == "grouped")
        yield from both(f"{name}-asymmetric", weight, torch.arange(shape[0]) - 2, groups)
    transposed = full_range(9, 20, dtype=INT8).t()
    yield from both("transposed", transposed)
    yield from both("channels-last", full_range(6, 5, 3, 3, dtype=INT8).contiguous(memory_format=torch.channels_last))
    yield from both("longest-sum", full_range(2, 65_793, dtype=INT8))


SAMPLES = list(weight_samples())
