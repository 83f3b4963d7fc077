"""Transformer encoders in the shape of BERT (arXiv 1810.04805); embeddings are left out."""

from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """Attention and feed-forward with a residual sum and layer norm behind each."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.output, self.norm = nn.Linear(width, width), nn.LayerNorm(width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.last_norm = nn.LayerNorm(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        attended = F.scaled_dot_product_attention(query, key, value)
        x = self.norm(x + self.output(attended.transpose(1, 2).flatten(2)))
        return self.last_norm(x + self.narrow(F.gelu(self.wide(x))))


def bert_base(eager: SimpleNamespace) -> nn.Module:
    return nn.Sequential(*(Block(768, 12) for _ in range(12)))


def small_encoder(eager: SimpleNamespace) -> nn.Module:
    return nn.Sequential(*(Block(384, 12) for _ in range(6)))
