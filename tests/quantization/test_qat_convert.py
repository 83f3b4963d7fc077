"""What training simulates is what int8 computes."""

import pytest
import torch
from torch import nn

import torchq
from torchq.nn.quantized import FloatFunctional
from torchq.quantization import (
    DeQuantStub,
    QuantStub,
    convert,
    disable_observer,
    fuse_modules_qat,
    get_default_qat_qconfig,
    prepare_qat,
)


class Net(nn.Module):
    """Every kind of layer that trains and converts, with a residual sum."""

    def __init__(self):
        super().__init__()
        self.quant, self.dequant = QuantStub(), DeQuantStub()
        self.conv1, self.bn1, self.relu1 = nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()
        self.conv2, self.bn2 = nn.Conv2d(16, 16, 3, padding=1, groups=4, bias=False), nn.BatchNorm2d(16)
        self.sum = FloatFunctional()
        self.conv3, self.relu3 = nn.Conv2d(16, 8, 3, stride=2), nn.ReLU()
        self.conv4 = nn.Conv2d(8, 8, 1)
        self.fc1, self.bn5 = nn.Linear(72, 32), nn.BatchNorm1d(32)
        self.fc2, self.relu6 = nn.Linear(32, 16), nn.ReLU()
        self.fc3 = nn.Linear(16, 4)

    def forward(self, x):
        x = self.relu1(self.bn1(self.conv1(self.quant(x))))
        x = self.sum.add_relu(x, self.bn2(self.conv2(x)))
        x = self.conv4(self.relu3(self.conv3(x))).flatten(1)
        return self.dequant(self.fc3(self.relu6(self.fc2(self.bn5(self.fc1(x))))))


FUSED = [["conv1", "bn1", "relu1"], ["conv2", "bn2"], ["conv3", "relu3"], ["fc1", "bn5"], ["fc2", "relu6"]]
LAYERS = ["conv1", "conv2", "conv3", "conv4", "fc1", "fc2", "fc3"]


def images(seed):
    return torch.randn(32, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module", params=[None, "qnnpack"], ids=["per-channel", "per-tensor"])
def models(request):
    """The trained net with frozen fake quantizers, and its int8 form."""
    torch.manual_seed(0)
    model = fuse_modules_qat(Net().train(), FUSED)
    model.qconfig = get_default_qat_qconfig(request.param)
    prepared = prepare_qat(model)
    optimizer = torch.optim.SGD(prepared.parameters(), lr=0.05)
    for step in range(10):
        optimizer.zero_grad()
        prepared(images(step)).square().mean().backward()
        optimizer.step()
    prepared.eval().apply(disable_observer)
    return prepared, convert(prepared)


@pytest.mark.parametrize("name", LAYERS)
def test_weights_are_the_integers_of_the_simulation(models, name):
    trained, int8 = (model.get_submodule(name) for model in models)
    simulated = trained.weight_fake_quant(trained.folded_weight_bias()[0])
    assert torch.equal(int8.weight().dequantize(), simulated)


@pytest.mark.parametrize("name", LAYERS)
def test_layer_gives_the_integers_of_the_simulation(models, name):
    trained, int8 = (model.get_submodule(name) for model in models)
    seen = []
    handle = trained.register_forward_hook(lambda module, args, output: seen.append((args[0], output)))
    with torch.no_grad():
        models[0](images(99))
    handle.remove()
    (x, output), source = seen[0], {"conv1": "quant", "conv2": "conv1", "conv3": "sum", "conv4": "conv3"}
    before = models[1].get_submodule(source.get(name) or LAYERS[LAYERS.index(name) - 1])
    given = int8(torchq.quantize_per_tensor(x, before.scale, before.zero_point, torchq.quint8)).int_repr().int()
    expected = torchq.quantize_per_tensor(output, int8.scale, int8.zero_point, torchq.quint8).int_repr().int()
    difference = (given - expected).abs()
    # Sums are exact in int8 and rounded in float32, so that a value next to a tie may go the other way: no more than
    # one step, and with sums over at most 144 products, whose errors are some 1e-5 of a step, at 1 in 10,000 places.
    assert difference.max() <= 1
    assert difference.float().mean() < 1e-4 if difference.numel() > 10000 else difference.sum() <= 1


def test_whole_network_is_at_most_a_step_or_two_off(models):
    trained, int8 = models
    with torch.no_grad():
        expected = trained(images(99))
    # A step that differs in one layer moves few outputs, by parts of a step.
    assert (int8(images(99)) - expected).abs().max() <= 2 * int8.fc3.scale


def test_weight_beyond_its_range_is_clamped_as_in_training():
    model = nn.Sequential(QuantStub(), nn.Linear(4, 3))
    default = get_default_qat_qconfig()
    model.qconfig = default._replace(weight=default.weight.with_args(quant_min=-8, quant_max=7))
    prepared = prepare_qat(model)
    prepared(torch.randn(5, 4))
    prepared.apply(disable_observer)
    prepared[1].weight.data.mul_(3)
    simulated = prepared[1].weight_fake_quant(prepared[1].weight)
    weight = convert(prepared)[1].weight()
    assert (weight.int_repr().min(), weight.int_repr().max()) == (-8, 7)
    assert torch.equal(weight.dequantize(), simulated)


def test_7_bit_activations_are_clamped_in_training_only():
    # torch.ao's settings leave the last bit free, which its kernels may use and its fake quantizers may not.
    model = nn.Sequential(QuantStub(), DeQuantStub(), nn.Linear(1, 1))
    model.qconfig = get_default_qat_qconfig("fbgemm")
    prepared = prepare_qat(model)
    prepared(torch.tensor([[0.0], [1.0]]))
    prepared.apply(disable_observer)
    x = torch.tensor([[1.5]])
    assert prepared[0](x).item() == 1.0
    assert convert(prepared)[0](x).dequantize().item() == pytest.approx(1.5, abs=0.5 / 127)
