"""Float modules with fake-quantized weights, for quantization-aware training."""

from torchq.nn.qat import dynamic
from torchq.nn.qat.conv import Conv1d, Conv2d, Conv3d
from torchq.nn.qat.embedding import Embedding, EmbeddingBag
from torchq.nn.qat.linear import Linear
from torchq.nn.qat.module import QATModule

__all__ = ["Conv1d", "Conv2d", "Conv3d", "Embedding", "EmbeddingBag", "Linear", "QATModule", "dynamic"]
