"""Scales and zero points are torch.ao's, bit for bit, on data that is awkward in one way each."""

import itertools
import warnings

import pytest
import torch

import torchq
from torchq.quantization import histogram_observer
from torchq.quantization import observer as torchq_observer


def normal(seed, *size):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


BATCHES = {
    "normal": [normal(0, 4, 8, 50), 2 * normal(1, 4, 8, 50), 0.5 * normal(2, 4, 8, 50)],
    "growing": [normal(i, 4, 250) * scale for i, scale in enumerate((1e-3, 1.0, 10.0, 100.0))],
    "constant": [torch.full((2, 5), 3.0)],
    "two-constants": [torch.full((2, 5), -3.0), torch.full((2, 5), 2.0)],
    "zeros": [torch.zeros(2, 50)],
    "zeros-then-normal": [torch.zeros(2, 50), normal(0, 2, 25)],
    "negative": [-normal(0, 4, 250).abs() - 1, -normal(1, 4, 75).abs()],
    "relu": [normal(0, 4, 1250).relu(), 2 * normal(1, 4, 1250).relu()],
    "huge": [normal(0, 4, 250) * 5e36],
    "tiny": [normal(0, 4, 250) * 1e-30],
    "denormal": [normal(0, 4, 250) * 1e-40, normal(1, 4, 250) * 1e-38],
    "outliers": [torch.cat([normal(0, 1, 20000), torch.tensor([[80.0]])], 1), -200 * normal(1, 1, 2).abs()],
    "one-value": [torch.tensor([[5.0]])],
    "two-values": [torch.tensor([[0.0, 1.0]])],
    "heavy-tailed": [normal(i, 4, 5000) / normal(i + 9, 4, 5000) for i in range(3)],
    "skewed": [normal(i, 4, 5000).exp() for i in range(2)],
    "sparse": [normal(0, 4, 5000) * (normal(1, 4, 5000) > 3)],
    "few-levels": [(normal(0, 4, 5000) > 0) * 7.0],
}
PER_TENSOR = ["per_tensor_affine", "per_tensor_symmetric"]
PER_CHANNEL = ["per_channel_affine", "per_channel_symmetric", "per_channel_affine_float_qparams"]
RANGES = {"whole": {}, "reduced": {"reduce_range": True}, "custom": {"quant_min": 0, "quant_max": 100}}


def settings(schemes):
    """All combinations that make sense of dtype, scheme and range."""
    return [
        pytest.param(dtype, scheme, RANGES[name], id=f"{dtype}-{scheme}-{name}")
        for dtype, scheme, name in itertools.product(("quint8", "qint8"), schemes, RANGES)
        if not (dtype == "quint8" and scheme.endswith("symmetric") and name == "reduced")
        if not (dtype == "qint8" and scheme.endswith("float_qparams") and name != "custom")
    ]


