"""A residual network written for torch.ao's eager mode: stubs, FloatFunctional, and a list of modules to fuse."""

import torch
import torch.ao.nn.quantized as nnq
from torch import nn
from torch.ao.quantization import DeQuantStub, QuantStub, convert, fuse_modules, get_default_qconfig, prepare


class Block(nn.Module):
    """Two convolutions, and what came in added to their result."""

    def __init__(self, channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out_channels, 3, stride, 1, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(out_channels), nn.ReLU()
        self.conv2, self.bn2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False), nn.BatchNorm2d(out_channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )
        self.add = nnq.FloatFunctional()

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.add.add_relu(y, self.shortcut(x))


class ResNet(nn.Module):
    """For images of 32 by 32 pixels: three stages of three blocks."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.quant, self.dequant = QuantStub(), DeQuantStub()
        self.conv, self.bn, self.relu = nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        blocks, channels = [], width
        for stage in range(3):
            for index in range(3):
                blocks.append(Block(channels, width << stage, 2 if stage and not index else 1))
                channels = width << stage
        self.blocks = nn.Sequential(*blocks)
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(channels, 10)

    def forward(self, x):
        x = self.blocks(self.relu(self.bn(self.conv(self.quant(x)))))
        return self.dequant(self.fc(torch.flatten(self.pool(x), 1)))

    def fuse(self) -> None:
        """Folds batch norms and relus into the convolutions before them."""
        fuse_modules(self, [["conv", "bn", "relu"]], inplace=True)
        for block in self.blocks:
            fuse_modules(block, [["conv1", "bn1", "relu"], ["conv2", "bn2"]], inplace=True)
            if len(block.shortcut):
                fuse_modules(block.shortcut, [["0", "1"]], inplace=True)


def inputs(seed: int, batch: int = 1) -> torch.Tensor:
    """Returns images."""
    return torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def quantized() -> nn.Module:
    """Returns the network, calibrated and quantized."""
    torch.manual_seed(0)
    model = ResNet().eval()
    model.fuse()
    model.qconfig = get_default_qconfig("fbgemm")
    prepare(model, inplace=True)
    model(inputs(1, 8))
    return convert(model)
