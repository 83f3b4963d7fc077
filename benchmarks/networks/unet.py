"""A U-Net (arXiv 1505.04597) of four levels with transposed convolutions."""

from types import SimpleNamespace

import torch
from torch import nn

from benchmarks.networks.layers import Image, conv_bn


def _double(channels: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(conv_bn(channels, outputs, 3), conv_bn(outputs, outputs, 3))


class Level(nn.Module):
    """What lies below it at half the size, joined with what it keeps."""

    def __init__(self, eager: SimpleNamespace, channels: int, width: int, below: nn.Module) -> None:
        super().__init__()
        self.before, self.down, self.below = _double(channels, width), nn.MaxPool2d(2), below
        self.up = nn.ConvTranspose2d(2 * width, width, 2, 2)
        self.cat, self.after = eager.FloatFunctional(), _double(2 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = self.before(x)
        return self.after(self.cat.cat([kept, self.up(self.below(self.down(kept)))], 1))


class UNet(Image):
    """Levels, and a score per pixel and class."""

    def __init__(self, eager: SimpleNamespace, width: int = 32, levels: int = 4, classes: int = 2) -> None:
        super().__init__(eager)
        widths = [width << level for level in range(levels + 1)]
        body = _double(widths[-2], widths[-1])
        for level in reversed(range(levels)):
            body = Level(eager, 3 if level == 0 else widths[level - 1], widths[level], body)
        self.body = nn.Sequential(body, nn.Conv2d(width, classes, 1))


def unet(eager: SimpleNamespace) -> UNet:
    return UNet(eager)
