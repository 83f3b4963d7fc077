"""At ties, what is written to a QTensor is rounded as torch rounds it: by one of two rules, which go by the call."""

import pytest
import torch
import torch.nn.functional as F

import torchq
from qtensor.calls import changed, set_to
from qtensor.compare import HAS_TORCHS

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(not HAS_TORCHS, reason="this torch has no quantized tensors to compare with"),
]
MASK = torch.tensor([True, False, False, True])
FIRST = torch.tensor([0])

CALLS = {
    "copy_": lambda v: changed(lambda q: q.copy_(torch.full((4,), v))),
    "fill_": lambda v: changed(lambda q: q.fill_(v)),
    "full_like": lambda v: lambda q: torch.full_like(q, v),
    "pad": lambda v: lambda q: F.pad(q, (1, 0), value=v),
    "set-index": lambda v: set_to(0, v),
    "set-index-to-a-tensor": lambda v: set_to(0, torch.tensor(v)),
    "set-slice": lambda v: set_to(slice(2), v),
    "set-mask": lambda v: set_to(MASK, v),
    "set-mask-to-a-tensor": lambda v: set_to(MASK, torch.tensor([v, v])),
    "set-indices": lambda v: set_to(FIRST, v),
    "index_put_": lambda v: changed(lambda q: q.index_put_((FIRST,), torch.tensor(v))),
    "masked_fill_": lambda v: changed(lambda q: q.masked_fill_(MASK, v)),
    "masked_fill_-by-a-tensor": lambda v: changed(lambda q: q.masked_fill_(MASK, torch.tensor(v))),
    "threshold": lambda v: lambda q: torch.threshold(q, 1e9, v),
    "clamp": lambda v: lambda q: torch.clamp(q, v, v),
}


def tie(draw):
    """A scale, a zero point, and a value halfway between two integers."""
    scale = 0.001 + 0.2 * draw[0]
    return scale, int(256 * draw[1]), (int(600 * draw[2]) - 299.5) * scale


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_ties_are_torchs(call):
    draws = torch.rand(400, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).tolist()
    integers = torch.tensor([3, 1, 4, 1], dtype=torch.uint8)
    for scale, zero_point, value in map(tie, draws):
        theirs = call(value)(torch._make_per_tensor_quantized_tensor(integers, scale, zero_point))
        mine = call(value)(torchq._make_per_tensor_quantized_tensor(integers, scale, zero_point))
        assert torch.equal(mine.int_repr(), theirs.int_repr())


def test_the_two_rules_differ():
    """So that it shows when one of them is taken for the other."""
    q = torchq.quantize_per_tensor(torch.zeros(4), 0.1, 0, torchq.quint8)
    draws = torch.rand(400, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).tolist()
    differing = 0
    for scale, zero_point, value in map(tie, draws):
        q = torchq.quantize_per_tensor(torch.zeros(4), scale, zero_point, torchq.quint8)
        differing += not torch.equal(CALLS["fill_"](value)(q)[:1], CALLS["set-indices"](value)(q)[:1])
    assert differing > 0


# Torch warns that differing parameters lose precision, and requantizes.
LOSES_PRECISION = pytest.mark.filterwarnings("ignore:All inputs of this cat operator")


@LOSES_PRECISION
@pytest.mark.parametrize("dtype", ["quint8", "qint8"])
@pytest.mark.parametrize("join", [torch.cat, torch.stack, torch.hstack, torch.dstack], ids=lambda join: join.__name__)
def test_what_is_joined_is_requantized_as_torch_does(join, dtype):
    source = torch.Generator().manual_seed(0)
    info = torch.iinfo(getattr(torch, dtype[1:]))
    integers = torch.arange(info.min, info.max + 1).to(getattr(torch, dtype[1:])).reshape(4, 64)
    for ratio in (0.25, 0.5, 0.75, 1.5, 2.5, 1 / 3):  # of scales, for many ties
        scale, first, second = torch.rand(3, generator=source, dtype=torch.float64).tolist()
        qparams = (
            (0.01 + scale, info.min + int(256 * first)),
            ((0.01 + scale) * ratio, info.min + int(256 * second)),
        )
        theirs = join([torch._make_per_tensor_quantized_tensor(integers, *q) for q in qparams])
        mine = join([torchq._make_per_tensor_quantized_tensor(integers, *q) for q in qparams])
        assert (mine.q_scale(), mine.q_zero_point()) == qparams[0]
        assert torch.equal(mine.int_repr(), theirs.int_repr())


@LOSES_PRECISION
def test_joining_in_channels_last_memory_is_at_most_one_from_torch():
    """Torch has another formula there, which goes by its vectors; here layout changes no integer."""
    integers = torch.arange(256).to(torch.uint8).reshape(1, 64, 2, 2)
    qparams = ((0.1, 7), (0.075, 100))
    plain = torch.cat([torchq.QTensor(integers, *q) for q in qparams], 1)
    last = integers.contiguous(memory_format=torch.channels_last)
    mine = torch.cat([torchq.QTensor(last, *q) for q in qparams], 1)
    theirs = torch.cat([torch._make_per_tensor_quantized_tensor(last, *q) for q in qparams], 1)
    assert torch.equal(mine.int_repr(), plain.int_repr())
    assert (mine.int_repr().int() - theirs.int_repr().int()).abs().max() <= 1
