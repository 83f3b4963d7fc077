"""What dynamically quantized recurrent layers share: layers, directions, and inputs of several kinds."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from torchq.dtypes import qint8
from torchq.nn.quantized.dynamic.recurrent import RecurrentModule, float32_input

_GATES = {"LSTM": 4, "GRU": 3}

States = tuple[torch.Tensor, ...]
BatchSizes = torch.Tensor | None


class RNNBase(RecurrentModule):
    """Base of ``LSTM`` and ``GRU``: layers, directions, and inputs of several kinds.

    State: that of ``RecurrentModule``.

    Args:
        mode: ``"LSTM"`` or ``"GRU"``.
        input_size: I, the features of the input.
        hidden_size: H, the features of the hidden state.
        num_layers: layers, each on the output of the one before.
        bias: whether there are biases.
        batch_first: whether the batch is the first dimension of input and output, instead of the second.
        dropout: probability that an output of a layer is set to 0 before the next one; in training mode only, and the
            module begins in eval mode.
        bidirectional: whether each layer also runs from the last step to the first.
        dtype: of the weights: ``qint8``, or ``torch.float16``, where all is computed in float32.
        granularity: over what the range of an input, and of a hidden state, is taken: see ``Linear``.
        proj_size: P, the features that an LSTM's hidden state is projected to; 0 for none.

    Raises:
        ValueError: if an argument is none of these.
    """

    def __init__(
        self,
        mode: str,
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
        if mode not in _GATES:
            raise ValueError(f"mode must be 'LSTM' or 'GRU', got {mode!r}")
        if min(input_size, hidden_size, num_layers) < 1:
            raise ValueError(
                f"input_size, hidden_size and num_layers must be at least 1, got {input_size}, {hidden_size} and "
                f"{num_layers}"
            )
        if isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError(f"dropout must lie in [0, 1], got {dropout}")
        if not 0 <= proj_size < hidden_size or (proj_size and mode != "LSTM"):
            raise ValueError(
                f"proj_size must lie in [0, hidden_size) in an LSTM, and be 0 in a GRU, got {proj_size} with "
                f"hidden_size={hidden_size} in a {mode}"
            )
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        super().__init__(self._weight_sizes(), bias, dtype, granularity)

    @property
    def dtype(self) -> Any:
        """The dtype of the weights."""
        return self.weight_dtype

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def suffixes(self) -> list[str]:
        """Returns what the names of the weights of each layer and direction end with, as ``l0`` and ``l0_reverse``."""
        ends = ("", "_reverse")[: self._directions]
        return [f"l{layer}{end}" for layer in range(self.num_layers) for end in ends]

    def _weight_sizes(self) -> dict[str, tuple[int, int]]:
        rows, width = _GATES[self.mode] * self.hidden_size, self.proj_size or self.hidden_size
        sizes = {}
        for suffix in self.suffixes():
            first = suffix.startswith("l0")
            sizes[f"ih_{suffix}"] = (rows, self.input_size if first else width * self._directions)
            sizes[f"hh_{suffix}"] = (rows, width)
            if self.proj_size:
                sizes[f"hr_{suffix}"] = (width, self.hidden_size)
        return sizes

    def set_weight_bias(self, weight_bias_dict: dict[str, Any]) -> None:
        """Packs all weights, and copies all biases.

        Args:
            weight_bias_dict: by name, as ``weight_ih_l0`` and ``bias_ih_l0``: each weight a ``QTensor`` of ``qint8``,
                or a float tensor if the module's dtype is ``torch.float16``; each bias float.

        Raises:
            TypeError: if a weight is neither.
            ValueError: if something is missing, is too much or does not fit.
        """
        self._take(weight_bias_dict)

    def _widths(self) -> tuple[int, ...]:
        """The features of each of the states."""
        return (self.hidden_size,)

    def _step_through(self, x: torch.Tensor, states: States, suffix: str, batch_sizes: list[int]) -> States:
        """Runs one layer in one direction; returns its outputs and its last states."""
        raise NotImplementedError

    def _in_float(self, *args: Any) -> States:
        """Runs all layers by a function of torch; returns the outputs and the last states."""
        raise NotImplementedError

    def _run(self, input: Any, *states: torch.Tensor | None) -> tuple[Any, States]:
        """Returns the outputs, in the form of the input, and the last states."""
        packed = isinstance(input, PackedSequence)
        x = float32_input(self._get_name(), input.data if packed else input)
        single = not packed and x.dim() == 2
        self._check_input(x, packed)
        if single:
            x = x.unsqueeze(1)
        elif self.batch_first and not packed:
            x = x.transpose(0, 1)
        batch = int(input.batch_sizes[0]) if packed else x.size(1)
        states = self._checked_states(states, x, None if single else batch)
        if packed and input.sorted_indices is not None:
            states = tuple(state.index_select(1, input.sorted_indices) for state in states)
        run = self._int8 if self._quantizes_input else self._float16
        output, states = run(x, states, input.batch_sizes if packed else None)
        dtype = input.data.dtype if packed else input.dtype
        output, states = output.to(dtype), tuple(state.to(dtype) for state in states)
        if packed:
            if input.unsorted_indices is not None:
                states = tuple(state.index_select(1, input.unsorted_indices) for state in states)
            return PackedSequence(output, *input[1:]), states
        if single:
            return output.squeeze(1), tuple(state.squeeze(1) for state in states)
        return output.transpose(0, 1) if self.batch_first else output, states

    def _check_input(self, x: torch.Tensor, packed: bool) -> None:
        if x.dim() not in ((2,) if packed else (2, 3)) or x.size(-1) != self.input_size:
            form = f"[B, T, {self.input_size}]" if self.batch_first else f"[T, B, {self.input_size}]"
            form = f"[rows, {self.input_size}]" if packed else f"{form} or [T, {self.input_size}]"
            raise ValueError(f"{self._get_name()} takes an input of shape {form}, got {tuple(x.shape)}")

    def _checked_states(self, states: Sequence[torch.Tensor | None], x: torch.Tensor, batch: int | None) -> States:
        """Returns states with a batch, in float32; one that is None becomes zeros."""
        name, size = self._get_name(), (self.num_layers * self._directions, *([] if batch is None else [batch]))
        checked = []
        for state, width, kind in zip(states, self._widths(), ("hidden", "cell"), strict=False):
            expected = (*size, width)
            state = x.new_zeros(expected) if state is None else float32_input(f"{name}'s {kind} state", state)
            if tuple(state.shape) != expected:
                raise ValueError(f"{name} takes a {kind} state of shape {expected}, got {tuple(state.shape)}")
            checked.append(state.unsqueeze(1) if batch is None else state)
        return tuple(checked)

    def _int8(self, x: torch.Tensor, states: States, batch_sizes: BatchSizes) -> tuple[torch.Tensor, States]:
        sizes = [] if batch_sizes is None else batch_sizes.tolist()
        last: list[States] = []
        suffixes = self.suffixes()
        for layer in range(self.num_layers):
            outputs = []
            for suffix in suffixes[layer * self._directions : (layer + 1) * self._directions]:
                before = tuple(state[len(last)] for state in states)
                output, *after = self._step_through(x, before, suffix, sizes)
                outputs.append(output)
                last.append(tuple(after))
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)
            if self.training and self.dropout and layer + 1 < self.num_layers:
                x = F.dropout(x, self.dropout)
        return x, tuple(torch.stack(state) for state in zip(*last, strict=True))

    def _float16(self, x: torch.Tensor, states: States, batch_sizes: BatchSizes) -> tuple[torch.Tensor, States]:
        flat = []
        for suffix in self.suffixes():
            ih, hh = (self._weight(f"{which}_{suffix}").operands() for which in ("ih", "hh"))
            flat += [ih[0], hh[0], *([ih[1], hh[1]] if self.bias else [])]
            flat += [self._weight(f"hr_{suffix}").operands()[0]] if self.proj_size else []
        options = (self.bias, self.num_layers, self.dropout, self.training, self.bidirectional)
        if batch_sizes is None:
            output, *last = self._in_float(x, states, flat, *options, False)
        else:
            output, *last = self._in_float(x, batch_sizes, states, flat, *options)
        return output, tuple(last)

    @classmethod
    def from_reference(cls, ref_mod: nn.Module) -> "RNNBase":
        """Makes the dynamically quantized module of a reference one.

        Args:
            ref_mod: has the attributes of the float module, the weights' dtype as ``weight_ih_l0_dtype``, and a
                ``get_quantized_weight_bias_dict()`` that returns what ``set_weight_bias`` takes.

        Raises:
            TypeError: if a weight is no ``QTensor``.
            ValueError: if a weight or bias does not fit.
        """
        module = cls._like(ref_mod, ref_mod.weight_ih_l0_dtype)
        module.set_weight_bias(ref_mod.get_quantized_weight_bias_dict())
        return module

    @classmethod
    def _like(cls, mod: nn.Module, dtype: Any) -> "RNNBase":
        arguments = (mod.bias, mod.batch_first, mod.dropout, mod.bidirectional, dtype)
        projected = {"proj_size": mod.proj_size} if getattr(mod, "proj_size", 0) else {}
        return cls(mod.input_size, mod.hidden_size, mod.num_layers, *arguments, **projected)

    def _get_name(self) -> str:
        return f"DynamicQuantized{self.mode}"

    def extra_repr(self) -> str:
        defaults = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        defaults |= {"proj_size": 0, "dtype": qint8, "granularity": "per_tensor"}
        others = [f"{name}={getattr(self, name)}" for name, value in defaults.items() if getattr(self, name) != value]
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *others])
