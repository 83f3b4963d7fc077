"""The reference embeddings."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from torchq.nn.quantized.reference.module import ReferenceQuantizedModule


class _Embedding(ReferenceQuantizedModule):
    _names: tuple[str, ...]

    def __init__(self, *args: Any, weight_qparams: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._init_weight_qparams(weight_qparams, self.weight.device)

    @classmethod
    def from_float(cls, mod: nn.Module, weight_qparams: dict[str, Any]) -> "_Embedding":
        """Makes a reference embedding with the weight of a float one, and qparams for it."""
        arguments = {name: getattr(mod, name) for name in cls._names}
        return cls(**arguments, _weight=mod.weight.detach(), weight_qparams=weight_qparams)._take(mod)


class Embedding(_Embedding, nn.Embedding):
    """An ``nn.Embedding`` that computes with its weight quantized and dequantized.

    Args: those of ``nn.Embedding``, and ``weight_qparams``, as ``torchq.quantization.utils.get_qparam_dict`` returns
    them.
    """

    _names = (
        *("num_embeddings", "embedding_dim", "padding_idx", "max_norm", "norm_type"),
        *("scale_grad_by_freq", "sparse"),
    )

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return F.embedding(
            input,
            self.get_weight(),
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.sparse,
        )


class EmbeddingBag(_Embedding, nn.EmbeddingBag):
    """An ``nn.EmbeddingBag`` that computes with its weight quantized and dequantized.

    Args: those of ``nn.EmbeddingBag``, and ``weight_qparams``; see ``Embedding``.
    """

    _names = (
        *("num_embeddings", "embedding_dim", "max_norm", "norm_type", "scale_grad_by_freq", "mode"),
        *("sparse", "include_last_offset", "padding_idx"),
    )

    def forward(
        self,
        input: torch.Tensor,
        offsets: torch.Tensor | None = None,
        per_sample_weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return F.embedding_bag(
            input,
            self.get_weight(),
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            self.sparse,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )
