"""The networks that are timed, with random weights.

Sums, products and concatenations go through ``functional()``, and images through ``quant`` and ``dequant``, so that the
eager recipe of torchq and of torch.ao can convert the same code; in float they are what they say.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.networks.encoder import bert_base, small_encoder
from benchmarks.networks.mobilenet import mobilenet_v2, mobilenet_v3
from benchmarks.networks.recurrent import lstm
from benchmarks.networks.resnet import resnet18, resnet50, resnext
from benchmarks.networks.unet import unet


@dataclass(frozen=True)
class Network:
    """One network.

    Attributes:
        make: makes it in float; takes the eager layer's modules.
        example: makes an input of batch 1.
        dynamic: whether its linear and recurrent layers are quantized dynamically; otherwise statically.
    """

    make: Callable[..., nn.Module]
    example: Callable[[], torch.Tensor]
    dynamic: bool = False


def _image() -> torch.Tensor:
    return torch.randn(1, 3, 224, 224)


NETWORKS = {
    "resnet18": Network(resnet18, _image),
    "resnet50": Network(resnet50, _image),
    "mobilenet_v2": Network(mobilenet_v2, _image),
    "mobilenet_v3": Network(mobilenet_v3, _image),
    "resnext": Network(resnext, _image),
    "unet": Network(unet, lambda: torch.randn(1, 3, 128, 128)),
    "bert_base": Network(bert_base, lambda: torch.randn(1, 128, 768), dynamic=True),
    "small_encoder": Network(small_encoder, lambda: torch.randn(1, 32, 384), dynamic=True),
    "lstm": Network(lstm, lambda: torch.randn(128, 1, 512), dynamic=True),
}
