"""Linear layers with fake-quantized weights, and what runs behind them."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from torchq.nn import qat
from torchq.nn.intrinsic import fused
from torchq.nn.intrinsic.qat.batch_norm import BatchNormFolding


class LinearReLU(qat.Linear):
    """A ``Linear`` with a fake-quantized weight, and a relu."""

    float_type = relu_type = fused.LinearReLU


class LinearBn1d(BatchNormFolding, qat.Linear):
    """A ``Linear`` and a ``BatchNorm1d``, folded into the weight that is fake-quantized (see ``BatchNormFolding``).

    Args:
        in_features: K.
        out_features: N.
        bias: whether there is a bias.
        eps: of the batch norm.
        momentum: of the batch norm.
        freeze_bn: begin with frozen statistics.
        qconfig: its ``weight`` makes the fake quantizer.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        ValueError: without a qconfig.
    """

    float_type = fused.LinearBn1d

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        eps: float = 1e-05,
        momentum: float | None = 0.1,
        freeze_bn: bool = False,
        qconfig: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(in_features, out_features, bias, qconfig, device, dtype)
        self._set_bn(nn.BatchNorm1d(out_features, eps, momentum, device=device, dtype=dtype), freeze_bn)
        self.reset_bn_parameters()

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return self._normalized(input)

    def _product(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return F.linear(x, weight)

    @classmethod
    def from_float(cls, mod: nn.Module) -> "LinearBn1d":
        """Makes a module for training from a float container, with the same parameters and batch norm.

        Args:
            mod: a ``LinearBn1d`` of ``torchq.nn.intrinsic`` with a ``qconfig``.

        Raises:
            TypeError: if ``mod`` has another type.
            ValueError: if it has no qconfig, or its batch norm no parameters or running statistics.
        """
        module = super().from_float(mod)
        module._set_bn(mod[1])
        return module
