"""What moves values keeps their integers, and keeps channels with their scales."""

import pytest
import torch

import torchq
from qtensor.moves import MOVES

SCALE, ZERO_POINTS = 0.05, {torch.uint8: 100, torch.int8: -21, torch.int32: 5}
pytestmark = pytest.mark.usefixtures("one_thread")


def integers(dtype):
    values = torch.arange(2 * 16 * 6 * 5).reshape(2, 16, 6, 5) * 37 % 256
    return (values + max(torch.iinfo(dtype).min, -128)).to(dtype)


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
@pytest.mark.parametrize("dtype", ZERO_POINTS, ids=["quint8", "qint8", "qint32"])
def test_moving_keeps_integers_and_parameters(move, dtype):
    ints = integers(dtype)
    with torchq.no_float_fallback():
        result = move(torchq.QTensor(ints, SCALE, ZERO_POINTS[dtype]))
    expected = move(ints)
    assert type(result) is torchq.QTensor
    assert (result.q_scale(), result.q_zero_point()) == (SCALE, ZERO_POINTS[dtype])
    assert torch.equal(result.int_repr(), expected)
    assert (result.shape, result.stride()) == (expected.shape, expected.stride())


def channels(axis, floating=False):
    size = (2, 16, 6, 5)[axis]
    scales, zero_points = torch.linspace(0.05, 0.2, size), torch.arange(size) * 3
    if floating:
        return torchq.QTensor(integers(torch.uint8), scales, zero_points + 0.25, axis)
    return torchq.QTensor(integers(torch.uint8), scales.double(), zero_points, axis)


STRIDED = {"as_strided", "torch.as_strided", "as_strided_copy"}
REQUANTIZING = {"column_stack"}  # of two channels, each per tensor
OF_CHANNELS = {name: move for name, move in MOVES.items() if name not in STRIDED | REQUANTIZING}


@pytest.mark.parametrize("floating", [False, True], ids=["integer-zero-points", "floating-zero-points"])
@pytest.mark.parametrize("axis", range(4))
@pytest.mark.parametrize("move", OF_CHANNELS.values(), ids=OF_CHANNELS)
def test_moved_channels_stand_for_the_moved_values(move, axis, floating):
    q = channels(axis, floating)
    result = move(q)
    expected = move(q.dequantize())
    assert torch.equal(torchq.dequantize(result), expected)
    assert result.shape == expected.shape


@pytest.mark.parametrize("name", sorted(STRIDED))
def test_channels_are_not_found_by_strides(name):
    with pytest.raises(RuntimeError, match="as_strided is for per tensor QTensors, got one per channel"):
        MOVES[name](channels(1))


# What leaves no single dimension to the channels of axis 1.
WITHOUT_CHANNELS = {
    *("view", "view-of-sizes", "view_as", "reshape", "torch.reshape", "torch.reshape-by-name", "flatten"),
    *("torch.flatten", "unflatten", "ravel", "torch.ravel", "pixel_shuffle"),
    # And what is for tensors of one scale.
    *("hstack", "vstack", "dstack", "row_stack", "cartesian_prod", "meshgrid", "meshgrid-of-a-list", "embedding"),
    *("where", "torch.where"),
}


def test_channels_are_lost_only_where_no_dimension_has_them():
    lost = {name for name, move in OF_CHANNELS.items() if type(move(channels(1))) is torch.Tensor}
    assert lost == WITHOUT_CHANNELS
