import pytest

import torchq
from torchq.quantization import (
    HistogramObserver,
    MinMaxObserver,
    PerChannelMinMaxObserver,
    QConfig,
    get_default_qconfig,
)


def test_default_uses_all_8_bits_and_scales_per_channel():
    qconfig = get_default_qconfig()
    activation, weight = qconfig.activation(), qconfig.weight()
    assert type(activation) is HistogramObserver
    assert (activation.dtype, activation.quant_min, activation.quant_max) == (torchq.quint8, 0, 255)
    assert type(weight) is PerChannelMinMaxObserver
    assert (weight.dtype, weight.qscheme, weight.quant_min) == (torchq.qint8, torchq.per_channel_symmetric, -128)


@pytest.mark.parametrize("backend", ["fbgemm", "x86", "onednn", "qnnpack"])
@pytest.mark.parametrize("role", ["activation", "weight"])
def test_backend_means_the_settings_of_torch_ao(torch_ao, backend, role):
    theirs = getattr(torch_ao.get_default_qconfig(backend), role)()
    ours = getattr(get_default_qconfig(backend), role)()
    assert type(ours).__name__ == type(theirs).__name__
    assert (ours.quant_min, ours.quant_max, ours.eps) == (theirs.quant_min, theirs.quant_max, theirs.eps)
    assert (ours.dtype, ours.qscheme) == (
        torchq.dtypes.as_qdtype(theirs.dtype),
        torchq.dtypes.as_qscheme(theirs.qscheme),
    )


def test_refuses_an_unknown_backend():
    with pytest.raises(ValueError, match="one of 'fbgemm', 'x86', 'onednn', 'qnnpack', got 'cudnn'"):
        get_default_qconfig("cudnn")


def test_refuses_an_unknown_version():
    with pytest.raises(ValueError, match="version must be 0, got 1"):
        get_default_qconfig(version=1)


def test_refuses_an_observer_in_place_of_its_class():
    with pytest.raises(ValueError, match="weight must be an observer class, got an instance of MinMaxObserver"):
        QConfig(activation=MinMaxObserver, weight=MinMaxObserver())


def test_refuses_what_makes_no_observer():
    with pytest.raises(TypeError, match="activation must be an observer class or what its with_args returned, got 'a'"):
        QConfig("a", "b")
