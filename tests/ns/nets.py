"""Small networks, float and quantized, by torchq or by torch.ao."""

import copy

import torch
from torch import nn

import torchq.quantization
from torchq.nn.quantized import FloatFunctional


class ResidualNet(nn.Module):
    """Two convolutions with a residual sum, and linear layers in a container."""

    def __init__(self, quantization, functional):
        super().__init__()
        self.quant, self.dequant = quantization.QuantStub(), quantization.DeQuantStub()
        self.conv1, self.relu1 = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()
        self.conv2, self.add = nn.Conv2d(8, 8, 3, padding=1, bias=False), functional()
        self.dropout = nn.Dropout()
        self.head = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 4))

    def forward(self, x):
        x = self.relu1(self.conv1(self.quant(x)))
        x = self.add.add_relu(x, self.conv2(x)).mean((2, 3))
        return self.dequant(self.head(self.dropout(x)))


FUSED = [["conv1", "relu1"], ["head.0", "head.1"]]
# Where the networks' outputs can be compared, in the order in which they are defined.
PLACES = ["quant", "conv1", "conv2", "add", "head.0", "head.2"]


def images(count=4, seed=1):
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def static_pair(quantization=torchq.quantization, functional=FloatFunctional):
    """Returns a ResidualNet, fused, and what it is quantized."""
    torch.manual_seed(0)
    model = quantization.fuse_modules(ResidualNet(quantization, functional).eval(), FUSED)
    prepared = copy.deepcopy(model)
    prepared.qconfig = quantization.get_default_qconfig("fbgemm")  # 7-bit activations, exact in torch.ao everywhere
    prepared = quantization.prepare(prepared)
    prepared(images(16, seed=2))
    return model, quantization.convert(prepared)


def trained_pair(quantization=torchq.quantization, functional=FloatFunctional):
    """Returns a ResidualNet, fused, and what prepare_qat makes of it, with the scales that some data gave."""
    torch.manual_seed(0)
    model = quantization.fuse_modules_qat(ResidualNet(quantization, functional).train(), FUSED)
    prepared = copy.deepcopy(model)
    prepared.qconfig = quantization.get_default_qat_qconfig("fbgemm")
    prepared = quantization.prepare_qat(prepared)
    prepared(images(16, seed=2))
    return model.eval(), prepared.eval().apply(quantization.disable_observer)


def dynamic_pair(quantization=torchq.quantization):
    """Returns linear layers and what they are quantized dynamically."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Sequential(nn.Linear(32, 4))).eval()
    return model, quantization.quantize_dynamic(model, {nn.Linear})


def forward_hooks(model):
    return sum(len(module._forward_hooks) for module in model.modules())
