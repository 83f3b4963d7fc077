"""A recurrent network written for torch.ao's dynamic quantization: an embedding, an LSTM, and a linear layer."""

import torch
from torch import nn
from torch.ao.quantization import quantize_dynamic


class Tagger(nn.Module):
    """Scores a tag for each word of a sentence."""

    def __init__(self, words: int = 1000, width: int = 256, tags: int = 32) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.lstm = nn.LSTM(width, width, num_layers=2, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(2 * width, tags)

    def forward(self, words):
        return self.fc(self.lstm(self.embedding(words))[0])


def inputs(seed: int, batch: int = 1) -> torch.Tensor:
    """Returns sentences of 64 words."""
    return torch.randint(0, 1000, (batch, 64), generator=torch.Generator().manual_seed(seed))


def quantized() -> nn.Module:
    """Returns the network, quantized."""
    torch.manual_seed(0)
    return quantize_dynamic(Tagger().eval(), {nn.LSTM, nn.Linear}, dtype=torch.qint8)
