"""Dropout between quantized modules."""

from typing import Any

import torch
from torch import nn

from torchq.nn.quantized.conversion import require_type


class Dropout(nn.Module):
    """Passes its input: int8 is for inference, where dropout does nothing.

    Args:
        p: the probability of the float module.
        inplace: that of the float module.

    Example:
        >>> x = torchq.quantize_per_tensor(torch.ones(3), 0.1, 0, torchq.quint8)
        >>> Dropout(0.5)(x) is x
        True
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        self.p = p
        self.inplace = inplace

    def forward(self, input: torch.Tensor) -> Any:
        return input

    @classmethod
    def from_float(cls, mod: nn.Dropout) -> "Dropout":
        """Makes the quantized module from a float one, which needs no observer.

        Args:
            mod: the dropout.

        Raises:
            TypeError: if ``mod`` has another type.
        """
        require_type(mod, (nn.Dropout,), cls)
        return cls(mod.p, mod.inplace)

    def _get_name(self) -> str:
        return "QuantizedDropout"

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"
