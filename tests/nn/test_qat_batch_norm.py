"""Batch norm that is folded into a fake-quantized weight while it learns."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import torchq.quantization
from nn.qat_modules import MODULES, WITH_BATCH_NORM, float_module, qconfig_for
from torchq.nn.intrinsic import qat
from torchq.quantization import get_default_qat_qconfig


def made(key):
    """The float container and the module for training that is made of a copy of it."""
    module = float_module(key, qconfig_for(key, torchq.quantization))
    return module, MODULES[key][0].from_float(copy.deepcopy(module))


def along_channels(values, x):
    return values.reshape(1, -1, *[1] * (x.dim() - 2))


@pytest.mark.parametrize("key", WITH_BATCH_NORM)
def test_fake_quantizes_the_weight_scaled_by_the_running_statistics(key):
    (layer, bn, *_), trained = made(key)
    trained(MODULES[key][2])
    factor = bn.weight / (bn.running_var + bn.eps).sqrt()
    scaled = (layer.weight.flatten(1) * factor[:, None]).view_as(layer.weight)
    watched = qconfig_for(key, torchq.quantization).weight()
    watched(scaled)
    assert torch.equal(trained.weight_fake_quant.scale, watched.scale)


@pytest.mark.parametrize("key", WITH_BATCH_NORM)
def test_normalizes_what_the_layer_gives_with_the_rounded_weight(key):
    (layer, bn, *relu), trained = made(key)
    x = MODULES[key][2]
    output = trained(x)
    factor = (bn.weight / (bn.running_var + bn.eps).sqrt()).detach()
    rounded = trained.weight_fake_quant((layer.weight.flatten(1) * factor[:, None]).view_as(layer.weight))
    bias, layer.bias = layer.bias, None
    layer.weight = nn.Parameter(rounded.detach())
    plain = layer(x)
    expected = bn(plain / along_channels(factor, plain) + along_channels(bias, plain))
    torch.testing.assert_close(output, relu[0](expected) if relu else expected, rtol=0, atol=0)
    # Batch norm learned its statistics from that, and not from the scaled output.
    assert torch.equal(trained.bn.running_mean, bn.running_mean)
    assert torch.equal(trained.bn.running_var, bn.running_var)
    assert trained.bn.num_batches_tracked == 1


@pytest.mark.parametrize("key", WITH_BATCH_NORM)
def test_folded_weight_and_bias_give_the_output_in_eval_mode(key):
    _, trained = made(key)
    x = MODULES[key][2]
    trained(x)
    trained.eval().weight_fake_quant.disable_observer()
    weight, bias = trained.folded_weight_bias()
    rounded = trained.weight_fake_quant(weight)
    multiply = F.linear if weight.dim() == 2 else getattr(F, f"conv{weight.dim() - 2}d")
    arguments = () if weight.dim() == 2 else (2, 1, 1, 2)
    expected = multiply(x, rounded, bias, *arguments)
    # One scaling more and less of sums over at most 54 products of a few units.
    torch.testing.assert_close(trained(x), expected.relu() if "ReLU" in key else expected, rtol=0, atol=54 * 4 * 2**-23)


@pytest.mark.parametrize("key", WITH_BATCH_NORM)
def test_gradient_reaches_batch_norm(key):
    _, trained = made(key)
    trained(MODULES[key][2]).square().sum().backward()
    assert trained.bn.weight.grad.abs().sum() > 0
    assert trained.bn.bias.grad.abs().sum() > 0


@pytest.mark.parametrize("key", WITH_BATCH_NORM)
def test_frozen_statistics_stay_and_are_used_in_training_mode(key):
    _, trained = made(key)
    model = nn.Sequential(trained).train()
    x = MODULES[key][2]
    model.apply(qat.freeze_bn_stats)
    before = trained.bn.running_mean.clone()
    frozen = model.train()(x)
    assert torch.equal(trained.bn.running_mean, before)
    trained.weight_fake_quant.disable_observer()
    assert torch.equal(model.eval()(x), frozen)
    model.apply(qat.update_bn_stats)
    model.train()(x)
    assert not torch.equal(trained.bn.running_mean, before)


def test_statistics_released_in_eval_mode_wait_for_training():
    module = qat.ConvBn2d(3, 4, 3, freeze_bn=True, qconfig=get_default_qat_qconfig())
    assert (module.training, module.bn.training) == (True, False)
    module.eval().update_bn_stats()
    assert not module.bn.training
    assert module.train().bn.training


def test_other_modules_have_no_statistics_to_freeze():
    model = nn.Sequential(nn.BatchNorm2d(3))
    model.apply(qat.freeze_bn_stats)
    assert model[0].training


def test_reset_begins_anew():
    module = qat.ConvBn2d(3, 4, 3, qconfig=get_default_qat_qconfig())
    module(torch.randn(2, 3, 5, 5))
    module.reset_running_stats()
    assert module.bn.running_mean.tolist() == [0.0] * 4
    module.bn.bias.data.fill_(7.0)
    module.reset_bn_parameters()
    assert module.bn.bias.tolist() == [0.0] * 4
    assert 0 <= module.bn.weight.min() <= module.bn.weight.max() < 1


def test_settings_of_batch_norm_are_kept():
    module = qat.ConvBnReLU1d(3, 4, 3, eps=0.25, momentum=0.5, qconfig=get_default_qat_qconfig())
    assert (module.bn.eps, module.bn.momentum, module.bias) == (0.25, 0.5, None)
    assert qat.LinearBn1d(3, 4, eps=0.25, qconfig=get_default_qat_qconfig()).bn.eps == 0.25


def test_channel_with_weight_0_is_an_error_at_the_next_observer():
    module = qat.ConvBn2d(3, 4, 3, qconfig=get_default_qat_qconfig())
    module.bn.weight.data[0] = 0
    output = module(torch.randn(2, 3, 5, 5))
    with pytest.raises(ValueError, match="saw NaN"):
        get_default_qat_qconfig().activation()(output)


@pytest.mark.parametrize("arguments", [{"affine": False}, {"track_running_stats": False}], ids=str)
def test_batch_norm_that_cannot_be_folded_is_an_error(arguments):
    module = torchq.nn.intrinsic.ConvBn2d(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, **arguments))
    module.qconfig = get_default_qat_qconfig()
    with pytest.raises(ValueError, match="ConvBn2d takes a batch norm with affine=True and track_running_stats=True"):
        qat.ConvBn2d.from_float(module)
