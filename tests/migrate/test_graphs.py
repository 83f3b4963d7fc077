"""Models of torch.ao's graph mode."""

import io

import pytest
import torch
from torch import nn
from torch.fx import Graph, GraphModule
from torch.nn import functional as F

import torchq.quantization
import torchq.quantization.quantize_fx
from quantization.fx import nets
from torchq import migrate
from torchq.nn import intrinsic, quantized
from torchq.quantization.backend_config import get_native_backend_config

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    # torch.ao says so of the U-Net: an interpolation keeps the qparams of its own input.
    pytest.mark.filterwarnings("ignore:All inputs of this cat operator must share:UserWarning"),
]
NETS = [nets.ResidualNet, nets.Perceptron, nets.EncoderLayer, nets.UNet, nets.BagOfWords]
NATIVE = {"backend_config": get_native_backend_config()}


def converted(library, model, **config):
    mapping = library.get_default_qconfig_mapping("fbgemm")
    mapping.set_object_type(nn.EmbeddingBag, library.float_qparams_weight_only_qconfig)
    return library.quantize_fx.convert_fx(nets.prepared(library, model, mapping, **config), **config)


@pytest.fixture
def library(torch_ao):
    import torch.ao.quantization.quantize_fx  # noqa: F401

    return torch_ao


@pytest.mark.parametrize("net", NETS)
def test_graph_gives_the_same_values(library, net):
    theirs = converted(library, nets.built(net))
    ours = migrate.convert_model(theirs)
    for seed in (9, 10):
        x = nets.inputs(net, seed)
        with torchq.no_float_fallback():
            given = nets.flat(ours(x))
        assert all(torch.equal(a, b) for a, b in zip(given, nets.flat(theirs(x)), strict=True))


# Of a module that is called twice, which the ResidualNet has, torchq makes two.
@pytest.mark.parametrize("net", NETS[1:])
def test_state_of_a_graph_fills_one_of_torchq(library, net):
    theirs, ours = converted(library, nets.built(net)), converted(torchq.quantization, nets.built(net, 5), **NATIVE)
    ours.load_state_dict(migrate.convert_state_dict(theirs.state_dict(), ours))
    x = nets.inputs(net, 9)
    assert all(torch.equal(a, b) for a, b in zip(nets.flat(ours(x)), nets.flat(theirs(x)), strict=True))


@pytest.mark.parametrize("net", NETS)
def test_migrated_graph_can_be_saved(library, net):
    ours = migrate.convert_model(converted(library, nets.built(net)))
    file = io.BytesIO()
    torch.save(ours, file)
    file.seek(0)
    loaded, x = torch.load(file, weights_only=False), nets.inputs(net, 9)
    assert all(torch.equal(a, b) for a, b in zip(nets.flat(loaded(x)), nets.flat(ours(x)), strict=True))


class Functions(nn.Module):
    """Convolutions as functions, with the arguments that torch.ao's graph mode wants."""

    shape = (2, 4, 12)

    def __init__(self):
        super().__init__()
        self.narrow, self.wide = nn.Parameter(torch.randn(8, 2, 3)), nn.Parameter(torch.randn(6, 8, 3, 1))
        self.bias = nn.Parameter(torch.randn(8))

    def forward(self, x):
        x = F.relu(F.conv1d(x, self.narrow, self.bias, (2,), (1,), (1,), 2))
        return F.conv2d(x.unsqueeze(-1), self.wide, None, (1, 1), (2, 0), (2, 1), 1)


def test_functional_convolutions_become_modules(library):
    theirs = converted(library, nets.built(Functions))
    ours, x = migrate.convert_model(theirs), nets.inputs(Functions, 9)
    assert torch.equal(ours(x), theirs(x))
    assert type(ours._packed_weight_0) is intrinsic.quantized.ConvReLU1d
    assert type(ours._packed_weight_1) is quantized.Conv2d
    assert ours._packed_weight_1.dilation == (2, 1)


def test_dynamic_layers_and_functions_become_modules(library):
    model = nets.built(nets.Perceptron)
    mapping = library.QConfigMapping().set_global(library.default_dynamic_qconfig)
    theirs = library.quantize_fx.convert_fx(nets.prepared(library, model, mapping))
    ours, x = migrate.convert_model(theirs), nets.inputs(nets.Perceptron, 9)
    assert all(torch.equal(a, b) for a, b in zip(nets.flat(ours(x)), nets.flat(theirs(x)), strict=True))
    assert type(ours.first) is quantized.dynamic.Linear


def test_module_with_two_names_stays_one(library):
    root, graph = nn.Module(), Graph()
    root.first = root.second = torch.ao.nn.quantized.ReLU6()
    x = graph.placeholder("x")
    graph.output(graph.call_module("second", (graph.call_module("first", (x,)),)))
    ours = migrate.convert_model(GraphModule(root, graph))
    assert ours.first is ours.second
    assert type(ours.first) is quantized.ReLU6


def test_graph_is_left_as_it_was(library):
    theirs, x = converted(library, nets.built(nets.ResidualNet)), nets.inputs(nets.ResidualNet, 9)
    before, code = theirs(x), theirs.code
    migrate.convert_model(theirs)
    assert theirs.code == code
    assert torch.equal(theirs(x), before)


def test_qparams_become_numbers_of_the_same_names(library):
    theirs = converted(library, nets.built(nets.ResidualNet))
    ours = migrate.convert_model(theirs)
    assert ours.conv1_input_scale_0 == theirs.conv1_input_scale_0.item()
    assert ours.conv1_input_zero_point_0 == theirs.conv1_input_zero_point_0.item()
    assert type(ours.conv1_input_scale_0) is float


def test_preserved_attributes_stay(library):
    theirs = converted(library, nets.built(nets.ResidualNet))
    theirs.meta["_user_preserved_attributes"] = {"classes": ["cat", "dog"]}
    assert migrate.convert_model(theirs).classes == ["cat", "dog"]


def test_layer_with_named_arguments_is_refused(library):
    graph = Graph()
    x = graph.placeholder("x")
    graph.output(graph.call_function(torch.ops.quantized.linear, (x, x), {"Y_scale_i": 1.0, "Y_zero_point_i": 0}))
    with pytest.raises(ValueError, match="it names arguments: Y_scale_i, Y_zero_point_i"):
        migrate.convert_model(GraphModule(nn.Module(), graph))


def test_function_without_a_counterpart_is_refused_by_name(library):
    graph = Graph()
    x = graph.placeholder("x")
    graph.output(graph.call_function(torch.ops.quantized.int4mm_packed_weight_cpu, (x, x, x, x)))
    with pytest.raises(ValueError, match=r"no function for torch\.ops\.quantized\.int4mm_packed_weight_cpu"):
        migrate.convert_model(GraphModule(nn.Module(), graph))
