"""Modules for quantization-aware training, from and to float."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import torchq.quantization
from nn.qat_modules import EMBEDDINGS, MODULES, WITH_BATCH_NORM, WITHOUT_BATCH_NORM, float_module, qconfig_for
from torchq.nn import intrinsic, qat
from torchq.nn.intrinsic import qat as intrinsic_qat
from torchq.quantization import (
    FakeQuantize,
    default_embedding_qat_qconfig_4bit,
    default_qat_qconfig,
    disable_fake_quant,
    get_default_qat_qconfig,
    prepare_qat,
)


def made(key, qconfig=None):
    """The float module and the one for training that is made of it."""
    module = float_module(key, qconfig or qconfig_for(key, torchq.quantization))
    return module, MODULES[key][0].from_float(module)


@pytest.mark.parametrize("key", WITHOUT_BATCH_NORM)
def test_computes_with_the_fake_quantized_weight(key):
    module, trained = made(key)
    weighted = module[0] if isinstance(module, intrinsic.FusedModule) else module
    x = MODULES[key][2]
    output = trained(x)
    trained.weight_fake_quant.disable_observer()
    weighted.weight = nn.Parameter(trained.weight_fake_quant(weighted.weight).detach())
    assert torch.equal(output, module(x))


@pytest.mark.parametrize("key", MODULES)
def test_computes_what_the_float_module_does_without_fake_quantization(key):
    module, trained = made(key)
    x = MODULES[key][2]
    output, expected = trained.apply(disable_fake_quant)(x), module(x)
    # Batch norm is folded into the weight and taken out again: a product and a division more, before sums over up to
    # 54 products of a few units each.
    tolerance = 54 * 4 * 2**-23 if key in WITH_BATCH_NORM else 0
    torch.testing.assert_close(output, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("key", MODULES)
def test_gradient_reaches_the_float_weight(key):
    _, trained = made(key)
    trained(MODULES[key][2]).square().sum().backward()
    assert trained.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("key", MODULES)
def test_keeps_the_parameters_of_the_float_module(key):
    module, trained = made(key)
    assert {id(parameter) for parameter in trained.parameters()} == {id(parameter) for parameter in module.parameters()}
    expected = {id(buffer) for buffer in module.buffers()}
    assert expected <= {id(buffer) for buffer in trained.buffers()}


@pytest.mark.parametrize("key", MODULES)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_keeps_the_mode_of_the_float_module(key, training):
    module = float_module(key, qconfig_for(key, torchq.quantization)).train(training)
    trained = MODULES[key][0].from_float(module)
    assert all(part.training == training for part in trained.modules())
    assert all(part.training == training for part in trained.to_float().modules())


@pytest.mark.parametrize("key", MODULES)
def test_goes_back_to_a_float_module_of_its_own(key):
    module, trained = made(key)
    module.eval(), trained.eval()
    x = MODULES[key][2]
    back = trained.to_float()
    folded = key in WITH_BATCH_NORM
    assert folded or type(back) is type(module)
    # See above.
    torch.testing.assert_close(back(x), module(x), rtol=0, atol=54 * 4 * 2**-23 if folded else 0)
    assert not {tensor.data_ptr() for tensor in back.parameters()} & {t.data_ptr() for t in trained.parameters()}


def test_float_form_of_a_folded_batch_norm_with_relu_is_a_container():
    _, trained = made("intrinsic.qat.ConvBnReLU2d")
    assert type(trained.to_float()) is intrinsic.ConvReLU2d
    _, trained = made("intrinsic.qat.LinearBn1d")
    assert type(trained.to_float()) is nn.Linear


@pytest.mark.parametrize("key", MODULES)
def test_without_qconfig_is_an_error(key):
    module, _ = made(key)
    module.qconfig = None
    with pytest.raises(ValueError, match="has no qconfig"):
        MODULES[key][0].from_float(module)


@pytest.mark.parametrize("key", MODULES)
def test_another_module_is_an_error(key):
    expected = MODULES[key][0].float_type.__name__
    with pytest.raises(TypeError, match=rf"from_float takes {expected}, got Tanh"):
        MODULES[key][0].from_float(nn.Tanh())


@pytest.mark.parametrize(
    "make",
    [
        lambda: qat.Conv2d(3, 4, 3),
        lambda: qat.Linear(3, 4),
        lambda: qat.Embedding(3, 4),
        lambda: intrinsic_qat.ConvBn1d(3, 4, 3),
        lambda: intrinsic_qat.LinearBn1d(3, 4),
    ],
)
def test_made_without_qconfig_is_an_error(make):
    with pytest.raises(ValueError, match=r"takes a qconfig, such as get_default_qat_qconfig\(\), got None"):
        make()


@pytest.mark.parametrize("key", EMBEDDINGS)
def test_embedding_wants_float_qparams(key):
    with pytest.raises(ValueError, match=r"per_channel_affine_float_qparams, .* got torchq\.per_tensor_symmetric"):
        made(key, default_qat_qconfig)


@pytest.mark.parametrize("key", EMBEDDINGS)
def test_embedding_of_4_bits_has_16_values_a_row(key):
    _, trained = made(key, default_embedding_qat_qconfig_4bit)
    weight = trained.weight_fake_quant(torch.linspace(-1, 2, 100).repeat(7, 1))
    assert [len(row.unique()) for row in weight] == [16] * 7


def test_bags_take_offsets_and_weights():
    _, trained = made("qat.EmbeddingBag")
    bag = torch.tensor([0, 2, 3]), torch.tensor([0, 2]), torch.tensor([1.0, 2.0, 3.0])
    output = trained(*bag)
    weight = trained.weight_fake_quant(trained.weight)
    indices, offsets, weights = bag
    expected = F.embedding_bag(indices, weight, offsets, mode="sum", per_sample_weights=weights, padding_idx=1)
    assert torch.equal(output, expected)


def test_dynamic_layer_wants_an_observer_without_memory():
    with pytest.raises(ValueError, match=r"averaging_constant=1, got FakeQuantize with 0\.01"):
        qat.dynamic.Linear(3, 4, qconfig=default_qat_qconfig)


def test_weight_is_made_in_the_given_dtype():
    module = qat.Conv2d(3, 4, 3, qconfig=get_default_qat_qconfig(), dtype=torch.bfloat16)
    assert module(torch.randn(1, 3, 5, 5, dtype=torch.bfloat16)).dtype is torch.bfloat16
    assert module.weight_fake_quant.scale.dtype is torch.float32


def test_parametrization_moves_along():
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)))
    model.qconfig = get_default_qat_qconfig()
    expected = model[0].weight
    trained = prepare_qat(model)[0]
    assert type(trained).__mro__[1] is qat.Linear
    assert torch.equal(trained.weight, expected)
    trained(torch.randn(2, 3)).sum().backward()
    assert trained.parametrizations.weight.original0.grad is not None
    assert isinstance(trained.weight_fake_quant, FakeQuantize)
