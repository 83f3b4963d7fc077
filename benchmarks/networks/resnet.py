"""ResNet-18, ResNet-50 (arXiv 1512.03385) and a ResNeXt-like network (arXiv 1611.05431) with groups of 4 to 32."""

from types import SimpleNamespace

import torch
from torch import nn

from benchmarks.networks.layers import Image, conv_bn


class Residual(nn.Module):
    """relu(branch(x) + shortcut(x))."""

    def __init__(self, eager: SimpleNamespace, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch, self.shortcut = branch, shortcut
        self.add = eager.FloatFunctional()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.add.add_relu(self.branch(x), self.shortcut(x))


def _shortcut(channels: int, outputs: int, stride: int) -> nn.Module:
    if stride == 1 and channels == outputs:
        return nn.Identity()
    return conv_bn(channels, outputs, 1, stride, activation=None)


def _basic(eager: SimpleNamespace, channels: int, width: int, stride: int) -> Residual:
    branch = nn.Sequential(conv_bn(channels, width, 3, stride), conv_bn(width, width, 3, activation=None))
    return Residual(eager, branch, _shortcut(channels, width, stride))


def _bottleneck(
    eager: SimpleNamespace, channels: int, width: int, outputs: int, stride: int, group_width: int | None = None
) -> Residual:
    branch = nn.Sequential(
        conv_bn(channels, width),
        conv_bn(width, width, 3, stride, groups=1 if group_width is None else width // group_width),
        conv_bn(width, outputs, activation=None),
    )
    return Residual(eager, branch, _shortcut(channels, outputs, stride))


class ResNet(Image):
    """A stem, stages of residual blocks, and a linear classifier."""

    def __init__(self, eager: SimpleNamespace, blocks: list[Residual], features: int) -> None:
        super().__init__(eager)
        self.body = nn.Sequential(
            conv_bn(3, 64, 7, 2),
            nn.MaxPool2d(3, 2, 1),
            *blocks,
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(features, 1000),
        )


def resnet18(eager: SimpleNamespace) -> ResNet:
    blocks, channels = [], 64
    for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        blocks += [_basic(eager, channels, width, stride), _basic(eager, width, width, 1)]
        channels = width
    return ResNet(eager, blocks, 512)


def resnet50(eager: SimpleNamespace) -> ResNet:
    blocks, channels = [], 64
    for width, depth, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for i in range(depth):
            blocks.append(_bottleneck(eager, channels, width, 4 * width, stride if i == 0 else 1))
            channels = 4 * width
    return ResNet(eager, blocks, 2048)


def resnext(eager: SimpleNamespace) -> ResNet:
    """Blocks as in ResNeXt-50 32x4d, two a stage; groups are 4, 8, 16 and 32 channels wide."""
    blocks, channels = [], 64
    for width, group_width, stride in ((128, 4, 1), (256, 8, 2), (512, 16, 2), (1024, 32, 2)):
        for i in range(2):
            blocks.append(_bottleneck(eager, channels, width, 2 * width, stride if i == 0 else 1, group_width))
            channels = 2 * width
    return ResNet(eager, blocks, 2048)
