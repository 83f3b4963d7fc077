"""A two-layer LSTM over 128 steps."""

from types import SimpleNamespace

import torch
from torch import nn


class Recurrent(nn.Module):
    """The outputs of an LSTM, without its last state."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width, layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lstm(x)[0]


def lstm(eager: SimpleNamespace) -> Recurrent:
    return Recurrent(512, 2)
