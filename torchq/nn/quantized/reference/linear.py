"""The reference linear layer."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from torchq.nn.quantized.reference.module import ReferenceQuantizedModule


class Linear(ReferenceQuantizedModule, nn.Linear):
    """An ``nn.Linear`` that computes with its weight quantized and dequantized.

    Args:
        in_features: K.
        out_features: N.
        bias_: whether there is a bias.
        device: of the parameters.
        dtype: of the parameters.
        weight_qparams: of the weight; a scale of 1 if None.

    Example:
        >>> qparams = {"qscheme": torchq.per_tensor_affine, "dtype": torchq.qint8, "scale": 0.5, "zero_point": 0}
        >>> layer = Linear(1, 1, bias_=False, weight_qparams=qparams)
        >>> layer.weight.data.fill_(0.7)
        tensor([[0.7000]])
        >>> layer(torch.ones(1, 1))
        tensor([[0.5000]])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias_: bool = True,
        device: Any = None,
        dtype: Any = None,
        weight_qparams: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias_, device, dtype)
        self._init_weight_qparams(weight_qparams, device)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.get_weight(), self.bias)

    @classmethod
    def from_float(cls, float_linear: nn.Linear, weight_qparams: dict[str, Any]) -> "Linear":
        """Makes a reference layer with the parameters of a float one, and qparams for its weight."""
        weight = float_linear.weight
        size = (float_linear.in_features, float_linear.out_features, float_linear.bias is not None)
        return cls(*size, weight.device, weight.dtype, weight_qparams)._take(float_linear)
