import pytest
import torch
from torch import nn

import torchq
from torchq.quantization import (
    HistogramObserver,
    MinMaxObserver,
    MovingAverageMinMaxObserver,
    PerChannelMinMaxObserver,
    QConfig,
    QConfigDynamic,
    default_dynamic_qconfig,
    default_per_channel_qconfig,
    default_qconfig,
    get_default_qconfig,
    qconfig,
    qconfig_equals,
    quantize_dynamic,
)


def test_default_uses_all_8_bits_and_scales_per_channel():
    qconfig = get_default_qconfig()
    activation, weight = qconfig.activation(), qconfig.weight()
    assert type(activation) is HistogramObserver
    assert (activation.dtype, activation.quant_min, activation.quant_max) == (torchq.quint8, 0, 255)
    assert type(weight) is PerChannelMinMaxObserver
    assert (weight.dtype, weight.qscheme, weight.quant_min) == (torchq.qint8, torchq.per_channel_symmetric, -128)


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


def test_weight_may_be_missing():
    assert QConfig(MinMaxObserver, None).weight is None
    with pytest.raises(TypeError, match="activation must be an observer class"):
        QConfig(None, MinMaxObserver)


def test_dynamic_qconfig_needs_a_weight_only():
    dynamic = QConfigDynamic(weight=default_qconfig.weight)
    assert dynamic.activation is nn.Identity
    model = nn.Sequential(nn.Linear(4, 2))
    expected = quantize_dynamic(model, {nn.Linear: default_dynamic_qconfig})
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(quantize_dynamic(model, {nn.Linear: dynamic})(x), expected(x))


def test_dynamic_qconfig_refuses_an_observer_in_place_of_its_class():
    with pytest.raises(ValueError, match="weight must be an observer class, got an instance of MinMaxObserver"):
        QConfigDynamic(weight=MinMaxObserver())


def factory(**kwargs):
    return HistogramObserver.with_args(**kwargs)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (factory(bins=8, eps=0.5), factory(eps=0.5).with_args(bins=8), True),
        (factory(bins=8), factory(bins=9), False),
        (factory(bins=8), factory(), False),
        (factory(), HistogramObserver, False),
        (HistogramObserver, HistogramObserver, True),
        (MinMaxObserver.with_args(), factory(), False),
        (factory(nested=factory(bins=8)), factory(nested=factory(bins=8)), True),
        (factory(nested=factory(bins=8)), factory(nested=factory(bins=9)), False),
        (factory().with_callable_args(bins=lambda: 1), factory(), True),
    ],
    ids=["same", "value", "missing", "class", "classes", "target", "nested", "nested-value", "callable"],
)
def test_qconfigs_are_equal_if_they_make_the_same_observers(first, second, same):
    assert qconfig.obs_or_fq_ctr_equals(first, second) is same
    assert qconfig_equals(QConfig(first, MinMaxObserver), QConfig(second, MinMaxObserver)) is same
    assert qconfig_equals(QConfig(MinMaxObserver, first), QConfig(MinMaxObserver, second)) is same


def test_only_none_equals_none():
    assert qconfig_equals(None, None)
    assert not qconfig_equals(None, default_qconfig)
    assert not qconfig_equals(default_qconfig, None)


def test_transposed_convolution_takes_one_scale_for_its_weight():
    module = nn.ConvTranspose2d(2, 2, 1)
    for valid in (None, default_qconfig, QConfig(MinMaxObserver, None)):
        qconfig.assert_valid_qconfig(valid, module)
    qconfig.assert_valid_qconfig(default_per_channel_qconfig, nn.Conv2d(2, 2, 1))
    with pytest.raises(ValueError, match="ConvTranspose2d takes one scale for its weight, got a PerChannelMinMax"):
        qconfig.assert_valid_qconfig(default_per_channel_qconfig, module)


@pytest.mark.parametrize(
    ("activation", "memoryless"),
    [
        (MovingAverageMinMaxObserver.with_args(averaging_constant=1), True),
        (MovingAverageMinMaxObserver, False),
        (MinMaxObserver, False),
        (nn.Identity, False),
    ],
)
def test_moving_average_that_forgets_is_memoryless(activation, memoryless):
    assert qconfig.activation_is_memoryless(QConfig(activation, MinMaxObserver)) is memoryless


def test_observers_are_made_where_their_module_is():
    module = nn.Linear(2, 2, device="meta")
    placed = qconfig.add_module_to_qconfig_obs_ctr(QConfig(HistogramObserver, default_qconfig.weight), module)
    assert {buffer.device.type for part in placed for buffer in part().buffers()} == {"meta"}
    module.to_empty(device="cpu")
    assert placed.weight().min_val.device.type == "cpu"


def test_observers_of_a_module_without_tensors_are_made_on_the_default_device():
    placed = qconfig.add_module_to_qconfig_obs_ctr(default_qconfig, nn.ReLU())
    assert placed.activation().min_val.device.type == "cpu"


def test_what_takes_no_device_stays_as_it_is():
    module, identity = nn.Linear(2, 2), QConfig(nn.Identity, None)
    assert qconfig.add_module_to_qconfig_obs_ctr(identity, module) == identity
    assert qconfig.add_module_to_qconfig_obs_ctr(default_dynamic_qconfig, module)[0] is default_dynamic_qconfig[0]
    assert qconfig.add_module_to_qconfig_obs_ctr(None, module) is None
    assert qconfig.add_module_to_qconfig_obs_ctr(default_qconfig, None) is default_qconfig


@pytest.mark.parametrize(
    "name",
    ["activation_is_memoryless", "add_module_to_qconfig_obs_ctr", "assert_valid_qconfig", "obs_or_fq_ctr_equals"],
)
def test_later_names_of_torch_ao_mean_the_same(name):
    assert getattr(qconfig, f"_{name}") is getattr(qconfig, name)
