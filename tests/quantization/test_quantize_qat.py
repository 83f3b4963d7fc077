import copy

import pytest
import torch
from torch import nn

from torchq.nn import intrinsic, qat, quantized
from torchq.nn.intrinsic import qat as intrinsic_qat
from torchq.nn.intrinsic import quantized as intrinsic_quantized
from torchq.quantization import (
    DeQuantStub,
    FakeQuantize,
    QuantStub,
    convert,
    default_activation_only_qconfig,
    default_embedding_qat_qconfig,
    default_weight_only_qconfig,
    disable_observer,
    fuse_modules_qat,
    get_default_qat_module_mappings,
    get_default_qat_qconfig,
    get_embedding_qat_module_mappings,
    prepare,
    prepare_qat,
    quantize_qat,
)

FUSED = [["1", "2", "3"], ["4", "5"], ["7", "8"], ["9", "10"]]


def net(qconfig="default"):
    """conv + bn + relu, conv + bn, flatten, linear + bn, linear + relu, linear between stubs."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 2), nn.BatchNorm2d(3), nn.Flatten()]
    layers += [nn.Linear(27, 8), nn.BatchNorm1d(8), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 2)]
    model = fuse_modules_qat(nn.Sequential(QuantStub(), *layers, DeQuantStub()).train(), FUSED)
    model.qconfig = get_default_qat_qconfig() if qconfig == "default" else qconfig
    return model


def images(seed=1):
    return torch.randn(16, 2, 6, 6, generator=torch.Generator().manual_seed(seed))


def train(model, steps=3):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for step in range(steps):
        optimizer.zero_grad()
        model(images(step)).square().mean().backward()
        optimizer.step()
    return model


def kinds(model, *names):
    return [type(model[int(name)]) for name in names]


def test_prepared_model_has_modules_for_training():
    prepared = prepare_qat(net())
    expected = [intrinsic_qat.ConvBnReLU2d, intrinsic_qat.ConvBn2d, intrinsic_qat.LinearBn1d, intrinsic_qat.LinearReLU]
    assert kinds(prepared, "1", "4", "7", "9", "11") == [*expected, qat.Linear]
    fake = [name for name, part in prepared.named_children() if hasattr(part, "activation_post_process")]
    assert fake == ["0", "1", "4", "7", "9", "11"]


def test_trained_model_becomes_int8():
    prepared = train(prepare_qat(net()))
    converted = convert(prepared.eval())
    expected = [intrinsic_quantized.ConvReLU2d, quantized.Conv2d, quantized.Linear, intrinsic_quantized.LinearReLU]
    assert kinds(converted, "1", "4", "7", "9", "11") == [*expected, quantized.Linear]
    assert not any(isinstance(part, FakeQuantize) for part in converted.modules())
    assert converted(images()).shape == (16, 2)


def test_outputs_are_rounded_in_training():
    prepared = train(prepare_qat(net()))
    prepared.apply(disable_observer)
    seen = []
    prepared[4].register_forward_hook(lambda module, args, output: seen.append(output.detach()))
    prepared(images())
    assert len(seen[0].unique()) <= 256


def test_copies_unless_in_place():
    model = net()
    before = copy.deepcopy(model)
    train(prepare_qat(model))
    assert repr(model) == repr(before)
    assert all(torch.equal(model.state_dict()[key], value) for key, value in before.state_dict().items())
    assert prepare_qat(model, inplace=True) is model
    assert type(model[4]) is intrinsic_qat.ConvBn2d


def test_optimizer_of_a_model_prepared_in_place_goes_on_working():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    prepare_qat(model, inplace=True)
    model(images()).square().mean().backward()
    optimizer.step()
    moved = [not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True)]
    # Batch norm takes the mean away, so that the biases of the layers before it move by rounding errors or not at all.
    assert sum(moved) >= len(moved) - 3


def test_eval_mode_is_an_error():
    with pytest.raises(ValueError, match=r"Sequential is in eval mode: call model.train\(\) before prepare_qat"):
        prepare_qat(net().eval())


def test_model_without_qconfig_is_an_error():
    with pytest.raises(ValueError, match="found nothing to quantize in Sequential"):
        prepare_qat(net(qconfig=None))


def test_module_with_qconfig_none_stays_in_float():
    model = nn.Sequential(net(None), nn.Linear(2, 2))
    model[0].qconfig, model[1].qconfig = get_default_qat_qconfig(), None
    assert type(convert(train(prepare_qat(model)))[1]) is nn.Linear


def test_container_without_counterpart_is_an_error_naming_it():
    model = nn.Sequential(nn.Linear(2, 2), intrinsic.ConvBn1d(nn.Conv1d(2, 2, 1), nn.BatchNorm1d(2)))
    model.qconfig = get_default_qat_qconfig()
    with pytest.raises(ValueError, match="'1' is a ConvBn1d, which cannot be quantized"):
        prepare_qat(model, {nn.Linear: qat.Linear})


def test_mapping_says_what_is_replaced():
    model = nn.Sequential(nn.Linear(2, 2), nn.Embedding(3, 2))
    model.qconfig = get_default_qat_qconfig()
    model[1].qconfig = default_embedding_qat_qconfig
    assert kinds(prepare_qat(model), "0", "1") == [qat.Linear, nn.Embedding]
    assert kinds(prepare_qat(model, get_embedding_qat_module_mappings()), "0", "1") == [qat.Linear, qat.Embedding]
    assert nn.Embedding not in get_default_qat_module_mappings()


def test_mapping_is_that_of_torch_ao(torch_ao):
    theirs = torch_ao.quantization_mappings.get_embedding_qat_module_mappings()
    # An attention's output layer, which attention never calls.
    del theirs[nn.modules.linear.NonDynamicallyQuantizableLinear]
    expected = {key.__name__: value.__name__ for key, value in theirs.items()}
    assert {key.__name__: value.__name__ for key, value in get_embedding_qat_module_mappings().items()} == expected


@pytest.mark.parametrize(
    ("parameter", "name"), [("weight", "4.weight"), ("bias", "4")], ids=["weight-observer", "output-observer"]
)
def test_observers_know_what_they_observe(parameter, name):
    prepared = prepare_qat(net())
    getattr(prepared[4], parameter).data[0] = float("nan")
    with pytest.raises(ValueError, match=f"of '{name}' saw NaN"):
        prepared(images())


def test_modules_made_by_hand_can_be_prepared():
    qconfig = get_default_qat_qconfig()
    model = nn.Sequential(QuantStub(), intrinsic_qat.ConvBnReLU2d(2, 4, 3, qconfig=qconfig), DeQuantStub())
    model.qconfig = qconfig
    assert type(convert(train(prepare(model)))[1]) is intrinsic_quantized.ConvReLU2d


def test_hooks_move_with_their_modules():
    model = net()
    calls = []
    model[4].register_forward_pre_hook(lambda module, args: calls.append(type(module)))
    model[4].register_forward_hook(lambda module, args, output: calls.append(type(module)))
    prepared = train(prepare_qat(model), steps=1)
    convert(prepared.eval())(images())
    assert calls == [intrinsic_qat.ConvBn2d] * 2 + [quantized.Conv2d] * 2


def test_training_that_never_ran_is_an_error():
    with pytest.raises(RuntimeError, match="cannot convert '0': FusedMovingAvgObsFakeQuantize of '0' never saw data"):
        convert(prepare_qat(net()))


@pytest.mark.parametrize(
    ("module", "x", "qconfig"),
    [
        (nn.Embedding(3, 2), torch.tensor([1]), default_embedding_qat_qconfig),
        (nn.EmbeddingBag(3, 2), torch.tensor([[1]]), default_embedding_qat_qconfig),
    ],
    ids=["Embedding", "EmbeddingBag"],
)
def test_trained_module_without_quantized_counterpart_is_an_error_naming_it(module, x, qconfig):
    model = nn.Sequential(nn.Sequential(module))
    model.qconfig = qconfig
    prepared = prepare_qat(model, get_embedding_qat_module_mappings())
    prepared(x)
    with pytest.raises(ValueError, match=rf"cannot convert '0\.0': {type(module).__name__} with a fake-quantized"):
        convert(prepared)


@pytest.mark.parametrize(
    ("qconfig", "error", "message"),
    [
        (default_weight_only_qconfig, ValueError, "its output is observed by Identity, which chooses no scale"),
        (default_activation_only_qconfig, TypeError, "weights need an observer, the qconfig's weight gives a Identity"),
    ],
    ids=["weight-only", "activation-only"],
)
def test_half_of_a_qconfig_trains_but_does_not_convert(qconfig, error, message):
    model = nn.Sequential(nn.Linear(2, 2))
    model.qconfig = qconfig
    prepared, x = prepare_qat(model), torch.randn(5, 2)
    assert not torch.equal(prepared(x), model(x))
    with pytest.raises(error, match=f"cannot convert '0': {message}"):
        convert(prepared)


def test_one_call_trains_and_converts():
    model = net().eval()
    converted = quantize_qat(model, train, [2])
    assert type(converted[4]) is quantized.Conv2d
    assert not model.training
    assert quantize_qat(model, train, [2], inplace=True) is model


def test_model_that_is_one_module_is_replaced_in_the_result():
    model = nn.Linear(4, 2)
    model.qconfig = get_default_qat_qconfig()
    prepared = prepare_qat(model)
    assert type(prepared) is qat.Linear
    prepared(torch.randn(8, 4))
    assert type(convert(prepared)) is quantized.Linear
