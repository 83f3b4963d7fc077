"""Embeddings with fake-quantized weights."""

from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from torchq.dtypes import per_channel_affine_float_qparams
from torchq.nn.qat.module import QATModule, plain_parameter


class _EmbeddingModule(QATModule):
    # The arguments that both classes keep under the same name.
    settings: ClassVar[tuple[str, ...]]

    def folded_weight_bias(self) -> tuple[torch.Tensor, None]:
        return self.weight, None

    def _set_qconfig(self, qconfig: Any) -> None:
        super()._set_qconfig(qconfig)
        qscheme = getattr(self.weight_fake_quant, "qscheme", None)
        if qscheme is not per_channel_affine_float_qparams:
            raise ValueError(
                f"{type(self).__name__} takes a qconfig whose weight has {per_channel_affine_float_qparams}, such as "
                f"default_embedding_qat_qconfig, got {qscheme}"
            )

    @classmethod
    def from_float(cls, mod: nn.Module) -> "_EmbeddingModule":
        """Makes a module for training from a float one, with the same weight.

        Args:
            mod: of the class's ``float_type``, with a ``qconfig``.

        Raises:
            TypeError: if ``mod`` has another type.
            ValueError: if it has no qconfig, or one that does not fit.
        """
        cls._check_float(mod)
        module = cls(**{name: getattr(mod, name) for name in cls.settings}, _weight=mod.weight, qconfig=mod.qconfig)
        module._share(mod, "weight")
        return module.train(mod.training)

    def to_float(self) -> nn.Module:
        """Returns the float module."""
        module = self.float_type(**{name: getattr(self, name) for name in self.settings}, _weight=self.weight)
        module.weight = plain_parameter(self.weight)
        return module.train(self.training)


class Embedding(_EmbeddingModule, nn.Embedding):
    """An ``nn.Embedding`` whose weight is fake-quantized.

    Args: those of ``nn.Embedding``, and ``qconfig``, whose ``weight`` makes the fake quantizer; its scheme must be
    ``per_channel_affine_float_qparams``, as in ``default_embedding_qat_qconfig``.

    Raises:
        ValueError: without such a qconfig.

    Example:
        >>> from torchq.quantization import default_embedding_qat_qconfig
        >>> Embedding(10, 3, qconfig=default_embedding_qat_qconfig)(torch.tensor([1, 2, 4])).shape
        torch.Size([3, 3])
    """

    float_type = nn.Embedding
    settings = (
        "num_embeddings",
        "embedding_dim",
        "padding_idx",
        "max_norm",
        "norm_type",
        "scale_grad_by_freq",
        "sparse",
    )

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: torch.Tensor | None = None,
        device: Any = None,
        dtype: Any = None,
        qconfig: Any = None,
    ) -> None:
        norm = (max_norm, norm_type)
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, *norm, scale_grad_by_freq, sparse, _weight, False, device, dtype
        )
        self._set_qconfig(qconfig)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return F.embedding(
            input,
            self.weight_fake_quant(self.weight),
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.sparse,
        )


class EmbeddingBag(_EmbeddingModule, nn.EmbeddingBag):
    """An ``nn.EmbeddingBag`` whose weight is fake-quantized.

    Args: those of ``nn.EmbeddingBag``, and ``qconfig``, whose ``weight`` makes the fake quantizer; its scheme must be
    ``per_channel_affine_float_qparams``, as in ``default_embedding_qat_qconfig``.

    Raises:
        ValueError: without such a qconfig.
    """

    float_type = nn.EmbeddingBag
    settings = (
        "num_embeddings",
        "embedding_dim",
        "max_norm",
        "norm_type",
        "scale_grad_by_freq",
        "mode",
        "sparse",
        "include_last_offset",
        "padding_idx",
    )

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: torch.Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        qconfig: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            num_embeddings,
            embedding_dim,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            mode,
            sparse,
            _weight,
            include_last_offset,
            padding_idx,
            device,
            dtype,
        )
        self._set_qconfig(qconfig)

    def forward(
        self,
        input: torch.Tensor,
        offsets: torch.Tensor | None = None,
        per_sample_weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return F.embedding_bag(
            input,
            self.weight_fake_quant(self.weight),
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
