import pytest
import torch
from torch import nn

from torchq.nn import intrinsic
from torchq.quantization import fuse_known_modules, fuse_modules


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


@pytest.mark.parametrize(
    ("first", "fused"), [(nn.Conv2d(3, 4, 3), intrinsic.ConvReLU2d), (nn.Linear(3, 4), intrinsic.LinearReLU)],
    ids=["conv-relu", "linear-relu"],
)  # fmt: skip
def test_joins_relu(first, fused):
    assert type(fuse_modules(nn.Sequential(first, nn.ReLU()), ["0", "1"])[0]) is fused


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


def test_quantization_aware_fusion_is_an_error():
    with pytest.raises(ValueError, match="is_qat must be False"):
        fuse_known_modules(list(conv_net()), is_qat=True)


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


@pytest.mark.parametrize("container", [intrinsic.ConvReLU2d, intrinsic.LinearReLU, intrinsic.ConvBn2d])
def test_container_refuses_other_types(container):
    with pytest.raises(TypeError, match=f"{container.__name__} takes .*, got \\(Tanh, ReLU\\)"):
        container(nn.Tanh(), nn.ReLU())
