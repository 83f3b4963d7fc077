"""fuse_fx: which calls become one, and what stays as it is."""

import copy
import operator

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from quantization.fx import nets
from torchq.nn import intrinsic
from torchq.quantization import get_default_qat_qconfig_mapping
from torchq.quantization.backend_config import get_onednn_backend_config
from torchq.quantization.fx.custom_config import FuseCustomConfig
from torchq.quantization.quantize_fx import fuse_fx, prepare_qat_fx

X = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """Modules, called as ``run`` says."""

    def __init__(self, run, **modules):
        super().__init__()
        self.run = run
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x):
        return self.run(self, x)


def fresh(run, **modules):
    torch.manual_seed(0)
    model = Net(run, **modules).eval()
    for module in model.modules():
        if hasattr(module, "running_var"):
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.running_mean)
    return model


def called(model):
    """The types of the modules that a graph calls, and the functions by name."""
    return [
        type(model.get_submodule(node.target)).__name__ if node.op == "call_module" else node.name
        for node in model.graph.nodes
        if node.op.startswith("call_")
    ]


def assert_computes_the_same(fused, model):
    # Folding rounds each weight once more; 27 products of a few units are summed, each off by half an ulp at most.
    torch.testing.assert_close(fused(X), model(X), rtol=0, atol=27 * 8 * 2**-23)


def conv():
    return nn.Conv2d(3, 3, 3, padding=1)


@pytest.mark.parametrize(
    ("run", "modules", "expected"),
    [
        (lambda m, x: m.relu(m.bn(m.conv(x))), {"bn": nn.BatchNorm2d(3), "relu": nn.ReLU()}, ["ConvReLU2d"]),
        (lambda m, x: F.relu(m.bn(m.conv(x))), {"bn": nn.BatchNorm2d(3)}, ["ConvReLU2d"]),
        (lambda m, x: m.bn(m.conv(x)), {"bn": nn.BatchNorm2d(3)}, ["Conv2d"]),
        (lambda m, x: F.relu(m.conv(x)), {}, ["ConvReLU2d"]),
        (lambda m, x: F.relu(m.bn(x)), {"bn": nn.BatchNorm2d(3)}, ["BNReLU2d"]),
        (
            lambda m, x: m.bn(m.up(x)),
            {"up": nn.ConvTranspose2d(3, 3, 2, 2), "bn": nn.BatchNorm2d(3)},
            ["ConvTranspose2d"],
        ),
        (lambda m, x: m.bn(m.fc(x.mean((2, 3)))), {"fc": nn.Linear(3, 4), "bn": nn.BatchNorm1d(4)}, ["mean", "Linear"]),
    ],
    ids=["conv-bn-relu", "conv-bn-function", "conv-bn", "conv-relu", "bn-relu", "transposed-bn", "linear-bn"],
)
def test_pattern_becomes_one_module(run, modules, expected):
    model = fresh(run, conv=conv(), **modules)
    fused = fuse_fx(model)
    assert called(fused) == expected
    assert_computes_the_same(fused, model)


def test_fused_module_has_the_name_of_the_first():
    fused = fuse_fx(nets.built(nets.ResidualNet))
    assert type(fused.conv1) is intrinsic.ConvReLU2d
    assert type(fused.conv2) is nn.Conv2d
    assert not hasattr(fused, "bn1")


def test_result_that_is_used_elsewhere_too_is_left_alone():
    model = fresh(lambda m, x: (lambda y: m.bn(y) + y)(m.conv(x)), conv=conv(), bn=nn.BatchNorm2d(3))
    assert called(fuse_fx(model)) == ["Conv2d", "BatchNorm2d", "add"]


def test_layer_that_is_called_with_and_without_batch_norm_is_left_alone():
    model = fresh(lambda m, x: m.conv(m.bn(m.conv(x))), conv=conv(), bn=nn.BatchNorm2d(3))
    fused = fuse_fx(model)
    assert called(fused) == ["Conv2d", "BatchNorm2d", "Conv2d"]
    assert torch.equal(fused(X), model(X))


def test_layers_that_are_always_called_together_are_fused_once():
    model = fresh(lambda m, x: m.bn(m.conv(m.bn(m.conv(x)))), conv=conv(), bn=nn.BatchNorm2d(3))
    fused = fuse_fx(model)
    assert [node.target for node in fused.graph.nodes if node.op == "call_module"] == ["conv", "conv"]
    # The second call multiplies the error of the first by sums of 27 weights below 1.
    torch.testing.assert_close(fused(X), model(X), rtol=0, atol=27 * 27 * 8 * 2**-23)


def test_relu_may_be_shared():
    model = fresh(lambda m, x: m.relu(m.b(m.relu(m.a(x)))), a=conv(), b=conv(), relu=nn.ReLU())
    assert called(fuse_fx(model)) == ["ConvReLU2d", "ConvReLU2d"]


