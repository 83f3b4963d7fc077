"""Dynamically quantized recurrent layers."""

from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from torchq import ops
from torchq.dtypes import qint8
from torchq.nn.quantized.dynamic.recurrent import checked_pair
from torchq.nn.quantized.dynamic.rnn_base import RNNBase, States


class LSTM(RNNBase):
    """An ``nn.LSTM`` with int8 weights, whose inputs and hidden states are quantized while it runs.

    State: that of ``RecurrentModule``.

    Args: those of ``RNNBase`` but ``mode``.

    Example:
        >>> output, (hidden, cell) = LSTM(10, 20, 2)(torch.randn(5, 3, 10))
        >>> output.shape, hidden.shape, cell.shape
        (torch.Size([5, 3, 20]), torch.Size([2, 3, 20]), torch.Size([2, 3, 20]))
    """

    _float_types = (nn.LSTM,)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        dtype: Any = qint8,
        granularity: str = "per_tensor",
        proj_size: int = 0,
    ) -> None:
        options = (bias, batch_first, dropout, bidirectional, dtype, granularity, proj_size)
        super().__init__("LSTM", input_size, hidden_size, num_layers, *options)

    def forward(
        self, input: torch.Tensor | PackedSequence, hx: tuple[torch.Tensor, torch.Tensor] | None = None
    ) -> tuple[torch.Tensor | PackedSequence, tuple[torch.Tensor, torch.Tensor]]:
        """Returns the outputs of the last layer, and the last hidden and cell states.

        Args:
            input: float ``[T, B, I]``, or ``[B, T, I]`` if ``batch_first``; ``[T, I]`` without a batch; or a packed
                sequence. Computed in float32.
            hx: hidden and cell state, float ``[layers * directions, B, H or P]`` and ``[layers * directions, B, H]``,
                without B if the input has none; zeros if None.

        Returns:
            ``[T, B, directions * (H or P)]`` in the form and dtype of ``input``, and states as ``hx``.

        Raises:
            TypeError: if a tensor is no float tensor, or ``hx`` no pair.
            ValueError: if a shape does not fit.
        """
        return self._run(input, *checked_pair(self._get_name(), hx))

    def _widths(self) -> tuple[int, ...]:
        return (self.proj_size or self.hidden_size, self.hidden_size)

    def _step_through(self, x: torch.Tensor, states: States, suffix: str, batch_sizes: list[int]) -> States:
        ih, hh = (self._weight(f"{which}_{suffix}").operands() for which in ("ih", "hh"))
        hr = self._weight(f"hr_{suffix}").operands()[:2] if self.proj_size else (None, None)
        options = (batch_sizes, suffix.endswith("_reverse"), *self._range_options)
        return ops.lstm_dynamic(x, *states, *ih, *hh, *hr, *options)

    def _in_float(self, *args: Any) -> States:
        return torch.lstm(*args)


class GRU(RNNBase):
    """An ``nn.GRU`` with int8 weights, whose inputs and hidden states are quantized while it runs.

    State: that of ``RecurrentModule``.

    Args: those of ``RNNBase`` but ``mode`` and ``proj_size``.

    Example:
        >>> output, hidden = GRU(10, 20, 2)(torch.randn(5, 3, 10))
        >>> output.shape, hidden.shape
        (torch.Size([5, 3, 20]), torch.Size([2, 3, 20]))
    """

    _float_types = (nn.GRU,)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        dtype: Any = qint8,
        granularity: str = "per_tensor",
    ) -> None:
        options = (bias, batch_first, dropout, bidirectional, dtype, granularity)
        super().__init__("GRU", input_size, hidden_size, num_layers, *options)

    def forward(
        self, input: torch.Tensor | PackedSequence, hx: torch.Tensor | None = None
    ) -> tuple[torch.Tensor | PackedSequence, torch.Tensor]:
        """Returns the outputs of the last layer, and the last hidden states.

        Args:
            input: float ``[T, B, I]``, or ``[B, T, I]`` if ``batch_first``; ``[T, I]`` without a batch; or a packed
                sequence. Computed in float32.
            hx: hidden state, float ``[layers * directions, B, H]``, without B if the input has none; zeros if None.

        Returns:
            ``[T, B, directions * H]`` in the form and dtype of ``input``, and a state as ``hx``.

        Raises:
            TypeError: if a tensor is no float tensor.
            ValueError: if a shape does not fit.
        """
        output, (hidden,) = self._run(input, hx)
        return output, hidden

    def _step_through(self, x: torch.Tensor, states: States, suffix: str, batch_sizes: list[int]) -> States:
        ih, hh = (self._weight(f"{which}_{suffix}").operands() for which in ("ih", "hh"))
        options = (batch_sizes, suffix.endswith("_reverse"), *self._range_options)
        return ops.gru_dynamic(x, *states, *ih, *hh, *options)

    def _in_float(self, x: torch.Tensor, *args: Any) -> States:
        # torch takes the state of a GRU itself, and the batch sizes of a packed sequence before it.
        return torch.gru(x, *(arg[0] if isinstance(arg, tuple) else arg for arg in args))
