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


# torch.ao says so of parts that a model does not use, and of the rows that are appended to keys and values.
@pytest.mark.filterwarnings("ignore:must run observer before calling calculate_qparams:UserWarning")
@pytest.mark.filterwarnings("ignore:All inputs of this cat operator must share:UserWarning")
def test_lstm_and_attention_in_parts_give_the_same_integers(torch_ao):
    theirs, x = there.in_parts(torch_ao), torch.randn(7, 3, 6)
    migrated = migrate.convert_model(theirs)
    given, expected = migrated(x), theirs(x)
    # In steps of one scale, of which a few are one apart: docs/recurrent.md.
    step = migrated.attention.out_proj.scale
    assert (given - expected).abs().max() <= 1.5 * step
    assert (given != expected).float().mean() <= 0.02
    for name, part in migrated.named_modules():
        if isinstance(part, quantized.Linear):
            other = theirs.get_submodule(name)
            assert torch.equal(part.weight().int_repr(), other.weight().int_repr())
            assert (part.scale, part.zero_point) == (other.scale, other.zero_point)


# torch.ao says so of parts that a model does not use.
@pytest.mark.filterwarnings("ignore:must run observer before calling calculate_qparams:UserWarning")
def test_cells_keep_the_qparams_of_their_first_states(torch_ao):
    theirs = there.in_parts(torch_ao)
    cell = theirs.lstm.layers[0].layer_fw.cell
    cell.initial_hidden_state_qparams = (0.5, 3)
    migrated = migrate.convert_model(theirs)
    assert migrated.lstm.layers[0].layer_fw.cell.initial_hidden_state_qparams == (0.5, 3)
    assert migrated.lstm.layers[0].layer_fw.cell.hidden_state_dtype is torchq.quint8


def test_quantized_tensors_and_dtypes_of_other_modules_become_torchqs(torch_ao):
    model = nn.Module()
    model.register_buffer("table", torch.quantize_per_tensor(torch.randn(3), 0.1, 3, torch.quint8))
    model.dtype, model.scheme = torch.qint8, torch.per_channel_symmetric
    migrated = migrate.convert_model(model)
    assert type(migrated.table) is torchq.QTensor
    assert torch.equal(migrated.table.dequantize(), model.table.dequantize())
    assert migrated.dtype is torchq.qint8
    assert migrated.scheme is torchq.per_channel_symmetric


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
