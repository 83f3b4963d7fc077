"""The kinds of quantization that a qconfig can mean."""

import enum

__all__ = ["QuantType"]


class QuantType(enum.IntEnum):
    """How a module is quantized; see ``torchq.quantization.utils.get_quant_type``."""

    DYNAMIC = 0
    STATIC = 1
    QAT = 2
    WEIGHT_ONLY = 3
