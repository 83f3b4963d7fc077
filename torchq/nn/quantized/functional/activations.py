"""Functions of single values."""

import torch
from torch.nn import functional as F

from torchq.nn.quantized import operations
from torchq.nn.quantized.inputs import checked_integers
from torchq.qtensor import QTensor
from torchq.qtensor_tables import looked_up


def celu(input: QTensor, scale: float, zero_point: int, alpha: float = 1.0) -> QTensor:
    """Returns ``max(0, x) + min(0, alpha * (exp(x / alpha) - 1))``, with a scale and zero point of its own."""
    checked_integers("celu", input)
    return looked_up(F.celu, input, scale, zero_point, alpha)


def elu(input: QTensor, scale: float, zero_point: int, alpha: float = 1.0) -> QTensor:
    """Returns ``max(0, x) + min(0, alpha * (exp(x) - 1))``, with a scale and zero point of its own."""
    return operations.elu(input, alpha, scale=scale, zero_point=zero_point)


def hardswish(input: QTensor, scale: float, zero_point: int) -> QTensor:
    """Returns ``x * relu6(x + 3) / 6``, with a scale and zero point of its own."""
    return operations.hardswish(input, scale=scale, zero_point=zero_point)


def leaky_relu(
    input: QTensor,
    negative_slope: float = 0.01,
    inplace: bool = False,
    scale: float | None = None,
    zero_point: int | None = None,
) -> QTensor:
    """Multiplies what is below 0 by a slope.

    Args:
        input: of 8 bits, with one scale.
        negative_slope: the slope.
        inplace: write the result to the input, which has to keep its scale and zero point then.
        scale: of the result; the input's if None.
        zero_point: of the result; the input's if None.
    """
    checked_integers("leaky_relu", input)
    if scale is None and zero_point is None:
        return F.leaky_relu(input, negative_slope, inplace)
    if inplace or scale is None or zero_point is None:
        raise ValueError(
            "leaky_relu takes both scale and zero_point and inplace=False, or neither, got "
            f"{scale}, {zero_point} and inplace={inplace}"
        )
    return operations.leaky_relu(input, negative_slope, scale=scale, zero_point=zero_point)


def hardtanh(input: QTensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> QTensor:
    """Clamps to a range, as ``torch.nn.functional.hardtanh``."""
    checked_integers("hardtanh", input)
    return F.hardtanh(input, min_val, max_val, inplace)


def clamp(input: QTensor, min_: float, max_: float) -> QTensor:
    """Clamps to a range, as ``torch.clamp``."""
    checked_integers("clamp", input)
    return torch.clamp(input, min_, max_)


def threshold(input: QTensor, threshold: float, value: float) -> QTensor:
    """Returns x where it is above the threshold, and a value elsewhere."""
    checked_integers("threshold", input)
    return F.threshold(input, threshold, value)


def hardsigmoid(input: QTensor, inplace: bool = False) -> QTensor:
    """Returns ``relu6(x + 3) / 6`` with the scale 1/256, as ``torch.nn.functional.hardsigmoid`` does."""
    checked_integers("hardsigmoid", input)
    return F.hardsigmoid(input, inplace)


def dropout(
    input: QTensor, output_scale: float, output_zero_point: int, p: float = 0.5, training: bool = False
) -> QTensor:
    """Returns its input, whatever the other arguments say: int8 is for inference."""
    checked_integers("dropout", input)
    return input
