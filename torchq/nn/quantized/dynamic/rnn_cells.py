"""Dynamically quantized recurrent cells: one step of one layer."""

from typing import Any

import torch
from torch import nn

from torchq import ops
from torchq.dtypes import qint8
from torchq.nn.quantized.dynamic.recurrent import RecurrentModule, checked_pair, float32_input

_NONLINEARITIES = {"tanh": torch.tanh, "relu": torch.relu}
_FLOAT_CELLS = {"tanh": torch.rnn_tanh_cell, "relu": torch.rnn_relu_cell}


class RNNCellBase(RecurrentModule):
    """Base of ``LSTMCell``, ``GRUCell`` and ``RNNCell``.

    State: that of ``RecurrentModule``.

    Args:
        input_size: I, the features of the input.
        hidden_size: H, the features of the hidden state.
        bias: whether there are biases.
        num_chunks: gates, so that the weights have ``num_chunks * H`` rows.
        dtype: of the weights: ``qint8``, or ``torch.float16``, where all is computed in float32.
        granularity: over what the range of an input, and of a hidden state, is taken: see ``Linear``.

    Raises:
        ValueError: if an argument is none of these.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        num_chunks: int = 4,
        dtype: Any = qint8,
        granularity: str = "per_tensor",
    ) -> None:
        if min(input_size, hidden_size) < 1:
            raise ValueError(f"input_size and hidden_size must be at least 1, got {input_size} and {hidden_size}")
        self.input_size = input_size
        self.hidden_size = hidden_size
        rows = num_chunks * hidden_size
        super().__init__({"ih": (rows, input_size), "hh": (rows, hidden_size)}, bias, dtype, granularity)

    def set_weight_bias(self, weight_bias_dict: dict[str, dict[str, Any]]) -> None:
        """Packs the weights, and copies the biases.

        Args:
            weight_bias_dict: ``"weight"``, with ``weight_ih`` and ``weight_hh``, each a ``QTensor`` of ``qint8``, or a
                float tensor if the module's dtype is ``torch.float16``; and ``"bias"``, with ``bias_ih`` and
                ``bias_hh``, each float, or None.

        Raises:
            TypeError: if a weight is neither.
            ValueError: if something is missing, is too much or does not fit.
        """
        self._take({**weight_bias_dict["weight"], **weight_bias_dict["bias"]})

    def _step(self, input: Any, *states: Any) -> tuple[torch.Tensor, ...]:
        """Returns the next states, in the dtype of the input; it and the states may have no batch."""
        name = self._get_name()
        x = float32_input(name, input)
        if x.dim() not in (1, 2) or x.size(-1) != self.input_size:
            raise ValueError(
                f"{name} takes an input of shape [B, {self.input_size}] or [{self.input_size}], got {tuple(x.shape)}"
            )
        expected = (*x.shape[:-1], self.hidden_size)
        given = []
        for kind, state in zip(("hidden", "cell"), states, strict=False):
            state = x.new_zeros(expected) if state is None else float32_input(f"{name}'s {kind} state", state)
            if tuple(state.shape) != expected:
                raise ValueError(f"{name} takes a {kind} state of shape {expected}, got {tuple(state.shape)}")
            given.append(state.view(-1, self.hidden_size) if x.dim() == 1 else state)
        rows = x.unsqueeze(0) if x.dim() == 1 else x
        run = self._int8 if self._quantizes_input else self._float16
        operands = [self._weight(which).operands() for which in ("ih", "hh")]
        return tuple(state.view(expected).to(input.dtype) for state in run(rows, tuple(given), *operands))

    def _int8(self, x: torch.Tensor, states: tuple, ih: tuple, hh: tuple) -> tuple[torch.Tensor, ...]:
        raise NotImplementedError

    def _float16(self, x: torch.Tensor, states: tuple, ih: tuple, hh: tuple) -> tuple[torch.Tensor, ...]:
        raise NotImplementedError

    @classmethod
    def from_reference(cls, ref_mod: nn.Module) -> "RNNCellBase":
        """Makes the dynamically quantized cell of a reference one.

        Args:
            ref_mod: has the attributes of the float cell, the weights' dtype as ``weight_ih_dtype``, and the functions
                ``get_quantized_weight_ih()`` and ``get_quantized_weight_hh()``.

        Raises:
            TypeError: if a weight is no ``QTensor``.
            ValueError: if a weight or bias does not fit.
        """
        module = cls._like(ref_mod, ref_mod.weight_ih_dtype)
        weights = {"weight_ih": ref_mod.get_quantized_weight_ih(), "weight_hh": ref_mod.get_quantized_weight_hh()}
        module.set_weight_bias({"weight": weights, "bias": {"bias_ih": ref_mod.bias_ih, "bias_hh": ref_mod.bias_hh}})
        return module

    @classmethod
    def _like(cls, mod: nn.Module, dtype: Any) -> "RNNCellBase":
        return cls(mod.input_size, mod.hidden_size, mod.bias, dtype=dtype)

    def _get_name(self) -> str:
        return f"DynamicQuantized{type(self).__name__}"

    def extra_repr(self) -> str:
        defaults = {"bias": True, "nonlinearity": "tanh", "weight_dtype": qint8, "granularity": "per_tensor"}
        given = {name: getattr(self, name, value) for name, value in defaults.items()}
        others = [f"{name}={given[name]}" for name, value in defaults.items() if given[name] != value]
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *others])


class RNNCell(RNNCellBase):
    """An ``nn.RNNCell`` with int8 weights, whose input and hidden state are quantized while it runs.

    State: that of ``RecurrentModule``.

    Args:
        input_size: I, the features of the input.
        hidden_size: H, the features of the hidden state.
        bias: whether there are biases.
        nonlinearity: ``"tanh"`` or ``"relu"``; that of torch.
        dtype: see ``RNNCellBase``.
        granularity: see ``Linear``.

    Raises:
        ValueError: if an argument is none of these.

    Example:
        >>> RNNCell(10, 20)(torch.randn(3, 10)).shape
        torch.Size([3, 20])
    """

    _float_types = (nn.RNNCell,)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        dtype: Any = qint8,
        granularity: str = "per_tensor",
    ) -> None:
        if nonlinearity not in _NONLINEARITIES:
            raise ValueError(f"nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        super().__init__(input_size, hidden_size, bias, 1, dtype, granularity)
        self.nonlinearity = nonlinearity

    def forward(self, input: torch.Tensor, hx: torch.Tensor | None = None) -> torch.Tensor:
        """Returns the next hidden state.

        Args:
            input: float ``[B, I]`` or ``[I]``; computed in float32.
            hx: hidden state, float ``[B, H]`` or ``[H]``; zeros if None.

        Returns:
            ``[B, H]`` or ``[H]`` in the dtype of ``input``.

        Raises:
            TypeError: if a tensor is no float tensor.
            ValueError: if a shape does not fit.
        """
        return self._step(input, hx)[0]

    def _int8(self, x: torch.Tensor, states: tuple, ih: tuple, hh: tuple) -> tuple[torch.Tensor, ...]:
        carried = ops.linear_dynamic(states[0], *hh, *self._range_options)
        return (_NONLINEARITIES[self.nonlinearity](carried + ops.linear_dynamic(x, *ih, *self._range_options)),)

    def _float16(self, x: torch.Tensor, states: tuple, ih: tuple, hh: tuple) -> tuple[torch.Tensor, ...]:
        return (_FLOAT_CELLS[self.nonlinearity](x, states[0], ih[0], hh[0], ih[1], hh[1]),)

    @classmethod
    def _like(cls, mod: nn.Module, dtype: Any) -> "RNNCell":
        return cls(mod.input_size, mod.hidden_size, mod.bias, mod.nonlinearity, dtype)


class LSTMCell(RNNCellBase):
    """An ``nn.LSTMCell`` with int8 weights, whose input and hidden state are quantized while it runs.

    State: that of ``RecurrentModule``.

    Args:
        input_size: I, the features of the input.
        hidden_size: H, the features of the hidden state.
        bias: whether there are biases.
        dtype: see ``RNNCellBase``.
        granularity: see ``Linear``.

    Raises:
        ValueError: if an argument is none of these.

    Example:
        >>> hidden, cell = LSTMCell(10, 20)(torch.randn(3, 10))
        >>> hidden.shape, cell.shape
        (torch.Size([3, 20]), torch.Size([3, 20]))
    """

    _float_types = (nn.LSTMCell,)

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, dtype: Any = qint8, granularity: str = "per_tensor"
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, dtype, granularity)

    def forward(
        self, input: torch.Tensor, hx: tuple[torch.Tensor, torch.Tensor] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the next hidden and cell state.

        Args:
            input: float ``[B, I]`` or ``[I]``; computed in float32.
            hx: hidden and cell state, float ``[B, H]`` or ``[H]`` each; zeros if None.

        Returns:
            Two times ``[B, H]`` or ``[H]`` in the dtype of ``input``.

        Raises:
            TypeError: if a tensor is no float tensor, or ``hx`` no pair.
            ValueError: if a shape does not fit.
        """
        return self._step(input, *checked_pair(self._get_name(), hx))

    def _int8(self, x: torch.Tensor, states: tuple, ih: tuple, hh: tuple) -> tuple[torch.Tensor, ...]:
        return ops.lstm_dynamic(x.unsqueeze(0), *states, *ih, *hh, None, None, [], False, *self._range_options)[1:]

    def _float16(self, x: torch.Tensor, states: tuple, ih: tuple, hh: tuple) -> tuple[torch.Tensor, ...]:
        return torch.lstm_cell(x, states, ih[0], hh[0], ih[1], hh[1])


