"""Graph mode beside eager mode, and beside torch.ao's graph mode: the same qparams, and the same integers."""

import copy
import importlib

import pytest
import torch
from torch import nn

import torchq
import torchq.quantization.quantize_fx
from quantization.fx import nets
from torchq.nn.quantized import FloatFunctional
from torchq.quantization import (
    DeQuantStub,
    QuantStub,
    convert,
    default_dynamic_qconfig,
    float_qparams_weight_only_qconfig,
    fuse_modules,
    get_default_qconfig,
    get_default_qconfig_mapping,
    prepare,
    quantize_dynamic,
)
from torchq.quantization.backend_config import get_native_backend_config
from torchq.quantization.quantize_fx import convert_fx, prepare_fx


class EagerResidualNet(nets.ResidualNet):
    """As eager mode wants it written."""

    def __init__(self):
        super().__init__()
        self.quant, self.dequant, self.add_relu = QuantStub(), DeQuantStub(), FloatFunctional()
        self.add, self.add_1, self.conv3_1 = FloatFunctional(), FloatFunctional(), copy.deepcopy(self.conv3)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(self.quant(x))))
        x = self.pool(self.add_relu.add_relu(x, self.bn2(self.conv2(x))))
        z = self.conv3(x)
        z = self.add_1.add(self.add.add(z, z), self.conv3_1(x))
        return self.dequant(self.fc(torch.flatten(self.average(z), 1)))


def test_eager_mode_gives_the_same_integers_with_the_same_qparams():
    model = nets.built(nets.ResidualNet)
    graph = convert_fx(nets.prepared(torchq.quantization, model, get_default_qconfig_mapping()))
    eager = EagerResidualNet().eval()
    eager.load_state_dict(model.state_dict(), strict=False)
    eager.conv3_1.load_state_dict(model.conv3.state_dict())
    eager = fuse_modules(eager, [["conv1", "bn1", "relu"], ["conv2", "bn2"]])
    eager.qconfig = get_default_qconfig()
    eager = prepare(eager)
    eager(nets.inputs(nets.ResidualNet, 1))
    eager = convert(eager)
    eager.quant.set_output_qparams(graph.conv1_input_scale_0, graph.conv1_input_zero_point_0)
    for index, name in enumerate(("add_relu", "add", "add_1")):
        qparams = (getattr(graph, f"_scale_{index}"), getattr(graph, f"_zero_point_{index}"))
        getattr(eager, name).set_output_qparams(*qparams)
    for name in ("conv1", "conv2", "conv3", "conv3_1", "fc"):
        ours, theirs = graph.get_submodule(name), eager.get_submodule(name)
        assert torch.equal(ours.weight().int_repr(), theirs.weight().int_repr())
        theirs.set_output_qparams(ours.scale, ours.zero_point)
    x = nets.inputs(nets.ResidualNet, 9)
    with torchq.no_float_fallback():
        assert torch.equal(graph(x), eager(x))


def test_dynamic_layers_are_those_of_eager_mode():
    model = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 4)).eval()
    mapping = torchq.quantization.QConfigMapping().set_object_type(nn.Linear, default_dynamic_qconfig)
    graph = convert_fx(prepare_fx(model, mapping, ()))
    x = torch.randn(5, 8)
    assert torch.equal(graph(x), quantize_dynamic(model)(x))


NETS = [nets.ResidualNet, nets.Perceptron, nets.EncoderLayer, nets.UNet, nets.BagOfWords]


def libraries(torch_ao):
    importlib.import_module("torch.ao.quantization.quantize_fx")
    return torchq.quantization, torch_ao


def mapping_of(library):
    mapping = library.get_default_qconfig_mapping("fbgemm")
    return mapping.set_object_type(nn.EmbeddingBag, library.float_qparams_weight_only_qconfig)


@pytest.mark.parametrize("net", NETS)
def test_observers_are_where_torch_aos_are_and_see_the_same(torch_ao, net):
    model = nets.built(net)
    ours, theirs = (nets.prepared(library, model, mapping_of(library)) for library in libraries(torch_ao))
    assert ours.code == theirs.code
    expected = theirs.state_dict()
    assert ours.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in ours.state_dict().items())


def qparams(model):
    """The scales and zero points of activations in a state, by name."""
    return {
        name: value.item()
        for name, value in model.state_dict().items()
        if name.strip("_0123456789").endswith(("scale", "zero_point")) and "weight_" not in name.split(".")[-1]
    }


# What it says of the U-Net holds for both: an interpolation keeps the qparams of its own input.
@pytest.mark.filterwarnings("ignore:All inputs of this cat operator must share:UserWarning")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("net", NETS)
def test_converted_net_has_the_qparams_and_gives_the_integers_of_torch_aos(torch_ao, net, seed):
    model = nets.built(net, seed)
    ours, theirs = (
        library.quantize_fx.convert_fx(nets.prepared(library, model, mapping_of(library)))
        for library in libraries(torch_ao)
    )
    given, expected = qparams(ours), qparams(theirs)
    # A function with a weight is a module here, which has the qparams that torch.ao's graph has.
    packed = {name: value for name, value in given.items() if "packed_weight" in name}
    rest = {name: value for name, value in expected.items() if name not in given}
    assert sorted(packed.values()) == sorted(rest.values())
    assert all(given[name] == value for name, value in expected.items() if name in given)
    for x in (nets.inputs(net, 9), nets.inputs(net, 10)):
        with torchq.no_float_fallback():
            result = nets.flat(ours(x))
        assert all(torch.equal(a, b) for a, b in zip(result, nets.flat(theirs(x)), strict=True))


@pytest.mark.parametrize("net", NETS)
def test_reference_model_is_torch_aos(torch_ao, net):
    model = nets.built(net)
    ours, theirs = (
        library.quantize_fx.convert_to_reference_fx(nets.prepared(library, model, mapping_of(library)))
        for library in libraries(torch_ao)
    )
    expected, given = theirs.state_dict(), ours.state_dict()
    extra = {"weight_qscheme", "weight_dtype"}  # objects, which torchq does not save
    named = {name for name in expected if name.split(".")[-1] not in extra}
    assert named == given.keys() - {name for name in given if "weight_axis" in name} | {
        name for name in named if "weight_axis" in name
    }
    assert all(torch.equal(given[name].double(), expected[name].double()) for name in named)
    x = nets.inputs(net, 9)
    # Both compute in float, by the same functions.
    assert all(torch.equal(a, b) for a, b in zip(nets.flat(ours(x)), nets.flat(theirs(x)), strict=True))


@pytest.mark.parametrize("net", NETS)
def test_default_backend_quantizes_these_nets_as_native_does(net):
    mapping = get_default_qconfig_mapping().set_object_type(nn.EmbeddingBag, float_qparams_weight_only_qconfig)
    model = nets.built(net)
    default = nets.prepared(torchq.quantization, model, mapping)
    native = nets.prepared(torchq.quantization, model, mapping, backend_config=get_native_backend_config())
    assert default.code == native.code
