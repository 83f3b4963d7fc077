"""The base of quantized modules that multiply a quantized input by a quantized weight."""

from typing import Any

import torch

from torchq.nn.quantized.state import QuantizedOutputModule
from torchq.nn.quantized.weighted import WeightedQuantizedModule
from torchq.qtensor import QTensor


class StaticQuantizedModule(WeightedQuantizedModule, QuantizedOutputModule):
    """A quantized module with a weight, and a fixed scale and zero point of its output.

    State: that of ``WeightedQuantizedModule`` and of ``QuantizedOutputModule``.
    """

    def _input_error(self, input: Any, shape: str) -> Exception:
        """Returns the error for an input that the module cannot take.

        Args:
            input: what was given.
            shape: what its shape should be.
        """
        name = self._get_name()
        if isinstance(input, QTensor):
            if input._axis is not None:
                return ValueError(f"{name} takes an input with one scale, got one quantized per channel")
            return ValueError(f"{name} takes an input of shape {shape}, got {tuple(input.shape)}")
        given = "a float tensor" if isinstance(input, torch.Tensor) else f"a {type(input).__name__}"
        return TypeError(
            f"{name} takes a quantized tensor, got {given}: put a QuantStub before it, and look in "
            "torchq.float_fallbacks() for a function in between that left int8"
        )
