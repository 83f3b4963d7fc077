"""Means and deviations: exact sums of the integers and one rounding, whatever the layout."""

import pytest
import torch

import torchq
from qtensor.compare import HAS_TORCHS

DIMS = [(0,), (1,), (-1,), (0, 2), (1, 3), (2, 3), (1, 2, 3), (0, 1, 2, 3)]
STORAGES = {"quint8": torch.uint8, "qint8": torch.int8, "qint32": torch.int32}
pytestmark = pytest.mark.usefixtures("one_thread")


def integers(name, layout=torch.contiguous_format):
    low = max(torch.iinfo(STORAGES[name]).min, -128)
    source = torch.Generator().manual_seed(0)
    return torch.randint(low, low + 256, (2, 6, 4, 8), generator=source).to(STORAGES[name], memory_format=layout)


def count(dims):
    return torch.ones(2, 6, 4, 8).sum(dims).flatten()[0].int().item()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels-last"])
@pytest.mark.parametrize("dims", DIMS, ids=str)
@pytest.mark.parametrize("name", STORAGES)
def test_mean_is_the_rounded_mean_of_the_integers(name, dims, layout):
    ints = integers(name, layout)
    with torchq.no_float_fallback():
        mean = torchq.QTensor(ints, 0.05, 7).mean(dims)
    expected = torch.round(ints.double().sum(dims) / count(dims))  # exact sums; quotients with ties kept exact
    assert (mean.q_scale(), mean.q_zero_point()) == (0.05, 7)
    assert torch.equal(mean.int_repr(), expected.to(ints.dtype))


@pytest.mark.parametrize("dims", DIMS, ids=str)
@pytest.mark.parametrize("correction", [0, 1, 1.5])
@pytest.mark.parametrize("name", STORAGES)
def test_deviation_is_that_of_the_values(name, correction, dims):
    ints = integers(name)
    with torchq.no_float_fallback():
        deviation = torchq.QTensor(ints, 0.05, 7).std(dims, correction=correction)
    expected = torchq.quantize_per_tensor(
        (ints.double() * 0.05).std(dims, correction=correction), 0.05, 7, getattr(torchq, name)
    )
    # The last bit of a float64 decides where the deviation is halfway between two integers, which none is here.
    assert torch.equal(deviation.int_repr(), expected.int_repr())


@pytest.mark.skipif(not HAS_TORCHS, reason="this torch has no quantized tensors to compare with")
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels-last"])
@pytest.mark.parametrize("dims", DIMS, ids=str)
@pytest.mark.parametrize("function", [torch.mean, torch.std], ids=["mean", "std"])
def test_over_other_dimensions_torch_is_at_most_one_apart(function, dims, layout):
    """There torch sums dequantized values in float32, in an order that goes by layout, threads and CPU."""
    ints = integers("quint8", layout)
    theirs = function(torch._make_per_tensor_quantized_tensor(ints, 0.05, 100), dims).int_repr().int()
    mine = function(torchq.QTensor(ints, 0.05, 100), dims).int_repr().int()
    assert (mine - theirs).abs().max() <= 1
    if function is torch.mean:
        exact = ints.double().mean(dims)
        tied = (exact - exact.floor() - 0.5).abs() < 1e-3
        assert torch.equal(mine[~tied], theirs[~tied])


@pytest.mark.skipif(not HAS_TORCHS, reason="this torch has no quantized tensors to compare with")
def test_deviations_at_ties_are_torchs():
    """Of two values, not corrected: half their difference."""
    for scale in torch.linspace(0.001, 0.3, 50, dtype=torch.float64).tolist():
        pairs = torch.stack([torch.arange(256), torch.arange(256).flip(0)], 1).to(torch.uint8)
        theirs = torch._make_per_tensor_quantized_tensor(pairs, scale, 0).std(-1, correction=0)
        mine = torchq._make_per_tensor_quantized_tensor(pairs, scale, 0).std(-1, correction=0)
        assert torch.equal(mine.int_repr(), theirs.int_repr())


def test_sums_of_large_integers_do_not_overflow():
    low, high = torch.iinfo(torch.int32).min, torch.iinfo(torch.int32).max
    ints = torch.tensor([[low] * 7, [high] * 7, [low, high] * 3 + [high]], dtype=torch.int32)
    q = torchq.QTensor(ints, 1e-9, 0)
    # In float32, as torch has it: 2**31 - 1 becomes 2**31, which saturates.
    assert q.mean(1).int_repr().tolist() == [low, high, 306783392]
    assert q.std(1, correction=0).int_repr().tolist()[:2] == [0, 0]


def test_sums_of_many_bytes_do_not_overflow():
    q = torchq.QTensor(torch.full((9_000_000,), 255, dtype=torch.uint8), 0.1, 0)
    assert q.mean().int_repr().item() == 255
    assert q.std().int_repr().item() == 0


def test_nothing_to_reduce_gives_qmax():
    q = torchq.quantize_per_tensor(torch.ones(0, 3), 0.1, 10, torchq.quint8)
    assert q.mean(0).int_repr().tolist() == [255, 255, 255]
    assert q.mean(1).shape == (0,)
    assert q.std(0).int_repr().tolist() == [255, 255, 255]
    assert torchq.quantize_per_tensor(torch.ones(1), 0.1, 10, torchq.quint8).std().int_repr().item() == 255


def test_a_scalar_has_a_mean():
    q = torchq.quantize_per_tensor(torch.tensor(1.5), 0.1, 10, torchq.quint8)
    assert q.mean().item() == q.mean(0).item() == q.mean(-1).item() == 1.5


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16], ids=str)
def test_means_of_another_dtype_are_plain(dtype):
    q = torchq.quantize_per_tensor(torch.ones(2, 3), 0.1, 10, torchq.quint8)
    assert torch.equal(q.mean(1, dtype=dtype), q.dequantize().mean(1, dtype=dtype))
