"""Operators that read activations in place read nothing beyond them: the page behind the input cannot be touched."""

import ctypes
import mmap

import pytest
import torch
from torch import Tensor

from ops.samples.values import full_range
from torchq import ops, reference

_NO_ACCESS = 0
_LIBC = ctypes.CDLL(None, use_errno=True)


def at_end_of_memory(x: Tensor) -> Tensor:
    """A copy of a channels_last image that ends where readable memory does."""
    pixels = x.movedim(1, -1).contiguous()
    size = -(-pixels.numel() // mmap.PAGESIZE) * mmap.PAGESIZE
    memory = mmap.mmap(-1, size + mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    if _LIBC.mprotect(ctypes.c_void_p(address + size), ctypes.c_size_t(mmap.PAGESIZE), _NO_ACCESS):
        raise OSError(ctypes.get_errno(), "mprotect")
    guarded = torch.frombuffer(memory, dtype=x.dtype, count=pixels.numel(), offset=size - pixels.numel())
    guarded.copy_(pixels.flatten())
    return guarded.view(pixels.shape).movedim(-1, 1)


# Channels, weight, stride, padding, groups, transposed.
CASES = {
    "first-layer": (3, (5, 3, 3, 3), (2, 2), (1, 1), 1, False),
    "wide-first-layer": (3, (20, 3, 7, 7), (2, 2), (3, 3), 1, False),
    "first-layer-of-a-line": (3, (5, 3, 1, 5), (1, 1), (0, 0), 1, False),
    "one-pixel": (5, (7, 5, 1, 1), (1, 1), (0, 0), 1, False),
    "transposed": (3, (5, 3, 3, 1), (1, 1), (0, 0), 1, True),
    "transposed-and-cut": (3, (5, 3, 3, 1), (1, 1), (1, 0), 1, True),
    "transposed-with-stride": (4, (5, 4, 3, 3), (2, 2), (1, 1), 1, True),
    "whole-quads": (8, (5, 8, 3, 3), (1, 1), (1, 1), 1, False),
    "odd-groups": (6, (4, 3, 3, 3), (1, 1), (1, 1), 2, False),
    "narrow-groups": (8, (8, 4, 3, 3), (1, 1), (1, 1), 2, False),
    "depthwise": (8, (8, 1, 3, 3), (1, 1), (1, 1), 8, False),
    "depthwise-33": (33, (33, 1, 3, 3), (1, 1), (0, 0), 33, False),
    "depthwise-64-with-stride": (64, (64, 1, 3, 3), (2, 2), (1, 1), 64, False),
    "depthwise-64-with-stride-of-3": (64, (64, 1, 3, 3), (3, 3), (0, 0), 64, False),
    "depthwise-5x5": (32, (32, 1, 5, 5), (1, 1), (2, 2), 32, False),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("width", [7, 12])
def test_convolution_reads_nothing_behind_its_input(name, width):
    channels, size, stride, padding, groups, transposed = CASES[name]
    x = at_end_of_memory(full_range(2, channels, 9, width, dtype=torch.uint8))
    weight = full_range(*size, dtype=torch.int8)
    window = ops.window(size[2:], stride, padding, (1, 1), (0, 0) if transposed else ())
    scales = torch.full((size[0],), 0.01)
    before, after = (x, 0.05, 13), (scales, None, window, transposed, 0.9, 100, torch.uint8)
    result = ops.convolution(*before, ops.pack_weight(weight, groups=groups), *after)
    assert torch.equal(result, reference.convolution(*before, weight, *after, groups=groups))
