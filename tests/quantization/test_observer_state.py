"""The state of observers: round trips, what torch.ao saved in any version, and the state of a whole model."""

import copy

import pytest
import torch
from torch import nn

import torchq
from quantization.observing import RECORDING, observed
from torchq.quantization import (
    HistogramObserver,
    MinMaxObserver,
    PerChannelMinMaxObserver,
    QuantStub,
    default_qconfig,
    get_observer_state_dict,
    load_observer_state_dict,
    observer,
    prepare,
)

VERSION_3 = ["MinMaxObserver", "MovingAverageMinMaxObserver", "HistogramObserver", "PerChannelMinMaxObserver"]
VERSION_3 += ["MovingAveragePerChannelMinMaxObserver", "FixedQParamsObserver"]


def data():
    return torch.randn(4, 30, generator=torch.Generator().manual_seed(0))


def versioned(state, version):
    """Returns a state dict of one observer as torch saves it, which says what version wrote it."""
    state = nn.Module().state_dict() | state
    state._metadata = {"": {} if version is None else {"version": version}}
    return state


def model():
    torch.manual_seed(0)
    net = nn.Sequential(QuantStub(), nn.Linear(30, 2)).eval()
    net.qconfig = default_qconfig
    return prepare(net)


@pytest.mark.parametrize("observer", RECORDING)
def test_round_trip_keeps_the_qparams(observer):
    saved, loaded = observed(observer(), data()), observer()
    loaded.load_state_dict(saved.state_dict())
    for own, other in zip(loaded.calculate_qparams(), saved.calculate_qparams(), strict=True):
        assert torch.equal(own, other)


@pytest.mark.parametrize("observer", RECORDING)
def test_round_trip_keeps_that_nothing_was_seen(observer):
    loaded = observed(observer(), data())
    loaded.load_state_dict(observer().state_dict())
    assert not loaded.has_data


@pytest.mark.parametrize("name", VERSION_3)
def test_version_3_of_torch_ao_loads(torch_ao, name):
    arguments = {"scale": 0.5, "zero_point": 3} if name == "FixedQParamsObserver" else {"eps": 2**-12}
    theirs = getattr(torch_ao, name)(**arguments)
    theirs(data())
    ours = getattr(observer, name)(**dict.fromkeys(arguments, 1))
    ours.load_state_dict(theirs.state_dict())
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for own, other in zip(ours.calculate_qparams(), theirs.calculate_qparams(), strict=True):
        assert torch.equal(own, other.to(own.dtype))


@pytest.mark.parametrize("name", VERSION_3)
def test_torch_ao_loads_what_is_saved_here(torch_ao, name):
    arguments = {"scale": 0.5, "zero_point": 3} if name == "FixedQParamsObserver" else {"eps": 2**-12}
    ours = observed(getattr(observer, name)(**arguments), data())
    theirs = getattr(torch_ao, name)(**dict.fromkeys(arguments, 1))
    theirs.load_state_dict(ours.state_dict())
    for own, other in zip(ours.calculate_qparams(), theirs.calculate_qparams(), strict=True):
        assert torch.equal(own, other.to(own.dtype))


@pytest.mark.parametrize("version", [None, 1], ids=["no-version", "version-1"])
def test_version_1_has_the_machine_epsilon(version):
    loaded = MinMaxObserver(eps=0.5)
    loaded.load_state_dict(versioned({"min_val": torch.tensor(-1.0), "max_val": torch.tensor(2.0)}, version))
    assert loaded.eps.item() == torch.finfo(torch.float32).eps
    assert (loaded.min_val.item(), loaded.max_val.item()) == (-1, 2)


def test_eps_that_was_saved_is_kept_where_no_version_was():
    loaded = MinMaxObserver()
    loaded.load_state_dict(dict(MinMaxObserver(eps=0.5).state_dict()))
    assert loaded.eps.item() == 0.5


