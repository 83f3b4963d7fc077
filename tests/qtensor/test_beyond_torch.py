"""What torch has for tensors that are not quantized: the values say which integers must come out."""

import math

import pytest
import torch
from torch.utils._pytree import tree_leaves

import torchq
from qtensor.calls import BEYOND_TORCH

pytestmark = pytest.mark.usefixtures("one_thread")
PLAIN = {"argmax", "torch.argmax", "argmin", "torch.argmin"}


@pytest.mark.parametrize("dtype", ["quint8", "qint8", "qint32"])
@pytest.mark.parametrize("name", BEYOND_TORCH)
def test_values_are_those_of_the_call_on_values(name, dtype):
    x = torch.randn(2, 16, 6, 5, generator=torch.Generator().manual_seed(0))
    q = torchq.quantize_per_tensor(x, 0.25, 21, getattr(torchq, dtype))
    expected = BEYOND_TORCH[name](q.dequantize())
    with torchq.no_float_fallback():
        result = BEYOND_TORCH[name](q)
    for part, of_values in zip(tree_leaves(result), tree_leaves(expected), strict=True):
        if isinstance(part, torch.Tensor):
            assert isinstance(part, torchq.QTensor) == (name not in PLAIN)
            assert torch.equal(torchq.dequantize(part), of_values)
        else:
            assert part == of_values


@pytest.mark.parametrize("call", [lambda q: q.clamp(), lambda q: q.clamp_()], ids=["clamp", "clamp_"])
def test_a_clamp_needs_a_limit(call):
    with pytest.raises(RuntimeError):
        call(torchq.quantize_per_tensor(torch.ones(2), 0.25, 21, torchq.quint8))


@pytest.mark.parametrize("limits", [(math.nan, 1.0), (0.0, math.nan)], ids=["lower", "upper"])
def test_a_limit_of_nan_makes_nan(limits):
    q = torchq.quantize_per_tensor(torch.ones(2), 0.25, 21, torchq.quint8)
    assert q.clamp(*limits).isnan().all()
    with pytest.raises(RuntimeError, match=r"clamp_ .*would change a QTensor in place"):
        q.clamp_(*limits)


def test_in_place_changes_return_the_tensor_itself():
    q = torchq.quantize_per_tensor(torch.randn(3, 4), 0.25, 21, torchq.quint8)
    for change in (
        lambda: q.clamp_(-1.0, 1.0),
        lambda: q.fill_(0.5),
        lambda: q.zero_(),
        lambda: q.copy_(torch.ones(3, 4)),
        lambda: q.masked_fill_(torch.ones(4, dtype=torch.bool), 0.5),
        lambda: q.index_put_((torch.tensor([0]),), torch.tensor(0.5)),
        lambda: q.t_(),
        lambda: q.unsqueeze_(0),
        lambda: q.squeeze_(0),
        lambda: q.resize_(2, 6),
        lambda: q.detach_(),
        lambda: q.share_memory_(),
    ):
        assert change() is q
    assert (q.shape, q.int_repr().shape) == ((2, 6), (2, 6))
