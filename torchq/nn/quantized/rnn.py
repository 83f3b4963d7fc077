"""The statically quantized LSTM."""

from typing import Any

from torch import nn

from torchq.nn import quantizable
from torchq.nn.quantized.parts import put_blank_parts, take_parts


class LSTM(quantizable.LSTM):
    """An LSTM whose states, gates and products are quantized, each with a scale of its own.

    State: that of the parts, as ``layers.0.layer_fw.cell.igates``: see ``Linear`` and ``QFunctional``.

    Args: those of ``torchq.nn.quantizable.LSTM``.

    Example:
        >>> output, _ = LSTM(10, 20)(torchq.quantize_per_tensor(torch.randn(5, 3, 10), 0.1, 128, torchq.quint8))
        >>> output.shape
        torch.Size([5, 3, 20])
    """

    def _complete(self) -> None:
        put_blank_parts(self)

    @classmethod
    def from_float(cls, *args: Any, **kwargs: Any) -> "LSTM":
        """Raises NotImplementedError: it is made of an observed module."""
        raise NotImplementedError(
            f"{cls.__name__} is made of an observed torchq.nn.quantizable.LSTM: call prepare first"
        )

    @classmethod
    def from_observed(cls, other: nn.Module) -> "LSTM":
        """Makes the quantized LSTM of a calibrated one in parts.

        Args:
            other: has observers that saw data.

        Raises:
            RuntimeError: if an observer never saw data.
            TypeError: if ``other`` has another type.
            ValueError: if the qconfig of a part does not fit.
        """
        if not isinstance(other, quantizable.LSTM):
            raise TypeError(f"{cls.__name__}.from_observed takes quantizable.LSTM, got {type(other).__name__}")
        options = (other.bias, other.batch_first, other.dropout, other.bidirectional)
        module = cls(other.input_size, other.hidden_size, other.num_layers, *options, split_gates=other.split_gates)
        take_parts(module.layers, other.layers)
        return module

    def _get_name(self) -> str:
        return "QuantizedLSTM"
