"""Packing refuses weights that cannot be exact, and nothing but a packed weight is taken for one."""

import struct

import pytest
import torch
from torch import Tensor

from ops.refusals import check_refusal, on_meta
from torchq import ops

WEIGHT = torch.arange(-64, 64).to(torch.int8).reshape(8, 16)
PACK = {"weight": WEIGHT, "zero_points": torch.zeros(8, dtype=torch.int64), "groups": 2}

PACK_CASES = {
    "float-weight": ({"weight": WEIGHT.float()}, "weight must be int8, got float32"),
    "uint8-weight": ({"weight": WEIGHT.to(torch.uint8)}, "weight must be int8, got uint8"),
    "vector": ({"weight": WEIGHT[0]}, "2 to 5 dimensions"),
    "six-dimensions": ({"weight": WEIGHT.reshape(8, 16, 1, 1, 1, 1)}, "got 6"),
    "no-outputs": ({"weight": WEIGHT[:0]}, "weight must not be empty"),
    "no-inputs": ({"weight": WEIGHT[:, :0]}, "weight must not be empty"),
    "groups-that-do-not-divide": ({"groups": 3}, "groups must divide the 8 output channels, got 3"),
    "no-groups": ({"groups": 0}, "groups must divide the 8 output channels, got 0"),
    "negative-groups": ({"groups": -2}, "got -2"),
    "too-few-zero-points": ({"zero_points": torch.zeros(7).long()}, "zero_points must have shape [8], got 7"),
    "zero-points-of-two-dimensions": ({"zero_points": torch.zeros(8, 1).long()}, "zero_points must have shape [8]"),
    "zero-point-above": (
        {"zero_points": torch.full((8,), 128)},
        "each of zero_points must lie in [-128, 127], got 128",
    ),
    "zero-point-below": ({"zero_points": torch.full((8,), -129)}, "got -129"),
    "zero-point-beyond-int32": ({"zero_points": torch.full((8,), 2**32)}, "got 4294967296"),
    "zero-points-elsewhere": ({"zero_points": on_meta(PACK["zero_points"])}, "one device"),
}


@pytest.mark.parametrize(("changed", "message"), PACK_CASES.values(), ids=PACK_CASES)
def test_pack_refuses(changed, message):
    check_refusal(ops.pack_weight, PACK, changed, message)


def test_zero_points_are_integers():
    check_refusal(ops.pack_weight, PACK, {"zero_points": torch.full((8,), 1.5)}, "torch.float32", TypeError)


@pytest.mark.parametrize("shape", [(2, 65_794), (2, 21_932, 3), (2, 7_311, 3, 3)], ids=["linear", "conv1d", "conv2d"])
def test_sums_that_int32_cannot_hold_are_refused(shape):
    depth = torch.Size(shape[1:]).numel()
    with pytest.raises(RuntimeError, match=f"at most 65793 products.*got {depth}"):
        ops.pack_weight(torch.zeros(shape, dtype=torch.int8))


def test_zero_points_of_the_weight_halve_the_longest_sum():
    zero_points = torch.zeros(1, dtype=torch.int64)
    ops.pack_weight(torch.zeros(1, 33_025, dtype=torch.int8), zero_points)
    with pytest.raises(RuntimeError, match=r"at most 33025 products.*got 33026"):
        ops.pack_weight(torch.zeros(1, 33_026, dtype=torch.int8), zero_points)


def with_header(packed: Tensor, **changed: int) -> Tensor:
    """A packed weight with some of its header's numbers replaced."""
    names = ("magic", "version", "groups", "columns", "k", "depth", "height", "width", "has_zero_points")
    numbers = dict(zip(names, struct.unpack("<9i", bytes(packed[:36].tolist())), strict=True)) | changed
    return torch.cat([torch.tensor(list(struct.pack("<9i", *numbers.values())), dtype=torch.uint8), packed[36:]])


