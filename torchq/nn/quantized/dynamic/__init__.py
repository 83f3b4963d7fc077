"""Modules with quantized weights that take and return float tensors."""

from torchq.nn.quantized.dynamic.conv import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from torchq.nn.quantized.dynamic.linear import Linear
from torchq.nn.quantized.dynamic.rnn import GRU, LSTM
from torchq.nn.quantized.dynamic.rnn_base import RNNBase
from torchq.nn.quantized.dynamic.rnn_cells import GRUCell, LSTMCell, RNNCell, RNNCellBase

__all__ = [
    "GRU",
    "LSTM",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "GRUCell",
    "LSTMCell",
    "Linear",
    "RNNBase",
    "RNNCell",
    "RNNCellBase",
]
