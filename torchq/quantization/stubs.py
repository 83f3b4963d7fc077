"""Modules that mark where a float model enters and leaves int8."""

from typing import Any

import torch
from torch import nn


class QuantStub(nn.Module):
    """Marks where a float tensor becomes quantized.

    Passes its input through; ``prepare`` gives it an observer and ``convert`` makes it a ``Quantize``.

    Args:
        qconfig: its own settings; the enclosing module's when None.
    """

    def __init__(self, qconfig: Any = None) -> None:
        super().__init__()
        if qconfig is not None:
            self.qconfig = qconfig

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class DeQuantStub(nn.Module):
    """Marks where a quantized tensor becomes float again.

    Passes its input through, unobserved; ``convert`` makes it a ``DeQuantize``.

    Args:
        qconfig: its own settings; the enclosing module's when None.
    """

    def __init__(self, qconfig: Any = None) -> None:
        super().__init__()
        if qconfig is not None:
            self.qconfig = qconfig

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class QuantWrapper(nn.Module):
    """Puts a ``QuantStub`` before a module and a ``DeQuantStub`` behind it.

    Args:
        module: takes one tensor and returns one. If it has a ``qconfig``, the stubs get it too.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        qconfig = getattr(module, "qconfig", None)
        self.quant = QuantStub(qconfig)
        self.dequant = DeQuantStub(qconfig)
        self.module = module
        self.train(module.training)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return self.dequant(self.module(self.quant(X)))
