import pytest
import torch
from torch import nn

from torchq.nn import intrinsic
from torchq.quantization import (
    fuse_conv_bn,
    fuse_conv_bn_relu,
    fuse_known_modules,
    fuse_linear_bn,
    fuse_modules,
    fuse_modules_qat,
    fuser_method_mappings,
    get_fuser_method,
)


def conv_net():
    """conv, bn, relu with running statistics, in eval mode."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())
    model(torch.randn(8, 3, 6, 6))
    return model.eval()


def linear_net():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU())
    model(torch.randn(8, 3))
    return model.eval()


@pytest.mark.parametrize(
    ("model", "names", "types"),
    [
        (conv_net, ["0", "1"], [nn.Conv2d, nn.Identity, nn.ReLU]),
        (conv_net, ["0", "1", "2"], [intrinsic.ConvReLU2d, nn.Identity, nn.Identity]),
        (linear_net, ["0", "1"], [nn.Linear, nn.Identity, nn.ReLU]),
    ],
    ids=["conv-bn", "conv-bn-relu", "linear-bn"],
)
def test_folds_batch_norm(model, names, types):
    model = model()
    fused = fuse_modules(model, names)
    assert [type(module) for module in fused] == types
    x = torch.randn(2, 3, 6, 6) if isinstance(model[0], nn.Conv2d) else torch.randn(2, 3)
    torch.testing.assert_close(fused(x), model(x))


@pytest.mark.parametrize("fuse", [fuse_modules, fuse_modules_qat])
@pytest.mark.parametrize(
    ("first", "fused"),
    [
        (nn.Conv1d(3, 4, 3), intrinsic.ConvReLU1d),
        (nn.Conv2d(3, 4, 3), intrinsic.ConvReLU2d),
        (nn.Conv3d(3, 4, 3), intrinsic.ConvReLU3d),
        (nn.Linear(3, 4), intrinsic.LinearReLU),
        (nn.BatchNorm2d(3), intrinsic.BNReLU2d),
        (nn.BatchNorm3d(3), intrinsic.BNReLU3d),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_joins_relu(fuse, first, fused):
    model = nn.Sequential(first, nn.ReLU())
    assert [type(module) for module in fuse(model, ["0", "1"])] == [fused, nn.Identity]


CONVS = {1: (nn.Conv1d, nn.BatchNorm1d), 2: (nn.Conv2d, nn.BatchNorm2d), 3: (nn.Conv3d, nn.BatchNorm3d)}


def untrained_net(dim):
    conv, bn = CONVS[dim]
    return nn.Sequential(conv(3, 4, 3), bn(4), nn.ReLU())


@pytest.mark.parametrize("dim", CONVS)
def test_folds_batch_norm_of_any_dimension(dim):
    model = untrained_net(dim)
    model(torch.randn(8, 3, *[6] * dim))
    x = torch.randn(2, 3, *[6] * dim)
    fused = fuse_modules(model.eval(), ["0", "1", "2"])
    assert type(fused[0]) is getattr(intrinsic, f"ConvReLU{dim}d")
    torch.testing.assert_close(fused(x), model(x))


TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("dim", CONVS)
def test_folds_batch_norm_into_a_transposed_convolution(dim, groups):
    torch.manual_seed(0)
    model = nn.Sequential(TRANSPOSED[dim](4, 6, 3, stride=2, groups=groups), CONVS[dim][1](6))
    model(torch.randn(8, 4, *[4] * dim))
    with torch.no_grad():
        model[1].weight.uniform_(0.5, 2)
    x = torch.randn(2, 4, *[4] * dim)
    fused = fuse_modules(model.eval(), ["0", "1"])
    assert [type(module) for module in fused] == [TRANSPOSED[dim], nn.Identity]
    torch.testing.assert_close(fused(x), model(x))


def test_transposed_convolution_is_not_trained_with_batch_norm_folded_into_it():
    model = nn.Sequential(nn.ConvTranspose2d(3, 4, 3), nn.BatchNorm2d(4))
    with pytest.raises(NotImplementedError, match=r"cannot fuse \['0', '1'\]: cannot train ConvTranspose2d"):
        fuse_modules_qat(model, ["0", "1"])
    with pytest.raises(ValueError, match="in training mode"):
        fuse_modules(model, ["0", "1"])


@pytest.mark.parametrize("dim", CONVS)
@pytest.mark.parametrize(("names", "container"), [(["0", "1"], "ConvBn"), (["0", "1", "2"], "ConvBnReLU")])
def test_training_keeps_batch_norm_in_a_container(dim, names, container):
    model = untrained_net(dim)
    fused = fuse_modules_qat(model, names, inplace=True)
    assert type(fused[0]) is getattr(intrinsic, f"{container}{dim}d")
    assert fused[0][1].weight is model[0][1].weight
    assert fused.training


def test_training_keeps_batch_norm_behind_a_linear_layer():
    model = linear_net().train()
    fused = fuse_modules_qat(model, ["0", "1"])
    assert type(fused[0]) is intrinsic.LinearBn1d
    x = torch.randn(8, 3)
    assert torch.equal(fused(x), model(x))


def test_training_copies_unless_in_place():
    model = conv_net().train()
    assert fuse_modules_qat(model, ["0", "1", "2"]) is not model
    assert type(model[0]) is nn.Conv2d


@pytest.mark.parametrize(
    ("bn", "message"),
    [
        (nn.BatchNorm2d(4).eval(), "must all be in the same mode, got BatchNorm2d: eval, Conv2d: train"),
        (nn.BatchNorm2d(5), "BatchNorm2d has 5 features, the layer before it 4 channels"),
        (nn.BatchNorm2d(4, affine=False), "must have affine=True and track_running_stats=True .* False and True"),
        (nn.BatchNorm2d(4, track_running_stats=False), "must have affine=True .* True and False"),
    ],
    ids=["mode", "channels", "affine", "statistics"],
)
def test_batch_norm_that_cannot_be_trained_folded_is_an_error(bn, message):
    with pytest.raises(ValueError, match=rf"cannot fuse \['0', '1'\]: .*{message}"):
        fuse_modules_qat(nn.Sequential(nn.Conv2d(3, 4, 3), bn), ["0", "1"])


def test_fuser_refuses_another_convolution():
    with pytest.raises(NotImplementedError, match="cannot fuse ConvTranspose2d with batch norm; known are Conv1d"):
        fuse_conv_bn(True, nn.ConvTranspose2d(3, 4, 3), nn.BatchNorm2d(4))


def test_several_lists_name_nested_modules():
    model = nn.Sequential(conv_net(), nn.Flatten(), nn.Sequential(nn.Linear(64, 4), nn.ReLU())).eval()
    fused = fuse_modules(model, [["0.0", "0.1", "0.2"], ["2.0", "2.1"]])
    assert type(fused[0][0]) is intrinsic.ConvReLU2d
    assert type(fused[2][0]) is intrinsic.LinearReLU


def test_copies_unless_in_place():
    model = conv_net()
    assert fuse_modules(model, ["0", "1", "2"]) is not model
    assert type(model[0]) is nn.Conv2d
    assert fuse_modules(model, ["0", "1", "2"], inplace=True) is model
    assert type(model[0]) is intrinsic.ConvReLU2d


def test_training_mode_is_an_error():
    with pytest.raises(ValueError, match=r"cannot fuse \['0', '1'\].*in training mode: call model.eval\(\)"):
        fuse_modules(conv_net().train(), ["0", "1"])


def test_unknown_pattern_is_an_error_that_lists_the_known():
    with pytest.raises(NotImplementedError, match=r"cannot fuse ReLU \+ Conv2d; known are .*Conv2d \+ BatchNorm2d"):
        fuse_known_modules([nn.ReLU(), nn.Conv2d(1, 1, 1)])


def test_unknown_name_is_an_error():
    with pytest.raises(AttributeError, match="conv9"):
        fuse_modules(conv_net(), ["conv9", "1"])


def test_outer_hooks_move_to_the_fused_module():
    model = conv_net()
    calls = []
    model[0].register_forward_pre_hook(lambda module, args, kwargs: calls.append("before"), with_kwargs=True)
    model[2].register_forward_hook(lambda module, args, output: calls.append("after"))
    fuse_modules(model, ["0", "1", "2"])(torch.randn(1, 3, 6, 6))
    assert calls == ["before", "after"]


def test_hook_between_the_modules_is_an_error():
    model = conv_net()
    model[1].register_forward_hook(lambda module, args, output: None)
    with pytest.raises(ValueError, match="hooks between BatchNorm2d and ReLU would be lost"):
        fuse_modules(model, ["0", "1", "2"])


def test_custom_fuser_goes_before_the_known():
    mapping = {"additional_fuser_method_mapping": {(nn.Linear, nn.Tanh): lambda is_qat, linear, tanh: linear}}
    fused = fuse_modules(nn.Sequential(nn.Linear(2, 2), nn.Tanh()), ["0", "1"], fuse_custom_config_dict=mapping)
    assert [type(module) for module in fused] == [nn.Linear, nn.Identity]


def test_fuser_of_types_is_the_known_or_the_callers():
    assert get_fuser_method((nn.Conv2d, nn.BatchNorm2d)) is fuse_conv_bn
    assert get_fuser_method((nn.Conv1d, nn.BatchNorm1d, nn.ReLU)) is fuse_conv_bn_relu
    own = {(nn.Linear, nn.BatchNorm1d): lambda is_qat, linear, bn: linear}
    assert get_fuser_method((nn.Linear, nn.BatchNorm1d), own) is own[nn.Linear, nn.BatchNorm1d]
    assert get_fuser_method((nn.Linear, nn.BatchNorm1d)) is fuse_linear_bn
    with pytest.raises(NotImplementedError, match=r"cannot fuse Linear \+ Tanh; known are"):
        get_fuser_method((nn.Linear, nn.Tanh))


def test_patterns_are_those_of_torch_ao(torch_ao):
    theirs = torch_ao.fuser_method_mappings._DEFAULT_OP_LIST_TO_FUSER_METHOD
    assert set(fuser_method_mappings.DEFAULT_OP_LIST_TO_FUSER_METHOD) == set(theirs)


def test_own_function_may_fuse():
    seen = []

    def fuser(modules, is_qat, additional):
        seen.append((is_qat, additional))
        return [nn.Sequential(*modules), nn.Identity()]

    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    own = {"additional_fuser_method_mapping": {(nn.Linear, nn.Tanh): None}}
    fused = fuse_modules(model, ["0", "1"], fuser_func=fuser, fuse_custom_config_dict=own)
    assert [type(module) for module in fused] == [nn.Sequential, nn.Identity]
    fuse_modules_qat(model, ["0", "1"], fuser_func=fuser)
    assert seen == [(False, own["additional_fuser_method_mapping"]), (True, {})]


@pytest.mark.parametrize(("last", "container"), [(nn.Tanh(), "LinearTanh"), (nn.LeakyReLU(), "LinearLeakyReLU")])
def test_own_pattern_may_make_any_container(last, container):
    kind = getattr(intrinsic, container)
    own = {"additional_fuser_method_mapping": {(nn.Linear, type(last)): lambda is_qat, *modules: kind(*modules)}}
    model = nn.Sequential(nn.Linear(2, 2), last)
    assert type(fuse_modules(model, ["0", "1"], fuse_custom_config_dict=own)[0]) is kind
