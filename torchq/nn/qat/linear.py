"""The linear layer with a fake-quantized weight."""

from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from torchq.nn.intrinsic import FusedModule
from torchq.nn.qat.module import QATModule, plain_parameter


class Linear(QATModule, nn.Linear):
    """An ``nn.Linear`` whose weight is fake-quantized.

    Args:
        in_features: K.
        out_features: N.
        bias: whether there is a bias.
        qconfig: its ``weight`` makes the fake quantizer.
        device: of the parameters.
        dtype: of the parameters.

    Attributes:
        relu_type: the container that ``to_float`` puts the layer into, where the module includes a relu.

    Raises:
        ValueError: without a qconfig.

    Example:
        >>> from torchq.quantization import get_default_qat_qconfig
        >>> Linear(20, 30, qconfig=get_default_qat_qconfig())(torch.randn(128, 20)).shape
        torch.Size([128, 30])
    """

    float_type = nn.Linear
    relu_type: ClassVar[type[FusedModule] | None] = None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        qconfig: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        self._set_qconfig(qconfig)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        output = F.linear(input, self.weight_fake_quant(self.weight), self.bias)
        return output if self.relu_type is None else F.relu(output)

    @classmethod
    def from_float(cls, mod: nn.Module) -> "Linear":
        """Makes a module for training from a float one, with the same parameters.

        Args:
            mod: of the class's ``float_type``, with a ``qconfig``.

        Raises:
            TypeError: if ``mod`` has another type.
            ValueError: if it has no qconfig, or one that does not fit.
        """
        cls._check_float(mod)
        linear = mod[0] if isinstance(mod, FusedModule) else mod
        placed = {"device": linear.weight.device, "dtype": linear.weight.dtype}
        module = cls(linear.in_features, linear.out_features, linear.bias is not None, qconfig=mod.qconfig, **placed)
        module._share(linear, "weight", "bias")
        return module.train(mod.training)

    def to_float(self) -> nn.Module:
        """Returns the float module: a linear layer, with batch norm folded into it, and the relu behind it."""
        weight, bias = self.folded_weight_bias()
        placed = {"device": weight.device, "dtype": weight.dtype}
        linear = nn.Linear(self.in_features, self.out_features, bias is not None, **placed)
        linear.weight = plain_parameter(weight)
        if bias is not None:
            linear.bias = plain_parameter(bias)
        module = linear if self.relu_type is None else self.relu_type(linear, nn.ReLU())
        return module.train(self.training)
