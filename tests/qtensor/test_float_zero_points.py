"""Zero points that are no integers, a scale and one of them per channel: torch's per_channel_affine_float_qparams."""

import copy
import io
import math

import pytest
import torch

import torchq
from qtensor.compare import HAS_TORCHS, assert_is_torchs

pytestmark = pytest.mark.usefixtures("one_thread")
needs_torchs = pytest.mark.skipif(not HAS_TORCHS, reason="this torch has no quantized tensors to compare with")
# Torch ends with an illegal instruction for qint32.
DTYPES = ["quint8", "qint8", "quint4x2"]


def quantized(library, x, axis, dtype, halves=False):
    source = torch.Generator().manual_seed(1)
    scales = 0.05 + torch.rand(x.shape[axis], generator=source)
    zero_points = 10 * torch.rand(x.shape[axis], generator=source) - 2
    if halves:
        scales, zero_points = (scales * 8).round() / 8 + 0.125, (zero_points * 2).round() / 2
    return library.quantize_per_channel(x, scales, zero_points, axis, getattr(library, dtype))


@needs_torchs
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(6, 8), (5, 33), (4, 3, 7)], ids=str)
def test_integers_and_values_are_torchs(shape, dtype, axis):
    x = 10 * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    theirs, mine = (quantized(library, x, axis, dtype) for library in (torch, torchq))
    assert_is_torchs(mine, theirs)
    assert torch.equal(mine.dequantize(), theirs.dequantize())


@needs_torchs
@pytest.mark.parametrize("dtype", DTYPES)
def test_ties_are_torchs(dtype):
    x = torch.randint(-80, 80, (6, 40), generator=torch.Generator().manual_seed(0)) / 16
    theirs, mine = (quantized(library, x, 0, dtype, halves=True) for library in (torch, torchq))
    assert_is_torchs(mine, theirs)


@pytest.mark.parametrize("dtype", DTYPES)
def test_integers_saturate_and_nan_becomes_qmax(dtype):
    x = torch.tensor([[math.nan, math.inf, -math.inf, 1e30, -1e30]])
    q = torchq.quantize_per_channel(x, torch.tensor([0.5]), torch.tensor([1.5]), 0, getattr(torchq, dtype))
    low, high = ((bound - 1.5) * 0.5 for bound in (q.qdtype.qmin, q.qdtype.qmax))
    assert q.dequantize().tolist() == [[high, high, low, high, low]]


def test_layout_is_the_inputs():
    x = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    q = quantized(torchq, x, 1, "quint8")
    assert q.stride() == x.stride()
    assert torch.equal(q, quantized(torchq, x.contiguous(), 1, "quint8"))


def test_parameters_are_float32_whatever_was_given():
    q = torchq.quantize_per_channel(
        torch.ones(2, 3), torch.tensor([0.1, 0.2]).double(), torch.tensor([0.5, 1.5]).half(), 0, torchq.quint8
    )
    assert q.q_per_channel_scales().dtype == q.q_per_channel_zero_points().dtype == torch.float32
    assert q.qscheme() is torchq.per_channel_affine_float_qparams


@needs_torchs
@pytest.mark.parametrize("dtype", DTYPES)
def test_prints_as_torch_prints(dtype):
    x = torch.linspace(-3, 4, 24).reshape(6, 4)
    theirs, mine = (repr(quantized(library, x, 0, dtype)).partition("(")[2].split() for library in (torch, torchq))
    assert "".join(mine).replace("torchq.", "torch.") == "".join(theirs)


@pytest.mark.parametrize("dtype", DTYPES)
def test_copies_are_equal(dtype):
    q = quantized(torchq, torch.randn(6, 5), 0, dtype)
    file = io.BytesIO()
    torch.save(q, file)
    file.seek(0)
    with torchq.no_float_fallback():
        for duplicate in (
            torch.load(file, weights_only=True),
            copy.deepcopy(q),
            copy.copy(q),
            q.clone(),
            q.detach(),
            q.contiguous(),
            q.to("cpu", copy=True),
            q.cpu(),
        ):
            assert type(duplicate) is type(q)
            assert torch.equal(duplicate, q)
            assert duplicate.has_qparams_of(q)


def test_rows_keep_their_parameters():
    q = quantized(torchq, torch.randn(6, 5), 0, "quint8")
    with torchq.no_float_fallback():
        rows = q[1:5:2]
        picked = q[torch.tensor([3, 0, 3])]
    assert torch.equal(rows.q_per_channel_zero_points(), q.q_per_channel_zero_points()[1:5:2])
    assert torch.equal(rows.dequantize(), q.dequantize()[1:5:2])
    assert torch.equal(picked.dequantize(), q.dequantize()[[3, 0, 3]])


def test_one_row_is_float_since_no_integer_is_its_zero_point():
    q = quantized(torchq, torch.randn(6, 5), 0, "quint8")
    assert torch.equal(q[1], q.dequantize()[1])
    with torchq.no_float_fallback(), pytest.raises(RuntimeError, match="forbidden"):
        q[1]
    with pytest.raises(RuntimeError, match="set in a slice of it where zero points are floating"):
        q[1] = 1.0


def test_values_are_written_by_its_own_rule():
    q = quantized(torchq, torch.randn(6, 5), 0, "quint8")
    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(3))
    expected = quantized(torchq, x, 0, "quint8")
    assert torch.equal(q.clone().copy_(x), expected)
    q[2:4] = x[2:4]
    assert torch.equal(q[2:4], expected[2:4])
    assert torch.equal(torch.full_like(q, 1.5), q.clone().copy_(torch.full((6, 5), 1.5)))


def test_equal_integers_of_another_scheme_are_not_equal():
    data = torch.arange(4, dtype=torch.uint8).reshape(2, 2)
    ones, zeros = torch.ones(2), torch.zeros(2)
    floating, whole = torchq.QTensor(data, ones, zeros, 0), torchq.QTensor(data, ones.double(), zeros.long(), 0)
    assert not torch.equal(floating, whole)
    with pytest.raises(RuntimeError, match="copy_ needs the QTensor's own dtype and scheme"):
        floating.copy_(whole)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scales": torch.tensor([0.1, 0.0])}, r"scale must be finite and above 0.*got 0\.0"),
        ({"zero_points": torch.tensor([0.1, math.nan])}, "zero points must be finite, got nan"),
        ({"zero_points": torch.ones(3)}, r"must have shape \(2,\)"),
    ],
    ids=["scale", "zero-point", "count"],
)
def test_parameters_are_checked(change, message):
    given = {"scales": torch.tensor([0.1, 0.2]), "zero_points": torch.tensor([0.5, 1.5]), **change}
    with pytest.raises(ValueError, match=message):
        torchq.quantize_per_channel(torch.ones(2, 3), **given, axis=0, dtype=torchq.quint8)


def test_weights_of_modules_have_integer_zero_points():
    weight = quantized(torchq, torch.randn(4, 8), 0, "qint8")
    with pytest.raises(TypeError, match=r"zero_points must be integers, got torch\.float32"):
        torchq.nn.quantized.Linear(8, 4).set_weight_bias(weight, None)
