"""quint4x2: four bits a value, two values a byte, as torch keeps them."""

import copy
import io
import pickle

import pytest
import torch
from torch.utils._pytree import tree_leaves

import torchq
from qtensor.compare import HAS_TORCHS, assert_is_torchs
from torchq.qtensor_packed import PackedQTensor

pytestmark = pytest.mark.usefixtures("one_thread")
needs_torchs = pytest.mark.skipif(not HAS_TORCHS, reason="this torch has no quantized tensors to compare with")


def per_tensor(library, shape=(5, 7)):
    x = torch.linspace(-3, 12, torch.Size(shape).numel()).reshape(shape)
    return library.quantize_per_tensor(x, 0.75, 5, library.quint4x2)


def per_channel(library, shape=(5, 7)):
    x = torch.linspace(-3, 12, torch.Size(shape).numel()).reshape(shape)
    scales, zero_points = torch.linspace(0.5, 1.5, shape[0]), torch.linspace(0.3, 9.7, shape[0])
    return library.quantize_per_channel(x, scales, zero_points, 0, library.quint4x2)


BOTH = pytest.mark.parametrize("make", [per_tensor, per_channel], ids=["per-tensor", "per-channel"])


@needs_torchs
@BOTH
@pytest.mark.parametrize("shape", [(5, 7), (4, 6), (1, 1), (2, 3, 5), (7,), (3, 0)], ids=str)
def test_bytes_and_values_are_torchs(make, shape):
    theirs, mine = make(torch, shape), make(torchq, shape)
    assert_is_torchs(mine, theirs)
    assert torch.equal(mine.dequantize(), theirs.dequantize())
    assert mine.int_repr().shape == ((torch.Size(shape).numel() + 1) // 2,)


@needs_torchs
def test_ties_are_torchs():
    source = torch.Generator().manual_seed(0)
    for scale, zero_point in ((0.1, 3), (0.25, 7), (1 / 3, 0), (0.0371, 15)):
        x = torch.randint(-80, 80, (9, 11), generator=source) / 2 * scale
        theirs, mine = (
            library.quantize_per_tensor(x, scale, zero_point, library.quint4x2) for library in (torch, torchq)
        )
        assert_is_torchs(mine, theirs)


@BOTH
def test_is_a_qtensor_of_float32(make):
    q = make(torchq)
    assert isinstance(q, torchq.QTensor)
    assert (q.qdtype, q.dtype, q.shape, q.numel(), len(q)) == (torchq.quint4x2, torch.float32, (5, 7), 35, 5)
    assert (q.stride(), q.is_contiguous(), q.device.type, q.is_quantized) == ((7, 1), True, "cpu", False)


@needs_torchs
@BOTH
def test_prints_as_torch_prints(make):
    theirs, mine = (repr(make(library)).partition("(")[2].split() for library in (torch, torchq))
    assert "".join(mine).replace("torchq.", "torch.") == "".join(theirs)


def saved_and_loaded(q):
    file = io.BytesIO()
    torch.save(q, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


COPIES = {
    "save": saved_and_loaded,
    "pickle": lambda q: pickle.loads(pickle.dumps(q)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "clone": torch.clone,
    "detach": lambda q: q.detach(),
    "contiguous": lambda q: q.contiguous(),
    "to": lambda q: q.to("cpu", torch.float32, copy=True),
    "cpu": lambda q: q.cpu(),
    "share_memory_": lambda q: q.clone().share_memory_(),
}


@BOTH
@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_copy_is_equal(duplicate, make):
    q = make(torchq)
    with torchq.no_float_fallback():
        result = duplicate(q)
        assert type(result) is PackedQTensor
        assert torch.equal(result, q)
    assert torch.equal(result.int_repr(), q.int_repr())


def test_a_module_holds_one():
    module = torch.nn.Module()
    module.q = torch.nn.Parameter(per_channel(torchq), requires_grad=False)
    module.register_buffer("b", per_tensor(torchq))
    loaded = saved_and_loaded(module.state_dict())
    assert torch.equal(loaded["q"], per_channel(torchq))
    assert torch.equal(copy.deepcopy(module).b, module.b)
    assert module.to("meta").b.shape == (5, 7)


def test_memory_is_half_a_byte_a_value():
    q = per_tensor(torchq, (64, 64))
    assert q.int_repr().numel() == 64 * 64 // 2
    assert q.clone().share_memory_().is_shared()
    assert not q.is_shared()


# Torch reads other elements for these wherever they begin inside the memory.
MOVES = {
    "row": lambda q: q[3],
    "rows": lambda q: q[1:4],
    "every-other-row": lambda q: q[::2],
    "columns": lambda q: q[:, 2:5],
    "element": lambda q: q[2, 3],
    "rows-by-number": lambda q: q[torch.tensor([4, 0])],
    "select": lambda q: q.select(0, 2),
    "narrow": lambda q: q.narrow(0, 1, 3),
    "split": lambda q: q.split(2),
    "chunk": lambda q: torch.chunk(q, 2),
    "unbind": lambda q: q.unbind(),
    "index_select": lambda q: torch.index_select(q, 0, torch.tensor([1, 1])),
    "view": lambda q: q.view(5, 1, 7),
    "reshape": lambda q: q.reshape(5, 7, 1),
    "flatten": lambda q: q.unsqueeze(0).flatten(0, 1),
    "unsqueeze": lambda q: q.unsqueeze(1),
    "squeeze": lambda q: q.unsqueeze(1).squeeze(1),
    "unflatten": lambda q: q.unflatten(1, (7, 1)),
}


@BOTH
@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_moving_keeps_the_values(move, make):
    q = make(torchq)
    results, expected = tree_leaves(move(q)), tree_leaves(move(q.dequantize()))
    for result, of_values in zip(results, expected, strict=True):
        assert torch.equal(torchq.dequantize(result), of_values)
        assert result.shape == of_values.shape


@BOTH
def test_rows_stay_packed(make):
    q = make(torchq)
    with torchq.no_float_fallback():
        assert all(type(rows) is PackedQTensor for rows in (q[1:4], q[::2], q.narrow(0, 1, 3), q[:, 2:5]))


@needs_torchs
@BOTH
def test_comparisons_are_torchs(make):
    theirs, mine = make(torch), make(torchq)
    with torchq.no_float_fallback():
        assert_is_torchs([mine == mine, mine > 1.0, mine.equal(mine)], [theirs == theirs, theirs > 1.0, True])
    assert not torch.equal(mine, per_tensor(torchq, (7, 5)))
    assert not torch.equal(mine, mine._unpacked())


@BOTH
def test_everything_else_is_float(make):
    q = make(torchq)
    torchq.float_fallbacks(clear=True)
    assert torch.equal(torch.relu(q), torch.relu(q.dequantize()))
    assert torch.equal(torch.cat([q, q]), torch.cat([q.dequantize()] * 2))
    assert torch.equal(q.to(torch.float64), q.dequantize().double())
    assert torchq.float_fallbacks() == {"torch.relu": 1, "torch.cat": 1, "torch.Tensor.to": 1}


@BOTH
@pytest.mark.parametrize(
    "change",
    [lambda q: q.fill_(1.0), lambda q: q.copy_(torch.ones(5, 7)), lambda q: q.zero_(), lambda q: q.relu_()],
    ids=["fill_", "copy_", "zero_", "relu_"],
)
def test_changing_it_is_refused(change, make):
    with pytest.raises(RuntimeError, match="would change a QTensor in place"):
        change(make(torchq))


@BOTH
def test_its_elements_are_not_set(make):
    q, before = make(torchq), make(torchq)
    for index in (0, (1, 2), slice(2), torch.tensor([0])):
        with pytest.raises(RuntimeError, match=r"elements of a QTensor of torchq\.quint4x2 cannot be set"):
            q[index] = 1.0
    assert torch.equal(q, before)
    x = torch.zeros(5, 7)
    x[:] = q
    assert torch.equal(x, q.dequantize())


def test_its_integers_are_not_mistaken_for_bytes():
    q = per_tensor(torchq)
    with pytest.raises(RuntimeError, match=r"torchq\.quint4x2 has two values a byte"):
        torchq.nn.quantized.QFunctional().add(q, q)
    eight_bits = torchq.quantize_per_tensor(torch.ones(18), 0.75, 5, torchq.quint8)
    assert not eight_bits.has_qparams_of(q)
    assert not q.has_qparams_of(eight_bits)


@pytest.mark.parametrize("zero_point", [-1, 16])
def test_zero_point_has_4_bits(zero_point):
    message = rf"zero_point must lie in \[0, 15\], the range of torchq\.quint4x2, got {zero_point}"
    with pytest.raises(ValueError, match=message):
        torchq.quantize_per_tensor(torch.ones(2), 0.1, zero_point, torchq.quint4x2)
    with pytest.raises(ValueError, match=message):
        torchq._empty_affine_quantized([2], scale=0.1, zero_point=zero_point, dtype=torchq.quint4x2)


def test_channels_have_floating_zero_points():
    with pytest.raises(
        TypeError, match=r"quint4x2 per channel takes no zero points that are integers, got torch\.int64"
    ):
        torchq.quantize_per_channel(torch.ones(2, 3), torch.ones(2), torch.zeros(2).long(), 0, torchq.quint4x2)


@needs_torchs
def test_empty_ones_have_torchs_size():
    theirs, mine = (
        library._empty_affine_quantized([3, 5], scale=0.1, zero_point=1, dtype=library.quint4x2)
        for library in (torch, torchq)
    )
    assert mine.int_repr().shape == theirs.int_repr().shape == (8,)
    assert torchq.empty_quantized([2, 2], mine).qdtype is torchq.quint4x2
    with pytest.raises(
        ValueError, match=r"memory_format of a torchq\.quint4x2 QTensor must be torch\.contiguous_format"
    ):
        torchq.empty_quantized([2, 2, 2, 2], mine, memory_format=torch.channels_last)


@pytest.mark.skipif(not hasattr(torch, "quint4x2"), reason="this torch has no quint4x2")
def test_torchs_own_dtype_is_accepted():
    assert torchq.quantize_per_tensor(torch.ones(3), 0.5, 1, torch.quint4x2).qdtype is torchq.quint4x2
    assert per_tensor(torchq).to(torch.quint4x2).qdtype is torchq.quint4x2
    with pytest.raises(TypeError, match=r"a QTensor keeps its dtype, torchq\.quint4x2, got torch\.qint8"):
        per_tensor(torchq).to(torch.qint8)