def test_model_itself_is_left_alone():
    model = nets.built(nets.ResidualNet)
    before = copy.deepcopy(model)
    fuse_fx(model)
    assert repr(model) == repr(before)
    assert all(
        torch.equal(a, b) for a, b in zip(model.state_dict().values(), before.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("add", [operator.add, torch.add])
@pytest.mark.parametrize("norm", [False, True], ids=["plain", "norm"])
@pytest.mark.parametrize("relu", [False, True], ids=["sum", "sum-relu"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_onednn_fuses_a_convolution_with_a_sum(add, norm, relu, side):
    def run(m, x):
        y = m.bn(m.conv(x)) if norm else m.conv(x)
        y = add(y, x) if side == "left" else add(x, y)
        return m.relu(y) if relu else y

    model = fresh(run, conv=conv(), bn=nn.BatchNorm2d(3), relu=nn.ReLU())
    fused = fuse_fx(model, backend_config=get_onednn_backend_config())
    assert called(fused) == ["ConvAddReLU2d" if relu else "ConvAdd2d"]
    assert [arg.name for node in fused.graph.nodes for arg in node.args if node.name == "conv"] == ["x", "x"]
    assert_computes_the_same(fused, model)


def test_onednn_fuses_a_sum_of_two_convolutions_with_the_first():
    model = fresh(
        lambda m, x: m.bn(m.a(x)) + m.norm(m.b(x)), a=conv(), b=conv(), bn=nn.BatchNorm2d(3), norm=nn.BatchNorm2d(3)
    )
    fused = fuse_fx(model, backend_config=get_onednn_backend_config())
    assert called(fused) == ["Conv2d", "ConvAdd2d"]
    assert_computes_the_same(fused, model)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (lambda m, x: m.leaky(m.fc(x)), "LinearLeakyReLU"),
        (lambda m, x: F.leaky_relu(m.fc(x), 0.2), "LinearLeakyReLU"),
        (lambda m, x: m.leaky(m.bn(m.fc(x))), "LinearLeakyReLU"),
        (lambda m, x: m.tanh(m.fc(x)), "LinearTanh"),
        (lambda m, x: torch.tanh(m.fc(x)), "LinearTanh"),
    ],
    ids=["leaky", "leaky-function", "bn-leaky", "tanh", "tanh-function"],
)
def test_onednn_fuses_linear_layers_with_their_activation(run, expected):
    modules = {"fc": nn.Linear(6, 4), "bn": nn.BatchNorm1d(4), "leaky": nn.LeakyReLU(0.2), "tanh": nn.Tanh()}
    model, x = fresh(run, **modules), X[:, 0, 0]
    fused = fuse_fx(model, backend_config=get_onednn_backend_config())
    assert called(fused) == [expected]
    # As for convolutions, of 6 products.
    torch.testing.assert_close(fused(x), model(x), rtol=0, atol=6 * 8 * 2**-23)


def test_hooks_of_the_first_and_last_module_move_to_the_fused_one():
    seen = []
    model = fresh(lambda m, x: m.relu(m.bn(m.conv(x))), conv=conv(), bn=nn.BatchNorm2d(3), relu=nn.ReLU())
    model.conv.register_forward_pre_hook(lambda module, args: seen.append(("before", type(module).__name__)))
    model.relu.register_forward_hook(lambda module, args, output: seen.append(("after", type(module).__name__)))
    fuse_fx(model)(X)
    assert seen == [("before", "ConvReLU2d"), ("after", "ConvReLU2d")]


def test_hooks_between_are_an_error_that_names_the_modules():
    model = fresh(lambda m, x: m.bn(m.conv(x)), conv=conv(), bn=nn.BatchNorm2d(3))
    model.bn.register_forward_pre_hook(lambda module, args: None)
    with pytest.raises(ValueError, match=r"cannot fuse \['conv', 'bn'\]: hooks between Conv2d and BatchNorm2d"):
        fuse_fx(model)


def test_batch_norm_in_training_mode_is_an_error():
    model = fresh(lambda m, x: m.bn(m.conv(x)), conv=conv(), bn=nn.BatchNorm2d(3)).train()
    with pytest.raises(ValueError, match=r"cannot fuse \['conv', 'bn'\]: .* in training mode: call model.eval\(\)"):
        fuse_fx(model)


def test_attributes_are_preserved():
    model = fresh(lambda m, x: F.relu(m.conv(x)), conv=conv())
    model.labels = ["cat", "dog"]
    fused = fuse_fx(model, FuseCustomConfig().set_preserved_attributes(["labels"]))
    assert copy.deepcopy(fused).labels == ["cat", "dog"]
    assert fuse_fx(model, {"preserved_attributes": ["labels"]}).labels == ["cat", "dog"]
    with pytest.raises(ValueError, match="Net has no attribute 'names' to preserve"):
        fuse_fx(model, FuseCustomConfig().set_preserved_attributes(["names"]))


def test_training_keeps_batch_norm():
    model = nets.built(nets.ResidualNet).train()
    prepared = prepare_qat_fx(model, get_default_qat_qconfig_mapping(), (nets.inputs(nets.ResidualNet, 0),))
    assert type(prepared.conv1) is intrinsic.qat.ConvBnReLU2d
    assert type(prepared.conv2) is intrinsic.qat.ConvBn2d


def test_what_cannot_be_trained_as_one_stays_apart():
    model = nets.built(nets.UNet).train()
    prepared = prepare_qat_fx(model, get_default_qat_qconfig_mapping(), (nets.inputs(nets.UNet, 0),))
    assert type(prepared.up.get_submodule("0")) is nn.ConvTranspose2d
    assert type(prepared.up.get_submodule("1")) is nn.BatchNorm2d
