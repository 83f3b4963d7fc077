"""Float modules as shadows of their quantized forms: what they see, what is logged, what stays behind."""

import pytest
import torch
from torch import nn
from torch.utils._pytree import tree_map_only

import torchq
from ns.nets import dynamic_pair, forward_hooks, images, static_pair, trained_pair
from torchq.nn import intrinsic, quantized
from torchq.ns._numeric_suite import (
    Logger,
    Shadow,
    ShadowLogger,
    compare_model_stub,
    get_logger_dict,
    prepare_model_with_stubs,
)

LAYERS = {nn.Linear, nn.Conv2d, intrinsic.ConvReLU2d, intrinsic.LinearReLU, quantized.FloatFunctional}


def values(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def quint8(x):
    return torchq.quantize_per_tensor(x, 0.05, 100, torchq.quint8)


def test_every_layer_of_the_types_is_compared():
    outputs = compare_model_stub(*static_pair(), LAYERS, images())
    assert list(outputs) == ["conv1.stats", "conv2.stats", "add.stats", "head.0.stats", "head.2.stats"]
    assert all(len(pair["float"]) == len(pair["quantized"]) == 1 for pair in outputs.values())


def test_shadow_gets_the_input_of_the_quantized_module():
    model, int8 = static_pair()
    x = int8.conv1(int8.quant(images()))
    outputs = compare_model_stub(model, int8, {nn.Conv2d}, images())["conv2.stats"]
    assert torch.equal(outputs["float"][0], model.conv2(x.dequantize()))
    assert torch.equal(outputs["quantized"][0].int_repr(), int8.conv2(x).int_repr())


def test_model_gives_what_it_gave_without_shadows():
    model, int8 = static_pair()
    expected = int8(images())
    prepare_model_with_stubs(model, int8, LAYERS, ShadowLogger)
    assert isinstance(int8.conv1, Shadow)
    assert torch.equal(int8(images()), expected)


def test_block_is_compared_as_a_whole():
    model, int8 = static_pair()
    outputs = compare_model_stub(model, int8, [nn.Sequential], images())
    assert list(outputs) == ["head.stats"]
    assert outputs["head.stats"]["float"][0].shape == (4, 4)


def test_dynamic_model():
    model, int8 = dynamic_pair()
    x = values(5, 16)
    outputs = compare_model_stub(model, int8, {nn.Linear}, x)
    assert list(outputs) == ["0.stats", "2.0.stats"]
    assert torch.equal(outputs["0.stats"]["float"][0], model[0](x))


def test_model_in_training():
    outputs = compare_model_stub(*trained_pair(), LAYERS, images())
    assert list(outputs) == ["conv1.stats", "conv2.stats", "add.stats", "head.0.stats", "head.2.stats"]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("add", (values(3), values(3, seed=1))),
        ("add_relu", (values(3), values(3, seed=1))),
        ("mul", (values(3), values(3, seed=1))),
        ("matmul", (values(2, 3), values(3, 2, seed=1))),
        ("cat", ([values(3), values(3, seed=1)], 0)),
        ("add_scalar", (values(3), 0.5)),
        ("mul_scalar", (values(3), 0.5)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_functional_operation(name, arguments):
    arguments = tree_map_only(torch.Tensor, quint8, arguments)
    plain = tree_map_only(torch.Tensor, torchq.dequantize, arguments)
    q_module, float_module = quantized.QFunctional(), quantized.FloatFunctional()
    q_module.set_output_qparams(0.1, 100)
    shadow = Shadow(q_module, float_module, ShadowLogger)
    output = getattr(shadow, name)(*arguments)
    expected = getattr(q_module, name)(*arguments)
    assert torch.equal(output.int_repr(), expected.int_repr())
    assert torch.equal(shadow.logger.stats["quantized"][0].int_repr(), expected.int_repr())
    assert torch.equal(shadow.logger.stats["float"][0], getattr(float_module, name)(*plain))


def test_whole_batch_is_logged():
    outputs = compare_model_stub(*static_pair(), {nn.Conv2d}, images())["conv2.stats"]
    assert outputs["float"][0].shape == outputs["quantized"][0].shape == (4, 8, 8, 8)


def test_first_of_several_outputs_is_logged():
    lstm = nn.LSTM(3, 2)
    shadow = Shadow(lstm, lstm, ShadowLogger)
    with torch.no_grad():
        output, state = shadow(values(4, 1, 3))
        shadow(values(4, 1, 3), hx=state)
    assert [entry.shape for entry in shadow.logger.stats["quantized"]] == [(4, 1, 2), (4, 1, 2)]
    assert torch.equal(shadow.logger.stats["float"][0], output)


def test_neither_module_sees_what_the_other_does_to_its_input():
    class DoublesItsInput(nn.Module):
        def forward(self, x):
            return x.mul_(2)

    for pair in ((DoublesItsInput(), nn.Identity()), (nn.Identity(), DoublesItsInput())):
        shadow = Shadow(*pair, ShadowLogger)
        doubled = [float(isinstance(module, DoublesItsInput)) + 1 for module in pair]
        assert shadow(torch.ones(1)) == doubled[0]
        assert shadow.logger.stats == {"float": [torch.tensor([doubled[1]])], "quantized": [torch.tensor([doubled[0]])]}


def test_shadow_runs_without_gradients_and_lets_those_of_the_quantized_module_through():
    shadow = Shadow(nn.Linear(2, 2), nn.Linear(2, 2), ShadowLogger)
    shadow(torch.ones(1, 2)).sum().backward()
    assert shadow.orig_module.weight.grad is not None
    assert shadow.shadow_module.weight.grad is None
    assert not shadow.logger.stats["quantized"][0].requires_grad


@pytest.mark.parametrize("x", [images(), torch.zeros(1, 2, 8, 8)], ids=["after-a-run", "after-an-error"])
def test_model_is_left_without_shadows(x):
    model, int8 = static_pair()
    before = [*map(type, int8.modules())], forward_hooks(int8)
    try:
        compare_model_stub(model, int8, LAYERS, x)
    except RuntimeError:
        assert x.shape[1] != 3
    assert ([*map(type, int8.modules())], forward_hooks(int8)) == before


def test_shadows_stay_until_they_are_prepared_anew():
    model, int8 = static_pair()
    prepare_model_with_stubs(model, int8, LAYERS, ShadowLogger)
    int8(images()), int8(images())
    assert len(get_logger_dict(int8)["add.stats"]["float"]) == 2
    prepare_model_with_stubs(model, int8, {nn.Conv2d}, ShadowLogger)
    assert get_logger_dict(int8) == {"conv2.stats": {"float": [], "quantized": []}}


def test_block_in_two_places_gets_one_shadow():
    model = nn.ModuleDict({"a": nn.Sequential(nn.Linear(2, 2)), "b": nn.Sequential()})
    model["b"] = nn.Sequential(model["a"])
    int8 = torchq.quantization.quantize_dynamic(model)
    prepare_model_with_stubs(model, int8, {nn.Linear}, ShadowLogger)
    assert isinstance(int8["a"][0].orig_module, quantized.dynamic.Linear)
    assert int8["b"][0] is int8["a"]


class DifferenceLogger(Logger):
    def forward(self, x, y):
        self.stats["difference"] = (torchq.dequantize(x) - y).abs().max().item()


def test_logger_of_ones_own():
    outputs = compare_model_stub(*static_pair(), {nn.Conv2d}, images(), logger_cls=DifferenceLogger)
    assert 0 < outputs["conv2.stats"]["difference"] < 0.2


def test_what_makes_no_logger_is_refused():
    with pytest.raises(TypeError, match=r"logger_cls must make a Logger, got .* which makes a Identity"):
        compare_model_stub(*static_pair(), {nn.Conv2d}, images(), logger_cls=nn.Identity)


def test_nothing_to_compare_is_an_error():
    model, int8 = dynamic_pair()
    with pytest.raises(ValueError, match="nothing inside Sequential is one of Conv2d, LayerNorm and has a quantized"):
        compare_model_stub(model, int8, [nn.LayerNorm, nn.Conv2d], values(5, 16))
