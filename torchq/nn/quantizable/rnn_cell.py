"""An LSTM cell made of linear layers, functions of gates and products."""

from typing import Any

import torch
from torch import nn

from torchq.dtypes import quint8
from torchq.nn.quantized.functional_modules import FloatFunctional
from torchq.qtensor import QTensor
from torchq.qtensor_creation import quantize_per_tensor

State = tuple[torch.Tensor, torch.Tensor]
_GATES = ("input", "forget", "cell", "output")


class LSTMCell(nn.Module):
    """An ``nn.LSTMCell`` in parts.

    Args:
        input_dim: I, the features of the input.
        hidden_dim: H, the features of the hidden state.
        bias: whether there are biases.
        device: of the parameters.
        dtype: of the parameters.
        split_gates: whether each gate has its own layers, and so its own scales.

    Attributes:
        initial_hidden_state_qparams: scale and zero point of the hidden state that a quantized cell begins with.
        initial_cell_state_qparams: those of the cell state.
        hidden_state_dtype: the quantized dtype of that hidden state.
        cell_state_dtype: that of the cell state.

    Example:
        >>> hidden, cell = LSTMCell(10, 20)(torch.randn(3, 10))
        >>> hidden.shape, cell.shape
        (torch.Size([3, 20]), torch.Size([3, 20]))
    """

    def __init__(
        self,
        input_dim: int,
        hidden_dim: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        split_gates: bool = False,
    ) -> None:
        super().__init__()
        self.input_size = input_dim
        self.hidden_size = hidden_dim
        self.bias = bias
        self.split_gates = split_gates
        made = {"bias": bias, "device": device, "dtype": dtype}
        if split_gates:
            self.igates = nn.ModuleDict({gate: nn.Linear(input_dim, hidden_dim, **made) for gate in _GATES})
            self.hgates = nn.ModuleDict({gate: nn.Linear(hidden_dim, hidden_dim, **made) for gate in _GATES})
            self.gates = nn.ModuleDict({gate: FloatFunctional() for gate in _GATES})
        else:
            self.igates = nn.Linear(input_dim, 4 * hidden_dim, **made)
            self.hgates = nn.Linear(hidden_dim, 4 * hidden_dim, **made)
            self.gates = FloatFunctional()
        self.input_gate = nn.Sigmoid()
        self.forget_gate = nn.Sigmoid()
        self.cell_gate = nn.Tanh()
        self.output_gate = nn.Sigmoid()
        self.fgate_cx = FloatFunctional()
        self.igate_cgate = FloatFunctional()
        self.fgate_cx_igate_cgate = FloatFunctional()
        self.ogate_cy = FloatFunctional()
        self.initial_hidden_state_qparams = (1.0, 0)
        self.initial_cell_state_qparams = (1.0, 0)
        self.hidden_state_dtype = quint8
        self.cell_state_dtype = quint8

    def forward(self, x: torch.Tensor, hidden: State | None = None) -> State:
        """Returns the next hidden and cell state.

        Args:
            x: ``[B, I]``, float, or quantized once the parts are.
            hidden: hidden and cell state, ``[B, H]`` each; zeros if None.

        Returns:
            Two times ``[B, H]``.
        """
        if hidden is None or hidden[0] is None or hidden[1] is None:
            hidden = self.initialize_hidden(x.shape[0], isinstance(x, QTensor))
        hx, cx = hidden
        if self.split_gates:
            sums = [self.gates[g].add(self.igates[g](x), self.hgates[g](hx)) for g in _GATES]
        else:
            sums = self.gates.add(self.igates(x), self.hgates(hx)).chunk(4, 1)
        functions = (self.input_gate, self.forget_gate, self.cell_gate, self.output_gate)
        i, f, g, o = (function(gate) for function, gate in zip(functions, sums, strict=True))
        cy = self.fgate_cx_igate_cgate.add(self.fgate_cx.mul(f, cx), self.igate_cgate.mul(i, g))
        return self.ogate_cy.mul(o, torch.tanh(cy)), cy

    def initialize_hidden(self, batch_size: int, is_quantized: bool = False) -> State:
        """Returns states of zeros.

        Args:
            batch_size: B.
            is_quantized: whether they are quantized, with the scales and dtypes that the cell has for them.
        """
        h = torch.zeros(batch_size, self.hidden_size)
        if not is_quantized:
            return h, h.clone()
        return (
            quantize_per_tensor(h, *self.initial_hidden_state_qparams, self.hidden_state_dtype),
            quantize_per_tensor(h, *self.initial_cell_state_qparams, self.cell_state_dtype),
        )

    @classmethod
    def from_params(
        cls,
        wi: torch.Tensor,
        wh: torch.Tensor,
        bi: torch.Tensor | None = None,
        bh: torch.Tensor | None = None,
        split_gates: bool = False,
    ) -> "LSTMCell":
        """Makes a cell of weights and biases.

        Args:
            wi: ``[4 * H, I]``, the weight of the input.
            wh: ``[4 * H, H]``, the weight of the hidden state.
            bi: ``[4 * H]``, or None.
            bh: ``[4 * H]``, or None if ``bi`` is None.
            split_gates: whether each gate has its own layers.

        Raises:
            ValueError: if only one of the biases is None.
        """
        if (bi is None) != (bh is None):
            raise ValueError("bi and bh go together, but one of them is None")
        cell = cls(wi.shape[1], wh.shape[1], bi is not None, wi.device, wi.dtype, split_gates=split_gates)
        for weight, bias, gates in ((wi, bi, cell.igates), (wh, bh, cell.hgates)):
            layers = list(gates.values()) if split_gates else [gates]
            for name, parameter in (("weight", weight), ("bias", bias)):
                if parameter is not None:
                    for layer, part in zip(layers, parameter.detach().chunk(len(layers)), strict=True):
                        setattr(layer, name, nn.Parameter(part.clone(), parameter.requires_grad))
        return cell

    @classmethod
    def from_float(
        cls, other: nn.LSTMCell, use_precomputed_fake_quant: bool = False, split_gates: bool = False
    ) -> "LSTMCell":
        """Makes a cell in parts of a float one; ``prepare`` gives it observers.

        Args:
            other: has a ``qconfig``.
            use_precomputed_fake_quant: means nothing, and is there for torch.ao's signature.
            split_gates: whether each gate has its own layers.

        Raises:
            TypeError: if ``other`` has another type.
            ValueError: if it has no qconfig.
        """
        if type(other) is not nn.LSTMCell:
            raise TypeError(f"{cls.__name__}.from_float takes LSTMCell, got {type(other).__name__}")
        if getattr(other, "qconfig", None) is None:
            raise ValueError("LSTMCell has no qconfig")
        cell = cls.from_params(other.weight_ih, other.weight_hh, other.bias_ih, other.bias_hh, split_gates)
        for part in (cell, *cell.igates.modules(), *cell.hgates.modules()):
            part.qconfig = other.qconfig
        return cell.train(other.training)

    def _get_name(self) -> str:
        return "QuantizableLSTMCell"
