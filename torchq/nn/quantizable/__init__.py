"""Float modules made of parts that can be observed and quantized one by one."""

from torchq.nn.quantizable.attention import MultiheadAttention
from torchq.nn.quantizable.rnn import LSTM
from torchq.nn.quantizable.rnn_cell import LSTMCell

__all__ = ["LSTM", "LSTMCell", "MultiheadAttention"]
