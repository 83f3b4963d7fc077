"""Recurrent cells: one step of one layer, with dynamic quantization.

Inputs and hidden states are quantized by their own range in 7 bits. The biases are those that the weights were packed
with; the arguments for them are there for torch's signature, and must be the same.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from torchq import ops
from torchq.quantized.linear import dynamic
from torchq.quantized.packed import LinearPackedParams, LinearPackedParamsFp16


def quantized_lstm_cell_dynamic(
    input: Tensor,
    hx: Sequence[Tensor],
    w_ih: LinearPackedParams,
    w_hh: LinearPackedParams,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Returns the next hidden and cell state of an LSTM.

    Args:
        input: float32 ``[B, I]``.
        hx: hidden and cell state, float32 ``[B, H]`` each.
        w_ih: what ``linear_prepack``, or ``linear_prepack_fp16``, made of the weight ``[4 * H, I]`` and its bias.
        w_hh: likewise of the weight ``[4 * H, H]``.
        bias_ih: that of ``w_ih``, or None.
        bias_hh: that of ``w_hh``, or None.

    Raises:
        TypeError: if a weight is not packed.
        ValueError: if a bias is another one than that of its weight, or there are not two states.
        RuntimeError: if a shape or dtype does not fit.
    """
    if len(hx) != 2:
        raise ValueError(f"quantized_lstm_cell_dynamic takes a hidden and a cell state, got {len(hx)} states")
    hidden, cell = hx
    ih, hh = _both("quantized_lstm_cell_dynamic", w_ih, w_hh, bias_ih, bias_hh)
    if isinstance(ih, LinearPackedParamsFp16):
        return torch.lstm_cell(input, (hidden, cell), *_floats(ih, hh))
    operands = (*ih._layer.operands(), *hh._layer.operands())
    _, hidden, cell = ops.lstm_dynamic(input.unsqueeze(0), hidden, cell, *operands, None, None, (), False, False, True)
    return hidden, cell


def quantized_gru_cell_dynamic(
    input: Tensor,
    hx: Tensor,
    w_ih: LinearPackedParams,
    w_hh: LinearPackedParams,
    b_ih: Tensor | None,
    b_hh: Tensor | None,
) -> Tensor:
    """Returns the next hidden state of a GRU.

    Args:
        input: float32 ``[B, I]``.
        hx: hidden state, float32 ``[B, H]``.
        w_ih: what ``linear_prepack``, or ``linear_prepack_fp16``, made of the weight ``[3 * H, I]`` and its bias.
        w_hh: likewise of the weight ``[3 * H, H]``.
        b_ih: that of ``w_ih``, or None.
        b_hh: that of ``w_hh``, or None.
    """
    ih, hh = _both("quantized_gru_cell_dynamic", w_ih, w_hh, b_ih, b_hh)
    if isinstance(ih, LinearPackedParamsFp16):
        return torch.gru_cell(input, hx, *_floats(ih, hh))
    operands = (*ih._layer.operands(), *hh._layer.operands())
    return ops.gru_dynamic(input.unsqueeze(0), hx, *operands, (), False, False, True)[1]


def quantized_rnn_tanh_cell_dynamic(
    input: Tensor,
    hx: Tensor,
    w_ih: LinearPackedParams,
    w_hh: LinearPackedParams,
    b_ih: Tensor | None,
    b_hh: Tensor | None,
) -> Tensor:
    """Returns the next hidden state of an RNN with a tanh.

    Args are those of ``quantized_gru_cell_dynamic``, of weights ``[H, I]`` and ``[H, H]``.
    """
    return torch.tanh(_sum("quantized_rnn_tanh_cell_dynamic", input, hx, w_ih, w_hh, b_ih, b_hh))


def quantized_rnn_relu_cell_dynamic(
    input: Tensor,
    hx: Tensor,
    w_ih: LinearPackedParams,
    w_hh: LinearPackedParams,
    b_ih: Tensor | None,
    b_hh: Tensor | None,
) -> Tensor:
    """Returns the next hidden state of an RNN with a relu; arguments are as for a tanh."""
    return torch.relu(_sum("quantized_rnn_relu_cell_dynamic", input, hx, w_ih, w_hh, b_ih, b_hh))


def _sum(name: str, input: Tensor, hx: Tensor, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> Tensor:
    ih, hh = _both(name, w_ih, w_hh, b_ih, b_hh)
    return dynamic(name, input, ih, True, False) + dynamic(name, hx, hh, True, False)


def _both(name: str, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> tuple[Any, Any]:
    """Returns the two packed weights, checked to be of one kind and to have the biases given."""
    if not isinstance(w_ih, (LinearPackedParams, LinearPackedParamsFp16)) or type(w_ih) is not type(w_hh):
        raise TypeError(
            f"{name} takes two weights that linear_prepack, or linear_prepack_fp16, returned, got "
            f"{type(w_ih).__name__} and {type(w_hh).__name__}"
        )
    for which, packed, given in (("ih", w_ih, b_ih), ("hh", w_hh, b_hh)):
        own = packed.bias()
        if given is not None and (own is None or not torch.equal(own, given)):
            raise ValueError(f"{name} takes the bias that w_{which} was packed with, got another one")
    return w_ih, w_hh


def _floats(ih: LinearPackedParamsFp16, hh: LinearPackedParamsFp16) -> tuple[Tensor | None, ...]:
    """Returns the weights and the biases, as torch's float cells take them."""
    (w_ih, b_ih), (w_hh, b_hh) = ih.unpack(), hh.unpack()
    return w_ih, w_hh, b_ih, b_hh
