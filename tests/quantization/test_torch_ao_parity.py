"""The same recipe through torch.ao (fbgemm engine) and torchq gives the same qparams and the same integers."""

import pytest
import torch
from torch import nn

import torchq
import torchq.quantization
from torchq.nn.quantized import FloatFunctional, QFunctional

BACKENDS = ["fbgemm", "x86", "onednn", "qnnpack"]
EIGHT_BITS = {"onednn", "qnnpack"}


class ResidualNet(nn.Module):
    def __init__(self, quantization, functional):
        super().__init__()
        self.quant, self.dequant = quantization.QuantStub(), quantization.DeQuantStub()
        self.conv1, self.bn1, self.relu1 = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, padding=1, groups=2, bias=False), nn.BatchNorm2d(8)
        self.add, self.cat = functional(), functional()
        self.conv3 = nn.Conv2d(16, 6, (3, 1), stride=(2, 1), dilation=(2, 1))
        self.pool = nn.MaxPool2d(2)
        self.fc1, self.relu2, self.fc2 = nn.Linear(24, 32), nn.ReLU(), nn.Linear(32, 10)

    def forward(self, x):
        x = self.relu1(self.bn1(self.conv1(self.quant(x))))
        y = self.bn2(self.conv2(x))
        x = self.conv3(self.cat.cat([self.add.add_relu(x, y), y], dim=1))
        x = self.pool(x).flatten(1)
        return self.dequant(self.fc2(self.relu2(self.fc1(x))))


def images(seed, *size):
    return torch.randn(*size, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def run(quantization, functional, backend):
    """Returns the prepared and the converted net."""
    torch.manual_seed(0)
    model = ResidualNet(quantization, functional)
    for batch in images(0, 3, 8):
        model(batch)
    model.eval()
    model = quantization.fuse_modules(model, [["conv1", "bn1", "relu1"], ["conv2", "bn2"], ["fc1", "relu2"]])
    model.qconfig = quantization.get_default_qconfig(backend)
    prepared = quantization.prepare(model)
    for batch in images(1, 4, 8):
        prepared(batch)
    return prepared, quantization.convert(prepared)


@pytest.fixture
def nets(torch_ao, backend):
    theirs = run(torch_ao, torch.ao.nn.quantized.FloatFunctional, backend)
    return theirs, run(torchq.quantization, FloatFunctional, backend)


def integers_by_layer(model, x):
    """What each converted layer gave, by name; both libraries' tensors have int_repr."""
    seen = {}
    layers = {name: module for name, module in model.named_modules() if hasattr(module, "zero_point")}
    for name, module in layers.items():
        module.register_forward_hook(lambda m, args, output, name=name: seen.update({name: output.int_repr()}))
    seen["output"] = model(x)
    return seen


@pytest.mark.parametrize("backend", BACKENDS)
def test_observers_see_the_same(nets):
    (theirs, _), (ours, _) = nets
    expected = {name: value for name, value in theirs.state_dict().items() if "activation_post_process" in name}
    observed = {name: value for name, value in ours.state_dict().items() if "activation_post_process" in name}
    assert observed.keys() == expected.keys()
    assert all(torch.equal(observed[name], value) for name, value in expected.items())


@pytest.mark.parametrize("backend", BACKENDS)
def test_weights_have_the_same_integers(nets):
    (_, theirs), (_, ours) = nets
    for name in ("conv1", "conv2", "conv3", "fc1", "fc2"):
        weight = ours.get_submodule(name).weight()
        assert torch.equal(weight.int_repr(), theirs.get_submodule(name).weight().int_repr())


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_layer_gives_the_same_integers(nets, backend):
    if backend in EIGHT_BITS and not torch.cpu._is_vnni_supported():
        pytest.skip("without VNNI instructions torch.ao's sums saturate where activations have all 8 bits")
    (_, theirs), (_, ours) = nets
    x = images(2, 16)
    expected, given = integers_by_layer(theirs, x), integers_by_layer(ours, x)
    assert given.keys() == expected.keys()
    assert all(torch.equal(given[name], value) for name, value in expected.items())


@pytest.mark.parametrize("backend", ["fbgemm"])
def test_printed_net_has_the_same_layers(nets):
    (_, theirs), (_, ours) = nets
    for name in ("conv1", "conv2", "conv3", "fc1", "fc2"):
        expected = repr(theirs.get_submodule(name)).replace("torch.per_", "torchq.per_")
        assert repr(ours.get_submodule(name)) == expected


@pytest.mark.parametrize("dtype", ["quint8", "qint8"])
@pytest.mark.parametrize("number", [0.37, -1.9, 3.0, 100.0, -100.0, 0.0, 2.5e-3], ids=str)
@pytest.mark.parametrize("name", ["add_scalar", "mul_scalar"])
def test_operation_with_a_number(torch_ao, name, number, dtype):
    x = images(3, 4) * 2
    theirs = getattr(torch.ao.nn.quantized.QFunctional(), name)(
        torch.quantize_per_tensor(x, 0.05, 40, getattr(torch, dtype)), number
    )
    ours = QFunctional()
    ours.set_output_qparams(1.0, 0, getattr(torchq, dtype))
    result = getattr(ours, name)(torchq.quantize_per_tensor(x, 0.05, 40, getattr(torchq, dtype)), number)
    assert (result.q_scale(), result.q_zero_point()) == (theirs.q_scale(), theirs.q_zero_point())
    assert torch.equal(result.int_repr(), theirs.int_repr())


@pytest.mark.parametrize("name", ["mul", "matmul"])
def test_product_is_at_most_one_apart(torch_ao, name):
    x, y = images(4, 4), images(5, 4)
    theirs, ours = torch.ao.nn.quantized.QFunctional(), QFunctional()
    theirs.scale, theirs.zero_point = ours.scale, ours.zero_point = 0.06, 120
    expected = getattr(theirs, name)(*(torch.quantize_per_tensor(t, 0.03, 130, torch.quint8) for t in (x, y)))
    result = getattr(ours, name)(*(torchq.quantize_per_tensor(t, 0.03, 130, torchq.quint8) for t in (x, y)))
    difference = (result.int_repr().int() - expected.int_repr().int()).abs()
    assert difference.max() <= 1
    assert (difference != 0).float().mean() < 0.01


def test_cat_of_different_qparams(torch_ao):
    parts = [(images(6, 4), 0.03, 130), (images(7, 4), 0.021, 99)]
    theirs, ours = torch.ao.nn.quantized.QFunctional(), QFunctional()
    theirs.scale, theirs.zero_point = ours.scale, ours.zero_point = 0.03, 130
    expected = theirs.cat([torch.quantize_per_tensor(*part, torch.quint8) for part in parts], dim=1)
    result = ours.cat([torchq.quantize_per_tensor(*part, torchq.quint8) for part in parts], dim=1)
    assert torch.equal(result.int_repr(), expected.int_repr())
