"""State, copies and files of prepared and converted models."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn

import torchq
from quantization.fx import nets
from torchq.quantization import get_default_qconfig_mapping
from torchq.quantization.fx.custom_config import ConvertCustomConfig, PrepareCustomConfig
from torchq.quantization.quantize_fx import convert_fx, fuse_fx, prepare_fx

X = nets.inputs(nets.ResidualNet, 9)


@pytest.fixture(scope="module")
def prepared():
    return nets.prepared(torchq.quantization, nets.built(nets.ResidualNet), get_default_qconfig_mapping())


@pytest.fixture(scope="module")
def converted(prepared):
    return convert_fx(prepared)


def saved(model):
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


def pickled(model):
    return pickle.loads(pickle.dumps(model))


COPIES = [copy.deepcopy, saved, pickled]


def assert_same_state(model, original):
    assert model.code == original.code
    assert [(n.name, n.op) for n in model.graph.nodes] == [(n.name, n.op) for n in original.graph.nodes]
    state = model.state_dict()
    assert state.keys() == original.state_dict().keys()
    assert all(torch.equal(state[name], value) for name, value in original.state_dict().items())


def assert_same_model(model, original):
    assert_same_state(model, original)
    assert torch.equal(model(X), original(X))


@pytest.mark.parametrize("make", COPIES)
def test_copy_of_a_prepared_model_is_converted_to_the_same(prepared, converted, make):
    model = make(prepared)
    assert_same_state(model, prepared)
    assert_same_model(convert_fx(model), converted)


@pytest.mark.parametrize("make", COPIES)
def test_copy_of_a_converted_model_computes_the_same(converted, make):
    assert_same_model(make(converted), converted)


@pytest.mark.parametrize("make", COPIES)
def test_observers_that_were_shared_are_shared_in_the_copy(prepared, make):
    model = make(prepared)
    assert model.activation_post_process_4 is model.activation_post_process_3
    assert model.activation_post_process_2 is not model.activation_post_process_3


@pytest.mark.parametrize("make", COPIES)
def test_copy_of_a_fused_model_computes_the_same(make):
    fused = fuse_fx(nets.built(nets.ResidualNet))
    assert_same_model(make(fused), fused)


def test_converting_leaves_the_prepared_model_alone(prepared):
    before = copy.deepcopy(prepared)
    convert_fx(prepared)
    assert_same_state(prepared, before)
    assert not any(hasattr(module, "scale") for module in (prepared.conv1, prepared.fc))


def test_qparams_of_functions_are_numbers_and_saved_as_tensors(converted):
    assert type(converted._scale_0) is float
    assert type(converted._zero_point_0) is int
    state = converted.state_dict()
    assert state["_scale_0"].dtype is torch.float32
    assert state["_scale_0"].item() == converted._scale_0
    assert state["_zero_point_0"].dtype is torch.int64
    assert state["conv1_input_scale_0"].shape == ()


def test_state_of_another_calibration_is_loaded(converted):
    model = nets.built(nets.ResidualNet, seed=1)
    other = convert_fx(nets.prepared(torchq.quantization, model, get_default_qconfig_mapping()))
    assert not torch.equal(other(X), converted(X))
    assert other.load_state_dict(converted.state_dict()).missing_keys == []
    assert_same_model(other, converted)


def test_state_survives_a_file_of_weights_only(converted):
    buffer = io.BytesIO()
    torch.save(converted.state_dict(), buffer)
    buffer.seek(0)
    other = copy.deepcopy(converted)
    other._scale_0 = 1.0
    other.load_state_dict(torch.load(buffer, weights_only=True))
    assert_same_model(other, converted)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("_scale_0", torch.tensor(0.0), "_scale_0 must be finite and > 0, got 0.0"),
        ("_scale_0", torch.tensor(float("inf")), "_scale_0 must be finite and > 0, got inf"),
        ("_zero_point_0", torch.tensor(1.5), "_zero_point_0 must be an integer, got torch.float32"),
        ("_scale_0", torch.ones(3), "size mismatch for _scale_0"),
    ],
)
def test_state_that_is_no_scale_or_zero_point_is_refused(converted, name, value, message):
    other = copy.deepcopy(converted)
    with pytest.raises(RuntimeError, match=message):
        other.load_state_dict({**converted.state_dict(), name: value})
    assert_same_model(other, converted)


def test_missing_state_is_reported(converted):
    state = converted.state_dict()
    del state["_scale_0"]
    with pytest.raises(RuntimeError, match=r'Missing key.*"_scale_0"'):
        copy.deepcopy(converted).load_state_dict(state)


@pytest.mark.parametrize("dtype", [torch.half, torch.double])
def test_casting_leaves_a_converted_model_as_it_is(converted, dtype):
    assert_same_model(copy.deepcopy(converted).to(dtype), converted)


def test_function_without_a_name_cannot_be_saved(converted):
    model = copy.deepcopy(converted)
    node = next(node for node in model.graph.nodes if node.op == "call_function")
    node.target = lambda x: x
    with pytest.raises(pickle.PicklingError, match=r"cannot save a call of .*lambda"):
        pickle.dumps(model)


@pytest.mark.parametrize("make", [lambda model: model, *COPIES])
def test_attributes_are_preserved(make):
    model = nets.built(nets.ResidualNet)
    model.labels, model.extra = ["cat", "dog"], nn.Linear(2, 2)
    config = PrepareCustomConfig().set_preserved_attributes(["labels", "extra"])
    observed = make(prepare_fx(model, get_default_qconfig_mapping(), (X,), config))
    assert observed.labels == ["cat", "dog"]
    observed(X)
    assert not hasattr(convert_fx(observed), "labels")
    int8 = make(convert_fx(observed, ConvertCustomConfig().set_preserved_attributes(["labels", "extra"])))
    assert int8.labels == ["cat", "dog"]
    assert torch.equal(int8.extra.weight, model.extra.weight)


@pytest.mark.parametrize("remove", [True, False])
def test_qconfigs_are_removed_unless_they_are_to_stay(prepared, remove):
    converted = convert_fx(prepared, _remove_qconfig=remove)
    assert hasattr(converted.pool, "qconfig") is not remove
