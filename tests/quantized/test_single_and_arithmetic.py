"""Functions of values, sums, products and joins beside those of torch.ops.quantized."""

import pytest
import torch

import torchq
from qtensor.compare import qparams
from quantized.calls import CALLS, ONE_APART, Source

pytestmark = pytest.mark.usefixtures("one_thread", "torch_ao")


@pytest.mark.parametrize("name", CALLS)
def test_gives_the_integers_of_torch(name):
    differing = total = 0
    for seed in range(12):
        expected = CALLS[name](torch.ops.quantized, Source(torch, seed))
        given = CALLS[name](torchq.quantized, Source(torchq, seed))
        assert qparams(given) == qparams(expected)
        assert given.shape == expected.shape
        difference = (given.int_repr().int() - expected.int_repr().int()).abs()
        assert difference.max() <= 1
        differing, total = differing + int(difference.sum()), total + difference.numel()
    assert differing <= ONE_APART.get(name, 0) * total
