"""The helpers of equalization, and what it refuses."""

import copy
import inspect

import pytest
import torch
from torch import nn

from torchq.nn import intrinsic
from torchq.quantization import _equalize as eq

WEIGHT = torch.tensor([[[-1.0, 2.0], [0.5, 1.0]], [[4.0, 4.0], [4.0, 4.0]]])


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


def test_ranges_of_channels():
    assert torch.equal(eq.channel_range(WEIGHT), torch.tensor([3.0, 0.0]))
    assert torch.equal(eq.channel_range(WEIGHT, axis=1), torch.tensor([5.0, 3.5]))
    assert torch.equal(eq.channel_range(WEIGHT, axis=-1), torch.tensor([5.0, 3.0]))
    assert torch.equal(eq.channel_range(WEIGHT[0, 0]), torch.zeros(2))


def test_extremes_over_axes():
    axes = [0, 2]
    assert torch.equal(eq.max_over_ndim(WEIGHT, axes), torch.tensor([4.0, 4.0]))
    assert torch.equal(eq.min_over_ndim(WEIGHT, axes, keepdim=True), torch.tensor([[[-1.0], [0.5]]]))
    assert torch.equal(eq.max_over_ndim(WEIGHT, []), WEIGHT)
    assert torch.equal(eq.min_over_ndim(WEIGHT, []), WEIGHT)
    assert axes == [0, 2]


@pytest.mark.parametrize("fused", [False, True])
def test_weight_and_bias_of_a_layer_or_the_one_in_a_container(fused):
    layer = nn.Linear(4, 3)
    module = intrinsic.LinearReLU(layer, nn.ReLU()) if fused else layer
    assert eq.get_module_weight(module) is layer.weight
    assert eq.get_module_bias(module) is layer.bias
    assert eq.has_bias(module)
    weight, bias = torch.ones(3, 4), torch.zeros(3)
    eq.set_module_weight(module, weight)
    eq.set_module_bias(module, bias)
    assert isinstance(layer.weight, nn.Parameter)
    assert torch.equal(layer.weight, weight)
    assert torch.equal(layer.bias, bias)


def test_layer_without_a_bias():
    module = nn.Conv1d(1, 1, 1, bias=False)
    assert not eq.has_bias(module)
    assert eq.get_module_bias(module) is None


def test_convergence_is_a_sum_of_norms_below_the_threshold():
    now, before = ({"a": nn.Linear(2, 1), "b": nn.Linear(2, 1)} for _ in range(2))
    for name, change in (("a", [3.0, 4.0]), ("b", [0.0, 1.0])):
        before[name].weight.data = torch.zeros(1, 2)
        now[name].weight.data = torch.tensor([change])
    assert eq.converged(now, before, threshold=6.5)
    assert not eq.converged(now, before, threshold=6.0)
    assert not eq.converged(now, {"a": before["a"], "b": None}, threshold=6.5)


def test_groups_become_pairs_and_modules_names():
    model = net()
    groups = [[model[0], "2"], ["0", model[1], "2"]]
    assert eq.process_paired_modules_list_to_name(model, groups) == [["0", "2"], ["0", "1", "2"]]
    assert eq.expand_groups_in_paired_modules_list([["a", "b", "c"], ("d", "e")]) == [
        ["a", "b"],
        ["b", "c"],
        ["d", "e"],
    ]
    assert eq.get_name_by_module(model, model[2]) == "2"


def test_axes_of_the_weights_can_be_given():
    first, second = nn.Linear(4, 3), nn.Linear(3, 2)
    flipped = copy.deepcopy(first), copy.deepcopy(second)
    for module in flipped:
        module.weight.data = module.weight.data.T.contiguous()
    flipped[0].bias = None
    first.bias = None
    eq.cross_layer_equalization(first, second)
    eq.cross_layer_equalization(*flipped, output_axis=1, input_axis=0)
    assert torch.equal(flipped[0].weight.T, first.weight)
    assert torch.equal(flipped[1].weight.T, second.weight)


@pytest.mark.parametrize(
    "module",
    [nn.ReLU(), nn.ConvTranspose2d(3, 3, 1), intrinsic.ConvBn2d(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))],
    ids=lambda module: type(module).__name__,
)
def test_other_modules_are_refused(module):
    with pytest.raises(ValueError, match=f"equalization is for Conv1d, .* LinearReLU, got {type(module).__name__}"):
        eq.cross_layer_equalization(module, nn.Linear(3, 3))
    with pytest.raises(ValueError, match=f"got {type(module).__name__}"):
        eq.set_module_weight(module, torch.zeros(3))


@pytest.mark.parametrize(
    ("pairs", "error", "message"),
    [
        ([["0"]], ValueError, r"a group has at least two modules, got \['0'\]"),
        ([[]], ValueError, r"a group has at least two modules, got \[\]"),
        ([["0", "fc"]], ValueError, "no such module in Sequential: 'fc'"),
        ([["0", nn.Linear(3, 2)]], ValueError, r"no such module in Sequential: Linear\(in_features=3"),
        ([["0", 2]], TypeError, "has modules and names of modules, got 2"),
        ([["0", "0"]], ValueError, "'0' is paired with itself"),
        ([["0", "1"]], ValueError, "got ReLU"),
        ([["2", "0"]], TypeError, "the first layer has 2 output channels, the second 4 input channels"),
    ],
    ids=["one", "none", "name", "module", "number", "itself", "type", "order"],
)
def test_groups_that_do_not_fit_are_refused_before_anything_changes(pairs, error, message):
    model = net()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(error, match=message):
        eq.equalize(model, pairs)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(value):
    model = net()
    model[2].weight.data[0, 0] = value
    with pytest.raises(ValueError, match="the weight of '2' has NaN or infinity"):
        eq.equalize(model, [["0", "2"]])


def test_layer_with_one_weight_per_channel_is_refused():
    with pytest.raises(ValueError, match="every channel has the range 0 in one of the weights"):
        eq.cross_layer_equalization(nn.Linear(4, 3), nn.Linear(3, 1))


@pytest.mark.parametrize("threshold", [0.0, -1.0, float("nan")])
def test_threshold_must_be_positive(threshold):
    with pytest.raises(ValueError, match=f"threshold must be > 0, got {threshold}"):
        eq.equalize(net(), [["0", "2"]], threshold=threshold)


def test_threshold_that_rounding_does_not_reach_is_an_error(monkeypatch):
    monkeypatch.setattr(eq, "converged", lambda *args: False)
    with pytest.raises(
        RuntimeError, match="still change by more than 1e-30 after 1000 rounds: give a larger threshold"
    ):
        eq.equalize(net(), [["0", "2"]], threshold=1e-30)


def test_different_names_are_refused():
    with pytest.raises(ValueError, match=r"got modules named \['a'\], and before \['b'\]"):
        eq.converged({"a": nn.Linear(2, 1)}, {"b": nn.Linear(2, 1)})


@pytest.mark.parametrize("module", ["_equalize", "_correct_bias"])
def test_has_the_names_and_arguments_of_torch_ao(torch_ao, module):
    import importlib

    theirs, own = (importlib.import_module(f"{library}.quantization.{module}") for library in ("torch.ao", "torchq"))
    assert set(own.__all__) == set(theirs.__all__)
    for name in theirs.__all__:
        expected, given = (inspect.signature(getattr(library, name)).parameters for library in (theirs, own))
        assert list(given) == list(expected)
        defaults = {key: p.default for key, p in given.items() if key != "target_modules"}
        assert defaults == {key: p.default for key, p in expected.items() if key != "target_modules"}
