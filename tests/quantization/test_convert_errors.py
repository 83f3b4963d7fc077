"""Qconfigs whose observers do not fit a quantized module are errors that name the module."""

import pytest
import torch
from torch import nn

import torchq
from torchq.quantization import (
    FixedQParamsObserver,
    MinMaxObserver,
    PerChannelMinMaxObserver,
    PlaceholderObserver,
    QConfig,
    QuantStub,
    convert,
    default_debug_observer,
    default_observer,
    default_per_channel_weight_observer,
    default_weight_observer,
    prepare,
)

FLOAT_QPARAMS = PerChannelMinMaxObserver.with_args(qscheme=torchq.per_channel_affine_float_qparams)


def converted(activation, weight):
    model = nn.Sequential(QuantStub(QConfig(default_observer, None)), nn.Linear(2, 2)).eval()
    model[1].qconfig = QConfig(activation, weight)
    prepared = prepare(model)
    prepared(torch.ones(1, 2))
    return convert(prepared)


@pytest.mark.parametrize(
    ("activation", "message"),
    [
        (
            MinMaxObserver.with_args(is_dynamic=True),
            "MinMaxObserver is dynamic, but a static module's qparams are fixed",
        ),
        (PlaceholderObserver.with_args(is_dynamic=True), "PlaceholderObserver is dynamic"),
        (PlaceholderObserver.with_args(dtype=torch.float16), "PlaceholderObserver of '1' records no range"),
        (default_debug_observer, "RecordingObserver of '1' records no range"),
        (MinMaxObserver.with_args(dtype=torch.uint8), r"expected one of torchq\.quint8, .*got torch\.uint8"),
        (
            default_per_channel_weight_observer.with_args(ch_axis=1),
            "one scale and an integer zero point per tensor, .* gives 2",
        ),
        (FLOAT_QPARAMS.with_args(ch_axis=0), r"gives 1 and torch\.float32"),
    ],
    ids=["dynamic", "placeholder", "float16", "debug", "plain-dtype", "per-channel", "float-qparams"],
)
def test_observer_without_one_fixed_scale_and_zero_point_is_an_error(activation, message):
    with pytest.raises((RuntimeError, TypeError, ValueError), match=f"cannot convert '1': .*{message}"):
        converted(activation, default_weight_observer)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (None, "Linear has a weight, but its qconfig's weight is None"),
        (nn.Identity, "weights need an observer, the qconfig's weight gives a Identity"),
        (FLOAT_QPARAMS, r"weights must be observed with dtype torchq\.qint8, got torchq\.quint8"),
        (FLOAT_QPARAMS.with_args(dtype=torchq.qint8, quant_min=0, quant_max=127), "weights take integer zero points"),
    ],
    ids=["none", "no-observer", "dtype", "float-qparams"],
)
def test_weight_without_a_fitting_observer_is_an_error(weight, message):
    with pytest.raises((TypeError, ValueError), match=f"cannot convert '1': {message}"):
        converted(default_observer, weight)


def test_fixed_qparams_become_those_of_the_module():
    stub = QuantStub(QConfig(FixedQParamsObserver.with_args(scale=0.25, zero_point=3), None))
    quantize = convert(prepare(nn.Sequential(stub)))[0]
    assert (quantize.scale, quantize.zero_point) == (0.25, 3)
