"""What the convolutional networks are made of."""

from types import SimpleNamespace

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd


def conv_bn(
    channels: int,
    outputs: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    activation: type[nn.Module] | None = nn.ReLU,
) -> nn.Sequential:
    """A convolution with "same" padding, its batch norm, and an activation if there is one."""
    layers = [
        nn.Conv2d(channels, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([] if activation is None else [activation()]))


def fusable(model: nn.Module) -> list[list[str]]:
    """Names of a conv with the batch norm and relu behind it in the model's Sequentials, for fuse_modules."""
    found = []
    for name, block in model.named_modules():
        if not isinstance(block, nn.Sequential):
            continue
        parts = list(block.named_children())
        for i, (key, part) in enumerate(parts):
            if not isinstance(part, _ConvNd):
                continue
            names = [key]
            for kind in (_BatchNorm, nn.ReLU):
                following = parts[i + len(names) : i + len(names) + 1]
                names += [next_key for next_key, next_part in following if isinstance(next_part, kind)]
            if len(names) > 1:
                found.append([f"{name}.{key}" for key in names])
    return found


def settle(model: nn.Module, example: torch.Tensor) -> nn.Module:
    """Gives random weights the scales of trained ones: Kaiming-normal convolutions, batch statistics of the data."""
    for module in model.modules():
        if isinstance(module, _ConvNd):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(module, _BatchNorm):
            module.momentum = None  # the plain average of the batches
    model.train()
    with torch.no_grad():
        for _ in range(4):
            model(torch.randn(4, *example.shape[1:]))
    return model.eval()


class Image(nn.Module):
    """Base of the networks that take images: they enter int8 first and leave it last."""

    def __init__(self, eager: SimpleNamespace) -> None:
        super().__init__()
        self.quant, self.dequant = eager.QuantStub(), eager.DeQuantStub()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dequant(self.body(self.quant(x)))
