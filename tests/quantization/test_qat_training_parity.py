"""A small network trained by torch.ao's recipe and by torchq's reaches the same scales and the same weights."""

import pytest
import torch
from torch import nn

import torchq.nn.quantized
import torchq.quantization

FUSED = [["conv1", "bn1", "relu1"], ["conv2", "bn2"], ["fc1", "relu2"]]
LAYERS = ["conv1", "conv2", "fc1", "fc2"]


class Net(nn.Module):
    def __init__(self, quantization, functional):
        super().__init__()
        self.quant, self.dequant = quantization.QuantStub(), quantization.DeQuantStub()
        self.conv1, self.bn1, self.relu1 = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, padding=1, groups=2, bias=False), nn.BatchNorm2d(8)
        self.sum = functional()
        self.fc1, self.relu2, self.fc2 = nn.Linear(512, 32), nn.ReLU(), nn.Linear(32, 10)

    def forward(self, x):
        x = self.relu1(self.bn1(self.conv1(self.quant(x))))
        x = self.sum.add(x, self.bn2(self.conv2(x)))
        return self.dequant(self.fc2(self.relu2(self.fc1(x.flatten(1)))))


def train(quantization, functional, qconfig):
    torch.manual_seed(0)
    model = quantization.fuse_modules_qat(Net(quantization, functional).train(), FUSED)
    model.qconfig = qconfig
    prepared = quantization.prepare_qat(model)
    optimizer = torch.optim.SGD(prepared.parameters(), lr=0.1, momentum=0.9)
    generator = torch.Generator().manual_seed(1)
    for _ in range(5):
        x = torch.randn(16, 3, 8, 8, generator=generator)
        loss = nn.functional.cross_entropy(prepared(x), (10 * x.mean((1, 2, 3)).sigmoid()).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return prepared.eval()


@pytest.fixture(params=["fbgemm", "qnnpack"])
def models(torch_ao, request):
    backend = request.param
    theirs = train(torch_ao, torch.ao.nn.quantized.FloatFunctional, torch_ao.get_default_qat_qconfig(backend, 0))
    qconfig = torchq.quantization.get_default_qat_qconfig(backend, 0)
    return theirs, train(torchq.quantization, torchq.nn.quantized.FloatFunctional, qconfig)


def test_states_agree(models):
    theirs, ours = (model.state_dict() for model in models)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        # The same float32 operations, up to the order of sums, whose errors five steps of training amplify; and an
        # activation in a few thousand that lies next to a tie may be rounded the other way, by 1/128 of the range.
        tolerance = 1e-3 if value.is_floating_point() else 0
        torch.testing.assert_close(ours[name], value, rtol=tolerance, atol=tolerance, msg=lambda text, n=name: n + text)


def test_converted_weights_agree(models, torch_ao):
    theirs, ours = models
    # Or torch.ao would observe the weights once more while it converts.
    theirs.apply(torch_ao.disable_observer)
    ours.load_state_dict(theirs.state_dict())
    expected, converted = torch_ao.convert(theirs), torchq.quantization.convert(ours)
    for name in LAYERS:
        layer, other = converted.get_submodule(name), expected.get_submodule(name)
        assert (layer.scale, layer.zero_point) == (other.scale, other.zero_point)
        # torch.ao folds batch norm once more for convert, with other roundings than in training.
        difference = (layer.weight().int_repr().int() - other.weight().int_repr().int()).abs()
        assert difference.max() <= ("conv" in name)
        assert difference.float().mean() < 0.01
        torch.testing.assert_close(layer.bias(), other.bias(), rtol=2**-20, atol=2**-22)
