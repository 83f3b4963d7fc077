"""MobileNetV2 (arXiv 1801.04381), and the large MobileNetV3 (arXiv 1905.02244) with squeeze-and-excite blocks."""

from types import SimpleNamespace

import torch
from torch import nn

from benchmarks.networks.layers import Image, conv_bn


class SqueezeExcite(nn.Module):
    """Scales channels by what a small network makes of their means."""

    def __init__(self, eager: SimpleNamespace, channels: int, squeezed: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            nn.ReLU(),
            nn.Conv2d(squeezed, channels, 1),
            nn.Hardsigmoid(),
        )
        self.mul = eager.FloatFunctional()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.mul.mul(x, self.gate(x))


class InvertedResidual(nn.Module):
    """A depthwise convolution between two pointwise ones, and the input added where the shapes allow."""

    def __init__(
        self,
        eager: SimpleNamespace,
        channels: int,
        outputs: int,
        hidden: int,
        kernel: int = 3,
        stride: int = 1,
        activation: type[nn.Module] = nn.ReLU,
        squeezed: int | None = None,
    ) -> None:
        super().__init__()
        layers = [] if hidden == channels else [conv_bn(channels, hidden, activation=activation)]
        layers.append(conv_bn(hidden, hidden, kernel, stride, hidden, activation))
        if squeezed is not None:
            layers.append(SqueezeExcite(eager, hidden, squeezed))
        layers.append(conv_bn(hidden, outputs, activation=None))
        self.branch = nn.Sequential(*layers)
        self.add = eager.FloatFunctional() if stride == 1 and channels == outputs else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.branch(x) if self.add is None else self.add.add(self.branch(x), x)


class MobileNet(Image):
    """A stem, blocks, a wide pointwise layer, and a classifier."""

    def __init__(self, eager: SimpleNamespace, layers: list[nn.Module]) -> None:
        super().__init__(eager)
        self.body = nn.Sequential(*layers)


def mobilenet_v2(eager: SimpleNamespace) -> MobileNet:
    """With plain relu for relu6, as quantizable versions of it have."""
    layers: list[nn.Module] = [conv_bn(3, 32, 3, 2)]
    channels = 32
    for expansion, outputs, depth, stride in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        for i in range(depth):
            first = stride if i == 0 else 1
            layers.append(InvertedResidual(eager, channels, outputs, channels * expansion, stride=first))
            channels = outputs
    layers += [conv_bn(320, 1280), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000)]
    return MobileNet(eager, layers)


# kernel, hidden, outputs, squeezed, hardswish, stride
_V3 = (
    (3, 16, 16, None, False, 1),
    (3, 64, 24, None, False, 2),
    (3, 72, 24, None, False, 1),
    (5, 72, 40, 24, False, 2),
    (5, 120, 40, 32, False, 1),
    (5, 120, 40, 32, False, 1),
    (3, 240, 80, None, True, 2),
    (3, 200, 80, None, True, 1),
    (3, 184, 80, None, True, 1),
    (3, 184, 80, None, True, 1),
    (3, 480, 112, 120, True, 1),
    (3, 672, 112, 168, True, 1),
    (5, 672, 160, 168, True, 2),
    (5, 960, 160, 240, True, 1),
    (5, 960, 160, 240, True, 1),
)


def mobilenet_v3(eager: SimpleNamespace) -> MobileNet:
    layers: list[nn.Module] = [conv_bn(3, 16, 3, 2, activation=nn.Hardswish)]
    channels = 16
    for kernel, hidden, outputs, squeezed, hardswish, stride in _V3:
        activation = nn.Hardswish if hardswish else nn.ReLU
        layers.append(InvertedResidual(eager, channels, outputs, hidden, kernel, stride, activation, squeezed))
        channels = outputs
    layers += [conv_bn(160, 960, activation=nn.Hardswish), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    layers += [nn.Linear(960, 1280), nn.Hardswish(), nn.Linear(1280, 1000)]
    return MobileNet(eager, layers)
