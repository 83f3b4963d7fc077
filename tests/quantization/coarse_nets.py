"""Networks quantized with bad weights, so that there is something to correct."""

import copy

import torch
from torch import nn

import torchq.quantization
from torchq.nn.quantized import FloatFunctional
from torchq.quantization import QuantWrapper


def coarse_qconfig(library):
    """Weights in three bits, beside activations in seven."""
    quantization = library.quantization
    weight = quantization.MinMaxObserver.with_args(
        dtype=library.qint8, qscheme=library.per_tensor_symmetric, quant_min=-4, quant_max=3
    )
    return quantization.QConfig(quantization.default_observer, weight)


class ConvNet(nn.Module):
    def __init__(self, quantization, functional):
        super().__init__()
        self.quant, self.dequant = quantization.QuantStub(), quantization.DeQuantStub()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.add, self.fc = functional(), nn.Linear(8, 4)

    def forward(self, x):
        x = torch.relu(self.conv1(self.quant(x)))
        x = self.add.add_relu(x, self.conv2(x))
        return self.dequant(self.fc(x.mean((2, 3))))


def batches(count=4, size=8, seed=1):
    """Images whose mean is not 0, so that errors of the weights become errors of the mean."""
    generator = torch.Generator().manual_seed(seed)
    return [(torch.rand(size, 3, 8, 8, generator=generator), None) for _ in range(count)]


def coarse_pair(library=torchq, functional=FloatFunctional):
    """Returns a net and its quantized form, whose weights are far off."""
    torch.manual_seed(0)
    model = ConvNet(library.quantization, functional).eval()
    prepared = copy.deepcopy(model)
    prepared.qconfig = coarse_qconfig(library)
    prepared = library.quantization.prepare(prepared)
    for x, _ in batches():
        prepared(x)
    return model, library.quantization.convert(prepared)


def coarse_linear_pair(*shape):
    """Returns linear layers, one fused with a relu, their quantized form, and what it was calibrated with."""
    torch.manual_seed(0)
    net = QuantWrapper(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))).eval()
    net = torchq.quantization.fuse_modules(net, [["module.0", "module.1"]])
    prepared = copy.deepcopy(net)
    prepared.qconfig = coarse_qconfig(torchq)
    x = torch.rand(*shape, generator=torch.Generator().manual_seed(1))
    return net, torchq.quantization.quantize(prepared, lambda m: m(x), []), x