def both(torch_ao, name, dtype, scheme, **kwargs):
    """The observer of torch.ao and torchq's, with the same settings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = getattr(torch_ao.observer, name)(dtype=getattr(torch, dtype), qscheme=getattr(torch, scheme), **kwargs)
    own_dtype = getattr(torchq, dtype, None) or getattr(torch, dtype)
    ours = getattr(torchq_observer, name)(dtype=own_dtype, qscheme=getattr(torchq, scheme), **kwargs)
    return theirs, ours


def assert_same_qparams(theirs, ours):
    (scale, zero_point), (own_scale, own_zero_point) = theirs.calculate_qparams(), ours.calculate_qparams()
    assert torch.equal(scale, own_scale)
    assert zero_point.is_floating_point() == own_zero_point.is_floating_point()
    assert torch.equal(zero_point.to(own_zero_point.dtype), own_zero_point)


@pytest.mark.parametrize("batches", list(BATCHES.values()), ids=list(BATCHES))
@pytest.mark.parametrize("name", ["MinMaxObserver", "MovingAverageMinMaxObserver"])
@pytest.mark.parametrize(("dtype", "scheme", "kwargs"), settings(PER_TENSOR))
def test_range_observers(torch_ao, name, dtype, scheme, kwargs, batches):
    theirs, ours = both(torch_ao, name, dtype, scheme, **kwargs)
    for batch in batches:
        theirs(batch), ours(batch)
    assert_same_qparams(theirs, ours)


@pytest.mark.parametrize("batches", list(BATCHES.values()), ids=list(BATCHES))
@pytest.mark.parametrize("ch_axis", [0, 1])
@pytest.mark.parametrize("name", ["PerChannelMinMaxObserver", "MovingAveragePerChannelMinMaxObserver"])
@pytest.mark.parametrize(("dtype", "scheme", "kwargs"), settings(PER_CHANNEL))
def test_per_channel_observers(torch_ao, name, ch_axis, dtype, scheme, kwargs, batches):
    theirs, ours = both(torch_ao, name, dtype, scheme, ch_axis=ch_axis, **kwargs)
    for batch in (batch for batch in batches if batch.shape[ch_axis] == batches[0].shape[ch_axis]):
        theirs(batch), ours(batch)
    assert_same_qparams(theirs, ours)


@pytest.mark.parametrize("scheme", PER_TENSOR)
@pytest.mark.parametrize("dtype", ["qint32", "uint8", "int8", "uint16", "int16", "int32"])
def test_other_dtypes(torch_ao, dtype, scheme):
    theirs, ours = both(torch_ao, "MinMaxObserver", dtype, scheme)
    theirs(BATCHES["normal"][0]), ours(BATCHES["normal"][0])
    assert_same_qparams(theirs, ours)


@pytest.mark.parametrize("scheme", ["per_channel_affine", "per_channel_affine_float_qparams"])
def test_4_bits(torch_ao, scheme):
    theirs, ours = both(torch_ao, "PerChannelMinMaxObserver", "quint4x2", scheme)
    theirs(BATCHES["normal"][0]), ours(BATCHES["normal"][0])
    assert_same_qparams(theirs, ours)


@pytest.mark.parametrize("batches", list(BATCHES.values()), ids=list(BATCHES))
@pytest.mark.parametrize(("dtype", "reduce_range"), [("quint8", False), ("qint8", True)])
def test_histogram_observer(torch_ao, dtype, reduce_range, batches):
    theirs, ours = both(torch_ao, "HistogramObserver", dtype, "per_tensor_affine", reduce_range=reduce_range)
    for batch in batches:
        theirs(batch), ours(batch)
        assert torch.equal(theirs.histogram, ours.histogram)
    assert_same_qparams(theirs, ours)


@pytest.mark.parametrize("scheme", PER_TENSOR)
@pytest.mark.parametrize("dtype", ["qint8", "int16", "uint16", "qint32"])
def test_histogram_observer_of_other_dtypes(torch_ao, dtype, scheme):
    theirs, ours = both(torch_ao, "HistogramObserver", dtype, scheme, bins=64, eps=2**-12)
    for batch in BATCHES["outliers"]:
        theirs(batch), ours(batch)
    assert_same_qparams(theirs, ours)


@pytest.mark.parametrize("seed", range(20))
def test_histogram_search_on_random_histograms(torch_ao, seed):
    generator = torch.Generator().manual_seed(seed)
    theirs, ours = both(torch_ao, "HistogramObserver", "quint8", "per_tensor_affine", bins=64)
    tails = torch.rand(64, generator=generator) ** (1 + seed)
    state = {
        "eps": ours.eps,
        "histogram": (tails * 10 ** (seed % 7)).round() * (tails > seed / 40),
        "min_val": -torch.rand((), generator=generator),
        "max_val": torch.rand((), generator=generator) * 3,
    }
    theirs.load_state_dict(state)
    ours.load_state_dict(state)
    assert_same_qparams(theirs, ours)


def test_histogram_search_evaluates_the_same_candidates_in_any_batch_size(monkeypatch):
    observer = torchq_observer.HistogramObserver()
    observer(BATCHES["tiny"][0])
    expected = observer.calculate_qparams()
    monkeypatch.setattr(histogram_observer, "_CANDIDATES_PER_BATCH", 3)
    assert torch.equal(observer.calculate_qparams()[0], expected[0])
