"""Where a model enters and leaves int8."""

from typing import Any

import torch
from torch import nn

from torchq import ops
from torchq.dtypes import QDtype, as_qdtype, qint8, qint32, quint8
from torchq.nn.quantized.conversion import output_qparams
from torchq.nn.quantized.state import QuantizedOutputModule
from torchq.qtensor import QTensor, dequantize


class Quantize(QuantizedOutputModule):
    """Quantizes a float tensor with a fixed scale and zero point.

    Args:
        scale: finite and > 0.
        zero_point: within the dtype's range.
        dtype: ``quint8``, ``qint8`` or ``qint32``.

    Raises:
        TypeError: if the zero point is no integer, or ``dtype`` none of these.
        ValueError: if scale or zero point does not fit.

    Example:
        >>> import torch
        >>> Quantize(1.0, 2, torchq.qint8)(torch.tensor([1.0, -1.0])).int_repr()
        tensor([3, 1], dtype=torch.int8)
    """

    output_dtypes = (quint8, qint8, qint32)

    def __init__(self, scale: float, zero_point: int, dtype: Any) -> None:
        super().__init__()
        self.set_output_qparams(scale, zero_point, as_qdtype(dtype))

    @property
    def dtype(self) -> QDtype:
        """The quantized dtype of the output."""
        return self.output_dtype

    def forward(self, X: torch.Tensor) -> QTensor:
        """Returns the quantized tensor; one that is quantized already is refused."""
        if isinstance(X, QTensor):
            raise TypeError("Quantize got a quantized tensor, but takes a float one: put a DeQuantStub before it")
        data = ops.quantize_per_tensor(X, self.scale, self.zero_point, self._output_storage)
        return QTensor(data, self.scale, self.zero_point)

    @classmethod
    def from_float(cls, mod: nn.Module) -> "Quantize":
        """Makes a Quantize from a calibrated ``QuantStub``.

        Args:
            mod: has an observer.

        Raises:
            RuntimeError: if the observer is missing or never saw data.
        """
        return cls(*output_qparams(mod))

    def extra_repr(self) -> str:
        return f"scale={self.scale}, zero_point={self.zero_point}, dtype={self.dtype}"


class DeQuantize(nn.Module):
    """Turns a quantized tensor into float32; a float tensor passes.

    Example:
        >>> import torch
        >>> DeQuantize()(torchq.quantize_per_tensor(torch.tensor([1.0, -1.0]), 0.5, 2, torchq.quint8))
        tensor([ 1., -1.])
    """

    def forward(self, Xq: torch.Tensor) -> torch.Tensor:
        return dequantize(Xq)

    @classmethod
    def from_float(cls, mod: nn.Module) -> "DeQuantize":
        """Makes a DeQuantize from a ``DeQuantStub``."""
        return cls()
