"""Quantization-aware training in graph mode: what is trained, and what becomes of it."""

import copy
import importlib

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import torchq
from quantization.fx import nets
from torchq.nn import intrinsic, qat, quantized
from torchq.quantization import (
    FakeQuantize,
    FixedQParamsFakeQuantize,
    QConfigMapping,
    QuantWrapper,
    convert,
    default_dynamic_qat_qconfig,
    default_embedding_qat_qconfig,
    fuse_modules_qat,
    get_default_qat_qconfig,
    get_default_qat_qconfig_mapping,
    prepare_qat,
)
from torchq.quantization.quantize_fx import convert_fx, prepare_fx, prepare_qat_fx


class Chain(nn.Sequential):
    """Layers one behind the other, so that eager mode observes what graph mode does."""

    def __init__(self):
        super().__init__(
            *(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()),
            *(nn.Conv2d(8, 4, 3, bias=False), nn.BatchNorm2d(4)),
            *(nn.Conv2d(4, 5, 1), nn.ReLU(), nn.Conv2d(5, 2, 1)),
        )


def train(model):
    """Three steps."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for batch in torch.randn(3, 4, 3, 8, 8, generator=torch.Generator().manual_seed(1)):
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        optimizer.step()
    return model.eval()


def fresh():
    torch.manual_seed(0)
    return Chain().train()


def prepared(model, mapping=None, *inputs):
    return prepare_qat_fx(model, mapping or get_default_qat_qconfig_mapping(), inputs)


def test_trains_and_converts_to_the_integers_of_eager_mode():
    eager = QuantWrapper(fuse_modules_qat(fresh(), [["0", "1", "2"], ["3", "4"], ["5", "6"]]))
    eager.qconfig = get_default_qat_qconfig()
    eager = convert(train(prepare_qat(eager.train())))
    graph = convert_fx(train(prepared(fresh())))
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    with torchq.no_float_fallback():
        assert torch.equal(graph(x), eager(x))
    for name in ("0", "3", "5", "7"):
        theirs, ours = eager.module.get_submodule(name), graph.get_submodule(name)
        assert type(ours) is type(theirs)
        assert (ours.scale, ours.zero_point) == (theirs.scale, theirs.zero_point)


def test_modules_are_swapped_and_share_no_parameters_with_the_model():
    model = fresh()
    observed = prepared(model)
    kinds = [type(observed.get_submodule(name)) for name in ("0", "3", "5", "7")]
    assert kinds == [intrinsic.qat.ConvBnReLU2d, intrinsic.qat.ConvBn2d, intrinsic.qat.ConvReLU2d, qat.Conv2d]
    before = copy.deepcopy(model.state_dict())
    train(observed)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_every_parameter_learns():
    observed = prepared(fresh())
    observed(torch.randn(4, 3, 8, 8)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in observed.parameters())


def test_weight_of_a_function_is_fake_quantized():
    model = nets.built(nets.Perceptron).train()
    observed = prepared(model, None, nets.inputs(nets.Perceptron, 0))
    kinds = {
        node.name: type(observed.get_submodule(node.target)) for node in observed.graph.nodes if "act" in node.name
    }
    assert all(issubclass(kind, FakeQuantize) for kind in kinds.values())
    observed(nets.inputs(nets.Perceptron, 0))["out"].sum().backward()
    assert observed.weight.grad is not None
    converted = convert_fx(observed.eval())
    # The integers are those of training: the weight's own qparams are not chosen again.
    weight_observer = next(m for m in observed.modules() if getattr(m, "scale", torch.empty(0)).numel() == 8)
    assert torch.equal(converted._packed_weight_0.weight().q_per_channel_scales().float(), weight_observer.scale)


def test_fixed_qparams_stay_fixed():
    observed = prepared(nn.Sequential(nn.Linear(4, 4), nn.Sigmoid()).train(), None, torch.ones(1, 4))
    assert type(observed.activation_post_process_2) is FixedQParamsFakeQuantize


def test_dynamic_layers_have_their_input_fake_quantized():
    mapping = QConfigMapping().set_object_type(nn.Linear, default_dynamic_qat_qconfig)
    observed = prepared(nn.Sequential(nn.Linear(4, 4)).train(), mapping, torch.ones(1, 4))
    assert type(observed.get_submodule("0")) is qat.dynamic.Linear
    observed(torch.randn(3, 4)).sum().backward()
    converted = convert_fx(observed.eval())
    assert type(converted.get_submodule("0")) is quantized.dynamic.Linear
    assert [node.op for node in converted.graph.nodes] == ["placeholder", "call_module", "output"]


def test_embeddings_are_trained_too():
    mapping = QConfigMapping().set_object_type(nn.EmbeddingBag, default_embedding_qat_qconfig)
    observed = prepared(nets.built(nets.BagOfWords).train(), mapping, nets.inputs(nets.BagOfWords, 0))
    assert type(observed.bag) is qat.EmbeddingBag
    observed(nets.inputs(nets.BagOfWords, 0)).sum().backward()
    assert observed.bag.weight.grad is not None


def test_layer_that_is_left_out_at_last_is_float_again():
    mapping = get_default_qat_qconfig_mapping().set_module_name("7", None)
    observed = train(
        prepared(fresh(), get_default_qat_qconfig_mapping().set_module_name("7", get_default_qat_qconfig()))
    )
    layer = convert_fx(observed, qconfig_mapping=mapping).get_submodule("7")
    assert type(layer) is nn.Conv2d
    assert torch.equal(layer.weight, observed.get_submodule("7").weight)


def test_modes_are_checked():
    with pytest.raises(ValueError, match=r"Chain is in eval mode: call model.train\(\) before prepare_qat_fx"):
        prepared(fresh().eval())
    with pytest.raises(
        ValueError, match=r"Chain is in training mode: call model.eval\(\) before prepare_fx, or prepare"
    ):
        prepare_fx(fresh(), get_default_qat_qconfig_mapping(), ())


@pytest.mark.parametrize("net", [nets.ResidualNet, nets.Perceptron, nets.EncoderLayer])
def test_graph_and_state_are_those_of_torch_ao(torch_ao, net):
    theirs = importlib.import_module("torch.ao.quantization.quantize_fx")
    x, model = nets.inputs(net, 0), nets.built(net).train()
    expected = theirs.prepare_qat_fx(copy.deepcopy(model), torch_ao.get_default_qat_qconfig_mapping("fbgemm"), (x,))
    observed = prepare_qat_fx(model, get_default_qat_qconfig_mapping("fbgemm"), (x,))
    assert observed.code == expected.code
    assert observed.state_dict().keys() == expected.state_dict().keys()
    expected(x)
    assert observed.load_state_dict(expected.state_dict()).missing_keys == []


def test_functions_are_trained_with_what_they_will_compute():
    class Sum(nn.Module):
        def forward(self, x):
            return F.relu(x + x)

    observed = prepared(Sum().train(), None, torch.ones(1))
    values = observed(torch.linspace(-1, 2, 50))
    assert values.min() == 0
    scale = observed.activation_post_process_1.scale
    # Rounded to multiples of the scale, in float32.
    torch.testing.assert_close(values / scale, torch.round(values / scale), rtol=0, atol=255 * 2**-22)
