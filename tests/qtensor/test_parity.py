"""Integers, scales and zero points are those of torch's own quantized tensors, as long as torch has them."""

import pytest
import torch

import torchq
from qtensor.calls import CALLS
from qtensor.compare import HAS_TORCHS, assert_is_torchs
from qtensor.moves import BEYOND_TORCH, MOVES

SCALE, ZERO_POINTS = 0.05, {torch.uint8: 101, torch.int8: -21, torch.int32: 5}
TORCH_HAS = {**{name: call for name, call in MOVES.items() if name not in BEYOND_TORCH}, **CALLS}
pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(not HAS_TORCHS, reason="this torch has no quantized tensors to compare with"),
]


def values(dtype, layout):
    low = max(torch.iinfo(dtype).min, -128)
    drawn = torch.randint(low, low + 256, (2, 16, 6, 5), generator=torch.Generator().manual_seed(0)).to(dtype)
    return drawn.contiguous(memory_format=layout)


def of_torch(ints):
    return torch._make_per_tensor_quantized_tensor(ints, SCALE, ZERO_POINTS[ints.dtype])


# Where torch has no answer: a view of channels_last memory, and shuffled channels of other dtypes. And relu of 32 bits
# has no integer form here yet.
CONTIGUOUS = {"view", "view-of-sizes", "view_as"}
WITHOUT = {"channel_shuffle": (torch.int8, torch.int32), "relu_": (torch.int32,)}
CASES = [
    pytest.param(name, dtype, layout, id=f"{name}-q{str(dtype).removeprefix('torch.')}-{layout_name}")
    for name in TORCH_HAS
    for dtype in ZERO_POINTS
    for layout, layout_name in ((torch.contiguous_format, "contiguous"), (torch.channels_last, "channels-last"))
    if not (name in CONTIGUOUS and layout is torch.channels_last)
    if dtype not in WITHOUT.get(name, ())
]


@pytest.mark.parametrize(("name", "dtype", "layout"), CASES)
def test_is_torchs(name, dtype, layout):
    ints = values(dtype, layout)
    theirs = TORCH_HAS[name](of_torch(ints))
    with torchq.no_float_fallback():
        mine = TORCH_HAS[name](torchq._make_per_tensor_quantized_tensor(ints, SCALE, ZERO_POINTS[dtype]))
    assert_is_torchs(mine, theirs)
