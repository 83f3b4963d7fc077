"""Scales and zero points are torch.ao's, bit for bit, for generated data and settings."""

import warnings

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import torchq
from torchq.quantization import observer as torchq_observer

FLOATS = (
    st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.floats(-100, 100, width=32)
    | st.sampled_from([0.0, -0.0, 1e-45])
)
DTYPES = ["quint8", "qint8", "qint32", "quint4x2", "uint8", "int8", "uint16", "int16", "int32"]
PER_TENSOR = ["per_tensor_affine", "per_tensor_symmetric"]
PER_CHANNEL = ["per_channel_affine", "per_channel_symmetric", "per_channel_affine_float_qparams"]
SCHEMES = {
    "MinMaxObserver": PER_TENSOR,
    "MovingAverageMinMaxObserver": PER_TENSOR,
    "PerChannelMinMaxObserver": PER_CHANNEL,
    "MovingAveragePerChannelMinMaxObserver": PER_CHANNEL,
    "HistogramObserver": PER_TENSOR,
}


@st.composite
def batches(draw, floats=FLOATS):
    """One to three batches of the same channels, some of them empty."""
    channels = draw(st.integers(1, 3))
    sizes = draw(st.lists(st.integers(0, 6), min_size=1, max_size=3).filter(any))
    rows = [draw(st.lists(floats, min_size=channels * size, max_size=channels * size)) for size in sizes]
    return [torch.tensor(row).reshape(channels, size) for row, size in zip(rows, sizes, strict=True)]


@st.composite
def arguments(draw, name):
    """Settings that both take."""
    dtype, scheme = draw(st.sampled_from(DTYPES)), draw(st.sampled_from(SCHEMES[name]))
    kwargs = {"eps": draw(st.sampled_from([2.0**-12, torch.finfo(torch.float32).eps, torch.finfo(torch.float32).tiny]))}
    if draw(st.booleans()):
        kwargs |= {"quant_min": 0, "quant_max": draw(st.integers(1, 15))}
    if draw(st.booleans()):
        kwargs["reduce_range"] = True
    if "MovingAverage" in name:
        kwargs["averaging_constant"] = draw(st.sampled_from([0.0, 0.01, 0.3, 1.0]))
    return dtype, scheme, kwargs


def build(torch_ao, name, dtype, scheme, kwargs):
    """The observer of torch.ao and torchq's, or None where torchq refuses the settings."""
    own_dtype = getattr(torchq, dtype, None) or getattr(torch, dtype)
    try:
        ours = getattr(torchq_observer, name)(dtype=own_dtype, qscheme=getattr(torchq, scheme), **kwargs)
    except ValueError:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(torch_ao, name)(dtype=getattr(torch, dtype), qscheme=getattr(torch, scheme), **kwargs), ours


def assert_same_qparams(theirs, ours):
    scale, zero_point = theirs.calculate_qparams()
    if not torch.isfinite(scale).all():
        with pytest.raises(ValueError, match="too wide"):
            ours.calculate_qparams()
        return
    own_scale, own_zero_point = ours.calculate_qparams()
    assert torch.equal(scale, own_scale)
    if ours.qscheme in (torchq.per_tensor_affine, torchq.per_channel_affine):
        # torch.ao computes it in int32, which a zero point beyond half of the 32-bit range overflows.
        overflow = (ours.min_val.clamp(max=0) / own_scale).round() < -(2.0**31)
        zero_point = torch.where(overflow, own_zero_point, zero_point)
    assert torch.equal(zero_point.to(own_zero_point.dtype), own_zero_point)


@pytest.mark.parametrize("name", [name for name in SCHEMES if name != "HistogramObserver"])
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_range_observers(torch_ao, name, data):
    if (pair := build(torch_ao, name, *data.draw(arguments(name)))) is None:
        return
    theirs, ours = pair
    for batch in data.draw(batches()):
        theirs(batch)
        if theirs.min_val.isinf().any() and ours.has_data:
            with pytest.raises(ValueError, match="too far from what it saw before"):
                ours(batch)
            return
        ours(batch)
    if (theirs.min_val > theirs.max_val).any():
        # Averages that rounded past each other, which torch.ao refuses later.
        assert (ours.min_val <= ours.max_val).all()
        return
    assert_same_qparams(theirs, ours)


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_histogram_observer(torch_ao, data):
    # Whole numbers of steps: histc itself depends on how a machine rounds at the edges of bins.
    steps = st.integers(-1000, 1000).map(lambda n: n / 8)
    dtype, scheme, kwargs = data.draw(arguments("HistogramObserver"))
    if (pair := build(torch_ao, "HistogramObserver", dtype, scheme, {**kwargs, "bins": 16})) is None:
        return
    theirs, ours = pair
    for batch in data.draw(batches(steps)):
        ours(batch), theirs(batch)
    assert torch.equal(theirs.histogram, ours.histogram)
    assert_same_qparams(theirs, ours)
