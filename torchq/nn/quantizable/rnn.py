"""An LSTM made of cells in parts."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from torchq.nn.quantizable.flow import observed
from torchq.nn.quantizable.rnn_cell import LSTMCell, State
from torchq.nn.quantized.lstm_steps import run_on_integers, runs_on_integers
from torchq.qtensor import QTensor
from torchq.qtensor_creation import quantize_per_tensor


class _LSTMSingleLayer(nn.Module):
    """One layer of an LSTM in one direction: its cell, over the steps."""

    def __init__(self, cell: LSTMCell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: torch.Tensor, hidden: State) -> tuple[torch.Tensor, State]:
        if isinstance(x, QTensor) and runs_on_integers(self.cell, hidden):
            return run_on_integers(self.cell, x, hidden)
        outputs = []
        for step in x.unbind(0):
            hidden = self.cell(step, hidden)
            outputs.append(hidden[0])
        return torch.stack(outputs, 0), hidden


class _LSTMLayer(nn.Module):
    """One layer of an LSTM, forward and, if there is a second cell, backward."""

    def __init__(self, forward: LSTMCell, backward: LSTMCell | None) -> None:
        super().__init__()
        self.layer_fw = _LSTMSingleLayer(forward)
        if backward is not None:
            self.layer_bw = _LSTMSingleLayer(backward)

    def forward(self, x: torch.Tensor, hidden: State) -> tuple[torch.Tensor, State]:
        """Takes and returns states ``[directions, B, H]``."""
        h, c = hidden
        output, last = self.layer_fw(x, (h[0], c[0]))
        if "layer_bw" not in self._modules:
            return output, (last[0].unsqueeze(0), last[1].unsqueeze(0))
        back, first = self.layer_bw(x.flip(0), (h[1], c[1]))
        output = torch.cat([output, back.flip(0)], -1)
        return output, (torch.stack([last[0], first[0]]), torch.stack([last[1], first[1]]))


class LSTM(nn.Module):
    """An ``nn.LSTM`` in parts.

    Joined outputs of two directions have the scale of the first, and states that of the first layer.

    Args:
        input_size: I, the features of the input.
        hidden_size: H, the features of the hidden state.
        num_layers: layers, each on the output of the one before.
        bias: whether there are biases.
        batch_first: whether the batch is the first dimension of input and output, instead of the second.
        dropout: probability that an output of a layer is set to 0 before the next one, in training.
        bidirectional: whether each layer also runs from the last step to the first.
        device: of the parameters.
        dtype: of the parameters.
        split_gates: whether each gate has its own layers, and so its own scales.

    Raises:
        ValueError: if ``dropout`` is no probability.

    Attributes:
        layers: each has a ``layer_fw.cell``, and a ``layer_bw.cell`` if bidirectional.

    Example:
        >>> output, (hidden, cell) = LSTM(10, 20, 2)(torch.randn(5, 3, 10))
        >>> output.shape, hidden.shape, cell.shape
        (torch.Size([5, 3, 20]), torch.Size([2, 3, 20]), torch.Size([2, 3, 20]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        split_gates: bool = False,
    ) -> None:
        super().__init__()
        if isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError(f"dropout must lie in [0, 1], got {dropout}")
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.split_gates = split_gates
        made = {"device": device, "dtype": dtype, "split_gates": split_gates}
        layers = []
        for layer in range(num_layers):
            width = input_size if layer == 0 else hidden_size * self._directions
            cells = [LSTMCell(width, hidden_size, bias, **made) for _ in range(self._directions)]
            layers.append(_LSTMLayer(*cells, *([] if bidirectional else [None])))
        self.layers = nn.ModuleList(layers)
        self._complete()
        self.eval()

    def _complete(self) -> None:
        """Called when all parts are there."""

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def forward(self, x: torch.Tensor, hidden: State | None = None) -> tuple[torch.Tensor, State]:
        """Returns the outputs of the last layer, and the last hidden and cell states.

        Args:
            x: ``[T, B, I]``, or ``[B, T, I]`` if ``batch_first``, or ``[T, I]`` without a batch: float, or quantized
                once the parts are.
            hidden: hidden and cell state, ``[layers * directions, B, H]`` each, without B if ``x`` has none; zeros if
                None.

        Returns:
            ``[T, B, directions * H]`` in the order of ``x``, and states as ``hidden``.

        Raises:
            TypeError: if ``x`` is no tensor.
            ValueError: if a shape does not fit.
        """
        name = self._get_name()
        if not isinstance(x, torch.Tensor):
            raise TypeError(f"{name} takes a tensor, got a {type(x).__name__}")
        if x.dim() not in (2, 3) or x.size(-1) != self.input_size or 0 in x.shape:
            form = f"[B, T, {self.input_size}]" if self.batch_first else f"[T, B, {self.input_size}]"
            raise ValueError(f"{name} takes an input of shape {form} or [T, {self.input_size}], got {tuple(x.shape)}")
        single = x.dim() == 2
        if single:
            x = x.unsqueeze(1)
        elif self.batch_first:
            x = x.transpose(0, 1)
        before = self._split_states(hidden, x, single)
        last = []
        for layer, states in zip(self.layers, before, strict=True):
            if self.training and self.dropout and last and not isinstance(x, QTensor):
                x = F.dropout(x, self.dropout)
            x, after = layer(x, states)
            last.append(after)
        h, c = (torch.cat(states) for states in zip(*last, strict=True))
        if single:
            return x.squeeze(1), (h.squeeze(1), c.squeeze(1))
        return (x.transpose(0, 1) if self.batch_first else x), (h, c)

    def _split_states(self, hidden: State | None, x: torch.Tensor, single: bool) -> list[State]:
        """Returns the states of each layer, ``[directions, B, H]``."""
        count, size = self.num_layers * self._directions, (x.size(1), self.hidden_size)
        if hidden is None:
            zeros = torch.zeros(self._directions, *size, device=x.device)
            zeros = quantize_per_tensor(zeros, 1.0, 0, x.qdtype) if isinstance(x, QTensor) else zeros.to(x.dtype)
            return [(zeros, zeros)] * self.num_layers
        expected = (count, *size[1:]) if single else (count, *size)
        for state, kind in zip(hidden, ("hidden", "cell"), strict=True):
            if tuple(state.shape) != expected:
                name = self._get_name()
                raise ValueError(f"{name} takes a {kind} state of shape {expected}, got {tuple(state.shape)}")
        states = (state.unsqueeze(1) if single else state for state in hidden)
        return list(zip(*(state.chunk(self.num_layers) for state in states), strict=True))

    @classmethod
    def from_float(cls, other: nn.LSTM, qconfig: Any = None, split_gates: bool = False) -> "LSTM":
        """Makes an LSTM in parts, with observers, or with fake quantizers if the float one is in training mode.

        Args:
            other: without projections.
            qconfig: for one that has none.
            split_gates: whether each gate has its own layers.

        Raises:
            TypeError: if ``other`` has another type.
            ValueError: if there is no qconfig, or ``other`` has projections.
        """
        if not isinstance(other, nn.LSTM):
            raise TypeError(f"{cls.__name__}.from_float takes LSTM, got {type(other).__name__}")
        if other.proj_size:
            raise ValueError(f"{cls.__name__}.from_float takes an LSTM without projections, got {other.proj_size=}")
        options = (other.bias, other.batch_first, other.dropout, other.bidirectional)
        module = cls(other.input_size, other.hidden_size, other.num_layers, *options, split_gates=split_gates)
        for i, layer in enumerate(module.layers):
            for end, name in (("", "layer_fw"), ("_reverse", "layer_bw"))[: module._directions]:
                keys = (f"{key}_l{i}{end}" for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
                cell = LSTMCell.from_params(*(getattr(other, key, None) for key in keys), split_gates)
                setattr(layer, name, _LSTMSingleLayer(cell))
        return observed(module, getattr(other, "qconfig", qconfig), other.training)

    @classmethod
    def from_observed(cls, other: nn.Module) -> "LSTM":
        """Raises NotImplementedError: ``torchq.nn.quantized.LSTM`` is made of an observed one."""
        raise NotImplementedError(f"{cls.__name__} is float: torchq.nn.quantized.LSTM is made of an observed one")

    def _get_name(self) -> str:
        return "QuantizableLSTM"
