"""Whole models in eager mode: what stands around torch.ao's modules."""

import pytest
import torch
import torch.nn.quantized as _  # noqa: F401  (older names of torch.ao's modules)
from torch import nn

import torchq.quantization
from migrate import there
from torchq import migrate
from torchq.nn import quantized

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def model(torch_ao):
    return there.quantized(torch_ao, torch.ao.nn.quantized.FloatFunctional)


def test_model_gives_the_same_values(model):
    x = torch.randn(5, 3, 12, 12)
    assert torch.equal(migrate.convert_model(model)(x), model(x))


def test_model_is_the_one_that_torchq_makes(model):
    ours = there.quantized(torchq.quantization, quantized.FloatFunctional)
    migrated = migrate.convert_model(model)
    assert str(migrated) == str(ours)
    for name, value in ours.state_dict().items():
        assert torch.equal(migrated.state_dict()[name], value), name


def test_model_is_left_as_it_was(model):
    x = torch.randn(2, 3, 12, 12)
    before, printed = model(x), str(model)
    migrate.convert_model(model).fc.set_output_qparams(1.0, 0)
    assert torch.equal(model(x), before)
    assert str(model) == printed


def test_module_that_is_used_twice_stays_one():
    layer = torch.ao.nn.quantized.ReLU6()
    migrated = migrate.convert_model(nn.Sequential(layer, nn.Sequential(layer)))
    assert migrated[0] is migrated[1][0]


def test_float_parameters_are_copies():
    model = nn.Sequential(nn.Linear(2, 2), torch.ao.nn.quantized.ReLU6())
    migrated = migrate.convert_model(model)
    assert torch.equal(migrated[0].weight, model[0].weight)
    assert migrated[0].weight is not model[0].weight


def test_wrapper_becomes_torchqs(torch_ao):
    torch.manual_seed(0)
    model = torch_ao.QuantWrapper(nn.Linear(4, 3)).eval()
    model.qconfig = torch_ao.get_default_qconfig("fbgemm")
    prepared, x = torch_ao.prepare(model), torch.randn(5, 4)
    prepared(x)
    theirs = torch_ao.convert(prepared)
    migrated = migrate.convert_model(theirs)
    assert type(migrated) is torchq.quantization.QuantWrapper
    assert torch.equal(migrated(x), theirs(x))


def test_hooks_stay():
    layer, seen = torch.ao.nn.quantized.ReLU6(), []
    layer.register_forward_hook(lambda module, args, result: seen.append(type(module)))
    x = torchq.quantize_per_tensor(torch.ones(2), 0.1, 0, torchq.quint8)
    migrate.convert_model(nn.Sequential(layer))(x)
    assert seen == [quantized.ReLU6]


@pytest.mark.parametrize("training", [True, False])
def test_mode_stays(training):
    assert migrate.convert_model(torch.ao.nn.quantized.Dropout().train(training)).training is training


def test_model_without_torch_ao_is_copied():
    model = nn.Sequential(nn.Linear(2, 3))
    migrated = migrate.convert_model(model)
    assert migrated is not model
    assert torch.equal(migrated[0].bias, model[0].bias)
