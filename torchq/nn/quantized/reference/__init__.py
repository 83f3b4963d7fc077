"""Float modules with a weight that is quantized and dequantized, for reference models of other backends."""

from torchq.nn.quantized.reference.conv import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from torchq.nn.quantized.reference.embedding import Embedding, EmbeddingBag
from torchq.nn.quantized.reference.linear import Linear
from torchq.nn.quantized.reference.module import ReferenceQuantizedModule

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Embedding",
    "EmbeddingBag",
    "Linear",
    "ReferenceQuantizedModule",
]
