"""The steps of a quantized LSTM on plain integers.

What the parts of a cell compute one by one, in the same order and with the same results, without a module and a QTensor
for each of them: that takes most of the time of a small step.
"""

from typing import Any

import torch
from torch import nn

from torchq import ops
from torchq.nn.quantized.functional_modules import QFunctional
from torchq.nn.quantized.linear import Linear
from torchq.qtensor import QTensor
from torchq.qtensor_tables import entries

_FUNCTIONALS = ("gates", "fgate_cx", "igate_cgate", "fgate_cx_igate_cgate", "ogate_cy")
_PARTS = {
    "igates": Linear,
    "hgates": Linear,
    "cell_gate": nn.Tanh,
    **dict.fromkeys(("input_gate", "forget_gate", "output_gate"), nn.Sigmoid),
    **dict.fromkeys(_FUNCTIONALS, QFunctional),
}


def runs_on_integers(cell: nn.Module, hidden: Any) -> bool:
    """Whether nothing but integers is to be had from a cell: its parts are quantized, and nobody watches them.

    Args:
        cell: in parts, as ``torchq.nn.quantizable.LSTMCell``.
        hidden: hidden and cell state.
    """
    parts = cell._modules
    if any(type(parts[name]) is not kind for name, kind in _PARTS.items()):
        return False
    if any(part._forward_hooks or part._forward_pre_hooks for part in cell.modules()):
        return False
    if any(parts[name]._modules for name in _FUNCTIONALS):  # an observer
        return False
    storages = {parts[name]._output_storage for name in ("igates", "hgates", *_FUNCTIONALS)}
    return all(isinstance(state, QTensor) and {state._data.dtype} == storages for state in hidden)


def run_on_integers(
    cell: nn.Module, x: QTensor, hidden: tuple[QTensor, QTensor]
) -> tuple[QTensor, tuple[QTensor, QTensor]]:
    """Runs all steps.

    Args:
        cell: for which ``runs_on_integers`` holds.
        x: ``[T, B, I]``, T at least 1.
        hidden: hidden and cell state, ``[B, H]`` each.

    Returns:
        The hidden states ``[T, B, H]``, and the last hidden and cell state.
    """
    gates, kept, new, sums, product = ((p.scale, p.zero_point) for p in (cell._modules[n] for n in _FUNCTIONALS))
    hgates, inputs = cell.hgates, cell.igates(x)
    data, inputs = inputs._data, (inputs._scale, inputs._zero_point)
    qmin = torch.iinfo(data.dtype).min
    # The scales that torch gives a sigmoid and a tanh of quantized tensors.
    unit, signed = (1 / 256, qmin), (2 / 256, qmin + 128)
    of_sigmoid = entries(torch.sigmoid, (), data, *gates, *unit)
    of_tanh, of_state = (entries(torch.tanh, (), data, *qparams, *signed) for qparams in (gates, sums))
    h, c = hidden
    state, qparams = c._data, (c._scale, c._zero_point)
    outputs = []
    for step in data.unbind(0):
        products = hgates(h)
        total = ops.add(step, *inputs, products._data, products._scale, products._zero_point, *gates)
        i, f, _, o = ops.lookup(total, of_sigmoid).chunk(4, 1)
        g = ops.lookup(total.chunk(4, 1)[2], of_tanh)
        remembered = ops.mul(f, *unit, state, *qparams, *kept)
        state, qparams = ops.add(remembered, *kept, ops.mul(i, *unit, g, *signed, *new), *new, *sums), sums
        h = QTensor(ops.mul(o, *unit, ops.lookup(state, of_state), *signed, *product), *product)
        outputs.append(h._data)
    return QTensor(torch.stack(outputs), *product), (h, QTensor(state, *sums))
