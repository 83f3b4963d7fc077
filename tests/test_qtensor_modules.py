"""Float modules that convert leaves in place stay integer on QTensors."""

import pytest
import torch
from torch import nn

import torchq

pytestmark = pytest.mark.usefixtures("one_thread")


def quantized(name):
    x = 6 * torch.randn(2, 16, 6, 5, generator=torch.Generator().manual_seed(0))
    return torchq.quantize_per_tensor(x, 0.05, 100, getattr(torchq, name))


MODULES = {
    "relu": nn.ReLU(),
    "relu-inplace": nn.ReLU(inplace=True),
    "relu6": nn.ReLU6(),
    "hardtanh-inplace": nn.Hardtanh(-0.5, 0.5, inplace=True),
    "max-pool": nn.MaxPool2d(3, 2, 1),
    "avg-pool": nn.AvgPool2d(2),
    "adaptive-avg-pool": nn.AdaptiveAvgPool2d(1),
    "flatten": nn.Flatten(),
    "dropout": nn.Dropout(),
    "dropout2d": nn.Dropout2d(),
    "identity": nn.Identity(),
    "upsample": nn.Upsample(scale_factor=2),
    "pad": nn.ZeroPad2d(1),
    "pixel-shuffle": nn.PixelShuffle(2),
    "channel-shuffle": nn.ChannelShuffle(4),
}


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
@pytest.mark.parametrize("name", ["quint8", "qint8"])
def test_modules_stay_integer(module, name):
    with torchq.no_float_fallback():
        result = module.eval()(quantized(name))
    assert type(result) is torchq.QTensor
    # One rounding at most; a half step, and float32's error beside it.
    expected = module(quantized(name).dequantize())
    assert (result.dequantize() - expected).abs().max() <= 0.5001 * 0.05