@pytest.mark.parametrize("version", [1, 2])
def test_version_2_names_the_ranges_of_channels_in_the_plural(version):
    loaded = PerChannelMinMaxObserver()
    state = {"min_vals": torch.tensor([-1.0, 0.0]), "max_vals": torch.tensor([2.0, 5.1])}
    eps = {"eps": torch.tensor([0.5])} if version == 2 else {}
    loaded.load_state_dict(versioned({**state, **eps}, version))
    assert (loaded.min_val.tolist(), loaded.max_val.tolist()) == ([-1, 0], [2, torch.tensor(5.1).item()])


@pytest.mark.parametrize("cls", [MinMaxObserver, HistogramObserver])
def test_version_2_has_no_elements_where_nothing_was_seen(cls):
    loaded = observed(cls(), data())
    state = {**cls().state_dict(), "min_val": torch.tensor([]), "max_val": torch.tensor([])}
    loaded.load_state_dict(versioned(state, 2))
    assert (loaded.min_val.item(), loaded.max_val.item()) == (float("inf"), float("-inf"))


def test_loading_leaves_the_given_state_alone():
    state = versioned({"min_vals": torch.tensor([-1.0]), "max_vals": torch.tensor([2.0])}, 1)
    PerChannelMinMaxObserver().load_state_dict(state)
    assert list(state) == ["min_vals", "max_vals"]


def test_version_3_without_eps_is_an_error():
    with pytest.raises(RuntimeError, match=r'Missing key.*"eps"'):
        MinMaxObserver().load_state_dict(versioned({"min_val": torch.tensor(-1.0), "max_val": torch.tensor(2.0)}, 3))


def test_histogram_with_other_bins_is_an_error():
    with pytest.raises(RuntimeError, match="size mismatch for histogram"):
        HistogramObserver(bins=8).load_state_dict(HistogramObserver(bins=16).state_dict())


def test_state_of_a_models_observers_is_that_alone():
    names = ["eps", "min_val", "max_val"]
    expected = [f"{module}.activation_post_process.{name}" for module in (0, 1) for name in names]
    assert list(get_observer_state_dict(model())) == expected


def test_state_of_a_models_observers_loads_into_another():
    calibrated, other = model(), model()
    calibrated(data())
    load_observer_state_dict(other, get_observer_state_dict(calibrated))
    for name, value in get_observer_state_dict(calibrated).items():
        assert torch.equal(get_observer_state_dict(other)[name], value)


def test_state_of_torch_ao_observers_loads_into_a_model(torch_ao):
    net = nn.Sequential(torch_ao.QuantStub(), nn.Linear(30, 2)).eval()
    net.qconfig = torch_ao.QConfig(torch_ao.default_observer, torch_ao.default_weight_observer)
    theirs, ours = torch_ao.prepare(net), model()
    theirs(data())
    load_observer_state_dict(ours, torch_ao.get_observer_state_dict(theirs))
    assert torch.equal(ours[1].activation_post_process.min_val, theirs[1].activation_post_process.min_val)


def test_parameters_stay_when_observers_are_loaded():
    prepared = model()
    before = copy.deepcopy(prepared[1].weight)
    load_observer_state_dict(prepared, get_observer_state_dict(model()))
    assert torch.equal(prepared[1].weight, before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("1.activation_post_process.min_val"), "missing are 1.activation_post_process.min_val"),
        (
            lambda state: state.update({"2.activation_post_process.eps": torch.ones(1)}),
            "missing are none, unexpected 2.activation_post_process.eps",
        ),
        (lambda state: state.update({"0.activation_post_process.min_val": torch.ones(3)}), "size mismatch"),
    ],
    ids=["missing", "unexpected", "size"],
)
def test_state_that_does_not_fit_the_observers_is_an_error(change, message):
    prepared = model()
    state = get_observer_state_dict(prepared)
    change(state)
    with pytest.raises(RuntimeError, match=message):
        load_observer_state_dict(prepared, state)


def test_torch_aos_question_is_answered():
    assert observer._is_activation_post_process(MinMaxObserver())
    assert not observer._is_activation_post_process(torchq.nn.quantized.FloatFunctional())
