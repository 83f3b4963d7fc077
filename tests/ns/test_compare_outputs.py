"""Outputs of a float model and its quantized form, side by side: what is logged, where, and what stays behind."""

import copy

import pytest
import torch
from torch import nn

import torchq
from ns.nets import PLACES, dynamic_pair, forward_hooks, images, static_pair, trained_pair
from torchq.nn import intrinsic, quantized
from torchq.nn.intrinsic import quantized as intrinsic_quantized
from torchq.ns._numeric_suite import (
    Logger,
    OutputLogger,
    compare_model_outputs,
    get_logger_dict,
    get_matching_activations,
    prepare_model_outputs,
)
from torchq.ns.fx.utils import compute_sqnr


def outputs_by_hook(model, x):
    """What each module gave, kept apart from any logger."""
    seen = {}
    handles = [
        module.register_forward_hook(lambda m, a, output, name=name: seen.update({name: output.clone()}))
        for name, module in model.named_modules()
    ]
    model(x)
    for handle in handles:
        handle.remove()
    return seen


def test_every_place_is_compared_once():
    outputs = compare_model_outputs(*static_pair(), images())
    assert list(outputs) == [f"{place}.stats" for place in PLACES]
    assert all(len(pair["float"]) == len(pair["quantized"]) == 1 for pair in outputs.values())


@pytest.mark.parametrize("place", [place for place in PLACES if place != "add"])
def test_outputs_are_those_of_the_modules(place):
    model, int8 = static_pair()
    outputs = compare_model_outputs(model, int8, images())[f"{place}.stats"]
    assert torch.equal(outputs["float"][0], outputs_by_hook(model, images())[place])
    assert torch.equal(outputs["quantized"][0].int_repr(), outputs_by_hook(int8, images())[place].int_repr())


def test_residual_sum_is_that_of_its_inputs():
    model, int8 = static_pair()
    outputs = compare_model_outputs(model, int8, images())
    for side, sums in (("float", model.add), ("quantized", int8.add)):
        x, y = outputs["conv1.stats"][side][0], outputs["conv2.stats"][side][0]
        assert torch.equal(torchq.dequantize(outputs["add.stats"][side][0]), torchq.dequantize(sums.add_relu(x, y)))


@pytest.mark.parametrize("name", ["add", "mul", "cat", "matmul"])
def test_each_operation_of_a_functional_module_is_logged(name):
    class Operation(nn.Module):
        def __init__(self, functional):
            super().__init__()
            self.functional = functional

        def forward(self, x):
            operation = getattr(self.functional, name)
            return operation([x, x]) if name == "cat" else operation(x, x)

    q = torchq.quantize_per_tensor(torch.eye(2), 1.0, 0, torchq.quint8)
    model, int8 = Operation(quantized.FloatFunctional()), Operation(quantized.QFunctional())
    prepare_model_outputs(model, int8)
    expected = model(torch.eye(2)), int8(q)
    outputs = get_matching_activations(model, int8)["functional.stats"]
    assert torch.equal(outputs["float"][0], expected[0])
    assert torch.equal(outputs["quantized"][0].int_repr(), expected[1].int_repr())


def test_dynamic_model():
    model, int8 = dynamic_pair()
    x = torch.randn(5, 16)
    outputs = compare_model_outputs(model, int8, x)
    assert list(outputs) == ["0.stats", "2.0.stats"]
    assert torch.equal(outputs["2.0.stats"]["quantized"][0], int8[2][0](torch.relu(int8[0](x))))
    assert compute_sqnr(*outputs["0.stats"].values())[0] > 30  # 7 bits of activations are worth 42, of a normal range


def test_model_that_is_one_layer():
    outputs = compare_model_outputs(nn.Linear(2, 2), quantized.dynamic.Linear(2, 2), torch.zeros(1, 2))
    assert list(outputs) == ["stats"]


def test_model_in_training_is_logged_behind_its_fake_quantizers():
    model, prepared = trained_pair()
    expected = outputs_by_hook(prepared, images())
    outputs = compare_model_outputs(model, prepared, images())
    assert list(outputs) == [f"{place}.stats" for place in PLACES]
    assert torch.equal(outputs["conv2.stats"]["quantized"][0], expected["conv2"])
    assert outputs["conv2.stats"]["quantized"][0].unique().numel() <= 256


def test_models_are_left_as_they_were():
    for model, other in (static_pair(), trained_pair()):
        before = [(repr(part), list(part.state_dict()), forward_hooks(part), part(images())) for part in (model, other)]
        compare_model_outputs(model, other, images())
        after = [(repr(part), list(part.state_dict()), forward_hooks(part), part(images())) for part in (model, other)]
        assert [entry[:3] for entry in after] == [entry[:3] for entry in before]
        assert all(torch.equal(a[3], b[3]) for a, b in zip(after, before, strict=True))


def test_models_are_left_as_they_were_after_an_error():
    model, int8 = static_pair()
    hooks = forward_hooks(int8)
    with pytest.raises(RuntimeError):
        compare_model_outputs(model, int8, torch.zeros(1, 2, 8, 8))
    assert forward_hooks(int8) == hooks
    assert get_logger_dict(model) == get_logger_dict(int8) == {}


def test_what_changes_an_output_in_place_does_not_change_what_was_logged():
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(inplace=True))
    outputs = compare_model_outputs(net, torchq.quantization.quantize_dynamic(net), torch.randn(16, 4))
    assert outputs["0.stats"]["float"][0].min() < 0
    assert outputs["0.stats"]["quantized"][0].min() < 0


