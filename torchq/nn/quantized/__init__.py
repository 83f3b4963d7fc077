"""Modules that take and return quantized tensors."""

from torch.nn import MaxPool2d

from torchq.nn.quantized import dynamic, reference
from torchq.nn.quantized.activation import ELU, Hardswish, LeakyReLU, PReLU, ReLU6, Sigmoid, Softmax
from torchq.nn.quantized.attention import MultiheadAttention
from torchq.nn.quantized.batchnorm import BatchNorm2d, BatchNorm3d
from torchq.nn.quantized.conv import Conv1d, Conv2d, Conv3d
from torchq.nn.quantized.conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from torchq.nn.quantized.dropout import Dropout
from torchq.nn.quantized.embedding import Embedding, EmbeddingBag
from torchq.nn.quantized.functional_modules import FloatFunctional, FXFloatFunctional, QFunctional
from torchq.nn.quantized.linear import Linear
from torchq.nn.quantized.normalization import GroupNorm, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d, LayerNorm
from torchq.nn.quantized.quantize import DeQuantize, Quantize
from torchq.nn.quantized.rnn import LSTM

__all__ = [
    "ELU",
    "LSTM",
    "BatchNorm2d",
    "BatchNorm3d",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "DeQuantize",
    "Dropout",
    "Embedding",
    "EmbeddingBag",
    "FXFloatFunctional",
    "FloatFunctional",
    "GroupNorm",
    "Hardswish",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "MultiheadAttention",
    "PReLU",
    "QFunctional",
    "Quantize",
    "ReLU6",
    "Sigmoid",
    "Softmax",
    "dynamic",
    "reference",
]