class GRUCell(RNNCellBase):
    """An ``nn.GRUCell`` with int8 weights, whose input and hidden state are quantized while it runs.

    State: that of ``RecurrentModule``.

    Args:
        input_size: I, the features of the input.
        hidden_size: H, the features of the hidden state.
        bias: whether there are biases.
        dtype: see ``RNNCellBase``.
        granularity: see ``Linear``.

    Raises:
        ValueError: if an argument is none of these.

    Example:
        >>> GRUCell(10, 20)(torch.randn(3, 10)).shape
        torch.Size([3, 20])
    """

    _float_types = (nn.GRUCell,)

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, dtype: Any = qint8, granularity: str = "per_tensor"
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, dtype, granularity)

    def forward(self, input: torch.Tensor, hx: torch.Tensor | None = None) -> torch.Tensor:
        """Returns the next hidden state.

        Args:
            input: float ``[B, I]`` or ``[I]``; computed in float32.
            hx: hidden state, float ``[B, H]`` or ``[H]``; zeros if None.

        Returns:
            ``[B, H]`` or ``[H]`` in the dtype of ``input``.

        Raises:
            TypeError: if a tensor is no float tensor.
            ValueError: if a shape does not fit.
        """
        return self._step(input, hx)[0]

    def _int8(self, x: torch.Tensor, states: tuple, ih: tuple, hh: tuple) -> tuple[torch.Tensor, ...]:
        return ops.gru_dynamic(x.unsqueeze(0), *states, *ih, *hh, [], False, *self._range_options)[1:]

    def _float16(self, x: torch.Tensor, states: tuple, ih: tuple, hh: tuple) -> tuple[torch.Tensor, ...]:
        return (torch.gru_cell(x, states[0], ih[0], hh[0], ih[1], hh[1]),)