def test_loggers_stay_until_they_are_prepared_anew():
    model, int8 = static_pair()
    prepare_model_outputs(model, int8)
    for batch in images(2).split(1):
        model(batch), int8(batch)
    assert len(get_matching_activations(model, int8)["conv1.stats"]["quantized"]) == 2
    prepare_model_outputs(model, int8)
    model(images()), int8(images())
    assert len(get_matching_activations(model, int8)["conv1.stats"]["quantized"]) == 1


def test_copy_of_a_prepared_model_has_loggers_of_its_own():
    model, int8 = static_pair()
    prepare_model_outputs(model, int8)
    copied = copy.deepcopy(int8)
    copied(images())
    assert len(get_logger_dict(copied)["add.stats"]["tensor_val"]) == 1
    assert get_logger_dict(int8)["add.stats"]["tensor_val"] == []


def test_allow_list_says_which_types_are_compared():
    model, int8 = static_pair()
    outputs = compare_model_outputs(model, int8, images(), allow_list={nn.Conv2d, quantized.Conv2d})
    assert list(outputs) == ["conv2.stats"]


def test_container_in_the_allow_list_is_compared_as_a_whole():
    model, int8 = static_pair()
    outputs = compare_model_outputs(model, int8, images(), allow_list={nn.Sequential})
    assert list(outputs) == ["head.stats"]


def test_part_of_a_container_stands_for_the_module_that_took_its_place():
    float_model = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))
    outputs = compare_model_outputs(float_model, nn.Sequential(quantized.dynamic.Linear(2, 2)), torch.ones(1, 2))
    assert torch.equal(outputs["0.stats"]["float"][0], float_model(torch.ones(1, 2)))


def test_fused_container_is_compared_with_relu_whatever_the_allow_list():
    model, int8 = static_pair()
    outputs = compare_model_outputs(model, int8, images(), allow_list={nn.Conv2d, intrinsic_quantized.ConvReLU2d})
    assert isinstance(model.conv1, intrinsic.ConvReLU2d)
    assert outputs["conv1.stats"]["float"][0].min() == 0


def test_module_that_is_not_called_is_left_out():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net.forward = lambda x: x
    int8 = nn.Sequential(quantized.dynamic.Linear(2, 2), quantized.dynamic.Linear(2, 2))
    int8.forward = lambda x: int8[0](x)
    assert list(compare_model_outputs(net, int8, torch.ones(1, 2))) == ["0.stats"]


def test_lstm_is_compared_with_its_states():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.fc = nn.LSTM(3, 2), nn.Linear(2, 2)

        def forward(self, x):
            return self.fc(self.lstm(x)[0])

    model = Net()
    int8 = torchq.quantization.quantize_dynamic(model, {nn.Linear})
    outputs = compare_model_outputs(model, int8, torch.randn(4, 1, 3))
    assert list(outputs) == ["lstm.stats", "fc.stats"]
    output, (h, c) = outputs["lstm.stats"]["float"][0]
    assert output.shape == (4, 1, 2)
    assert h.shape == c.shape == (1, 1, 2)


class MaxLogger(Logger):
    """Keeps the largest value, and returns something that is no output."""

    def forward(self, x):
        self.stats["max"] = torchq.dequantize(x).max().item()
        return "no output"


def test_logger_of_ones_own():
    model, int8 = static_pair()
    expected = model(images())
    prepare_model_outputs(model, int8, MaxLogger)
    assert torch.equal(model(images()), expected)
    assert get_logger_dict(model, prefix="net")["net.head.2.stats"] == {"max": expected.max().item()}
    with pytest.raises(ValueError, match=r"'quant\.stats' keeps no 'tensor_val', but nothing: read get_logger_dict"):
        get_matching_activations(model, int8)


@pytest.mark.parametrize("logger", [nn.Identity, lambda: None], ids=["module", "nothing"])
def test_what_makes_no_logger_is_refused(logger):
    with pytest.raises(TypeError, match=r"logger_cls must make a Logger, got .* which makes a (Identity|NoneType)"):
        compare_model_outputs(*static_pair(), images(), logger_cls=logger)


def test_logger_without_forward_is_an_error():
    with pytest.raises(NotImplementedError, match="Logger does not say what it records"):
        Logger()(torch.zeros(1))


def test_models_without_a_type_to_compare_are_an_error():
    with pytest.raises(ValueError, match="no module of Sequential has one of the types to compare, Conv2d, Linear"):
        prepare_model_outputs(nn.Sequential(nn.ReLU()), nn.Sequential(nn.ReLU()), OutputLogger, [nn.Linear, nn.Conv2d])


def test_models_with_nothing_in_common_are_an_error():
    one, other = nn.Sequential(nn.Linear(2, 2)), nn.ModuleDict({"fc": quantized.dynamic.Linear(2, 2)})
    prepare_model_outputs(one, other)
    other["fc"](one(torch.zeros(1, 2)))
    with pytest.raises(ValueError, match=r"no output was logged in both models.*0\.stats in the float.*fc\.stats in"):
        get_matching_activations(one, other)


def test_models_that_did_not_run_are_an_error():
    model, int8 = static_pair()
    prepare_model_outputs(model, int8)
    with pytest.raises(ValueError, match="call prepare_model_outputs and run both on some data"):
        get_matching_activations(model, int8)
