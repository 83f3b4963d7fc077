"""What modules for quantization-aware training share."""

from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn.utils.parametrize import (
    is_parametrized,
    transfer_parametrizations_and_params,
    type_before_parametrizations,
)


class QATModule(nn.Module):
    """Mixin of the modules that compute with a fake-quantized weight.

    Attributes:
        qconfig: the settings.
        weight_fake_quant: what the ``weight`` of the qconfig made.
        float_type: the type of module that ``from_float`` takes.
    """

    float_type: ClassVar[type[nn.Module]]

    qconfig: Any
    weight_fake_quant: nn.Module

    def folded_weight_bias(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Returns the weight that goes through ``weight_fake_quant``, and the bias that int8 has beside it."""
        return self.weight, self.bias

    def _set_qconfig(self, qconfig: Any) -> None:
        if qconfig is None:
            raise ValueError(f"{type(self).__name__} takes a qconfig, such as get_default_qat_qconfig(), got None")
        self.qconfig = qconfig
        self.weight_fake_quant = qconfig.weight().to(self.weight.device)

    @classmethod
    def _check_float(cls, mod: nn.Module) -> None:
        found = type_before_parametrizations(mod)
        if found is not cls.float_type:
            raise TypeError(f"{cls.__name__}.from_float takes {cls.float_type.__name__}, got {found.__name__}")
        if getattr(mod, "qconfig", None) is None:
            raise ValueError(f"{found.__name__} has no qconfig")

    def _share(self, source: nn.Module, *names: str) -> None:
        """Takes a module's own parameters, so that an optimizer that knows them goes on working."""
        for name in names:
            if is_parametrized(source, name):
                transfer_parametrizations_and_params(source, self, name)
            else:
                setattr(self, name, getattr(source, name))


def plain_parameter(value: torch.Tensor) -> nn.Parameter:
    """Returns a parameter with a copy of a tensor's values."""
    return nn.Parameter(value.detach().clone())
