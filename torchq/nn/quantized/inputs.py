"""What quantized modules say of inputs that they cannot take."""

from typing import Any

import torch

from torchq.dtypes import qint8, quint8
from torchq.qtensor import QTensor

BYTES = (torch.uint8, torch.int8)
# The spatial dimensions of an input, for messages.
SPATIAL = {1: "L", 2: "H, W", 3: "D, H, W"}


def checked_integers(name: str, input: Any) -> torch.Tensor:
    """Returns the integers of an input.

    Args:
        name: of the module.
        input: what was given.

    Raises:
        TypeError: if it is not quantized.
        ValueError: if it has several scales, or not 8 bits.
    """
    if not isinstance(input, QTensor) or input._axis is not None or input._data.dtype not in BYTES:
        raise input_error(name, input, "[...]")
    return input._data


def input_error(name: str, input: Any, shape: str) -> Exception:
    """Returns the error for an input that a module cannot take.

    Args:
        name: of the module.
        input: what was given.
        shape: what its shape should be.
    """
    if isinstance(input, QTensor):
        if input._axis is not None:
            return ValueError(f"{name} takes an input with one scale, got one quantized per channel")
        if input._data.dtype not in BYTES:
            return ValueError(f"{name} takes an input of {quint8} or {qint8}, got {input.qdtype}")
        return ValueError(f"{name} takes an input of shape {shape}, got {tuple(input.shape)}")
    given = "a float tensor" if isinstance(input, torch.Tensor) else f"a {type(input).__name__}"
    return TypeError(
        f"{name} takes a quantized tensor, got {given}: put a QuantStub before it, and look in "
        "torchq.float_fallbacks() for a function in between that left int8"
    )


def float_input_error(name: str, input: Any) -> TypeError:
    """Returns the error for an input that is no float tensor.

    Args:
        name: of the module.
        input: what was given.
    """
    if isinstance(input, QTensor):
        given = "a quantized one: put a DeQuantStub before it"
    else:
        given = str(input.dtype) if isinstance(input, torch.Tensor) else f"a {type(input).__name__}"
    return TypeError(f"{name} takes a float tensor, got {given}")
