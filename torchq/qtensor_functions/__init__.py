"""What torch functions do with QTensors: the table behind ``QTensor.__torch_function__``, by what they are about.

A function listed here works on the integers and gives a QTensor, or answers without computing. Where its arguments rule
that out, and for every function that is not listed, the computation happens in float32 and is counted. docs/qtensor.md
lists which is which.
"""

from torchq.qtensor import FUNCTIONS
from torchq.qtensor_functions import (  # noqa: F401  (each of them fills the table)
    activations,
    comparing,
    copying,
    creating,
    elementwise,
    indexing,
    joining,
    moving,
    ordering,
    packed,
    padding,
    pooling,
    questions,
    reducing,
    refusing,
    reshaping,
    writing,
)

__all__ = ["FUNCTIONS"]