PACKED = ops.pack_weight(WEIGHT)
DAMAGED = {
    "empty": (PACKED[:0], "shorter than a packed weight's header"),
    "half-a-header": (PACKED[:63], "shorter than a packed weight's header"),
    "header-only": (PACKED[:64], "cut short or too long"),
    "one-byte-short": (PACKED[:-1], "cut short or too long"),
    "one-byte-long": (torch.cat([PACKED, PACKED[:1]]), "cut short or too long"),
    "something-else": (torch.zeros(500, dtype=torch.uint8), "not made by pack_weight"),
    "shifted": (PACKED.roll(1), "not made by pack_weight"),
    "other-version": (with_header(PACKED, version=1), "another version of torchq"),
    "other-columns": (with_header(PACKED, columns=17), "cut short or too long"),
    "other-depth": (with_header(PACKED, k=17), "cut short or too long"),
    "no-columns": (with_header(PACKED, columns=0), "cut short or too long"),
    "negative-sizes": (with_header(PACKED, groups=-1, columns=-8), "cut short or too long"),
    "negative-kernel": (with_header(PACKED, depth=-1, height=-1), "cut short or too long"),
    "unbacked-zero-points": (with_header(PACKED, has_zero_points=1), "cut short or too long"),
    "sizes-beyond-int64": (
        with_header(PACKED, groups=2**31 - 1, columns=2**31 - 1, k=2**31 - 1),
        "cut short or too long",
    ),
    "int8": (PACKED.view(torch.int8), "packed_weight must be uint8, got int8"),
    "not-aligned": (torch.cat([PACKED[:1], PACKED])[1:], "its address is no multiple of 4"),
    "with-gaps": (torch.stack([PACKED, PACKED], 1)[:, 0], "contiguous"),
}
READERS = {
    "linear": lambda packed: ops.linear_dequantize(
        torch.ones(2, 16, dtype=torch.uint8), 0.1, 0, packed, torch.ones(8), None
    ),
    "linear-dynamic": lambda packed: ops.linear_dynamic(torch.ones(2, 16), packed, torch.ones(8), None, True, False),
    "convolution": lambda packed: ops.convolution_dequantize(
        torch.ones(1, 16, 2, 2, dtype=torch.uint8),
        *(0.1, 0, packed, torch.ones(8), None),
        ops.window([1, 1], [1, 1], [0, 0], [1, 1]),
        False,
    ),
    "unpack": lambda packed: ops.unpack_weight(packed, [8, 16]),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize(("packed", "message"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_packed_weight_is_refused(read, packed, message):
    read(PACKED)
    with pytest.raises(RuntimeError, match=message):
        read(packed)


@pytest.mark.parametrize(
    "size", [[8, 15], [16, 8], [8, 16, 1, 1, 1, 1], [8], [], [8, -16], [8, 16, 2]], ids=lambda size: f"size-{size}"
)
def test_unpack_refuses_another_shape(size):
    with pytest.raises(
        RuntimeError, match="size does not fit the packed weight, which has 8 output channels, 16 input"
    ):
        ops.unpack_weight(PACKED, size)


def convolve_depthwise(packed: Tensor) -> Tensor:
    x, window = torch.ones(1, 8, 4, 4, dtype=torch.uint8), ops.window([3, 3], [1, 1], [1, 1], [1, 1])
    return ops.convolution_dequantize(x, 0.1, 0, packed, torch.ones(8), None, window, False)


DEPTHWISE = ops.pack_weight(torch.ones(8, 1, 3, 3, dtype=torch.int8), groups=8)


@pytest.mark.parametrize(
    ("packed", "readers"),
    [(PACKED, READERS.values()), (DEPTHWISE, [*READERS.values(), convolve_depthwise])],
    ids=["dense", "depthwise"],
)
def test_changed_bytes_of_a_header_never_crash(packed, readers):
    """Each byte of the header, set to what hurts: a call gives an error or a result, and reads only its buffer."""
    for position in range(36):
        for value in (0, 1, 2, 3, 8, 127, 128, 255):
            damaged = packed.clone()
            damaged[position] = value
            for read in readers:
                try:
                    read(damaged)
                except RuntimeError as error:
                    assert "torchq::" in str(error)  # noqa: PT017
