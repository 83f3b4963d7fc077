"""A densely connected network written for torch.ao's graph mode: functions, and no edits for quantization."""

import torch
from torch import nn
from torch.ao.quantization import get_default_qconfig_mapping
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx
from torch.nn import functional as F


class Layer(nn.Module):
    """A convolution of what came in, joined to it."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.narrow, self.bn1 = nn.Conv2d(channels, 4 * growth, 1, bias=False), nn.BatchNorm2d(4 * growth)
        self.conv, self.bn2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False), nn.BatchNorm2d(growth)

    def forward(self, x):
        y = F.relu(self.bn1(self.narrow(x)))
        return torch.cat([x, F.relu(self.bn2(self.conv(y)))], 1)


class DenseNet(nn.Module):
    """For images of 32 by 32 pixels: three stages of four layers, with a pool between them."""

    def __init__(self, width: int = 24, growth: int = 16) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.stages, channels = nn.ModuleList(), width
        for _ in range(3):
            layers = [Layer(channels + index * growth, growth) for index in range(4)]
            self.stages.append(nn.Sequential(*layers))
            channels += 4 * growth
        self.weight, self.bias = nn.Parameter(torch.randn(10, channels) / 8), nn.Parameter(torch.randn(10))

    def forward(self, x):
        x = F.relu(self.bn(self.conv(x)))
        for index, stage in enumerate(self.stages):
            x = stage(x)
            x = F.max_pool2d(x, 2) if index < 2 else F.adaptive_avg_pool2d(x, 1)
        return F.linear(torch.flatten(x, 1), self.weight, self.bias)


def inputs(seed: int, batch: int = 1) -> torch.Tensor:
    """Returns images."""
    return torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def quantized() -> nn.Module:
    """Returns the network, calibrated and quantized."""
    torch.manual_seed(0)
    prepared = prepare_fx(DenseNet().eval(), get_default_qconfig_mapping("fbgemm"), (inputs(0),))
    prepared(inputs(1, 8))
    return convert_fx(prepared)
