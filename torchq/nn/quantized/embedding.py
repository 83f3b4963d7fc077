"""Quantized embeddings: rows of 8 or 4 bits, each with a scale and zero point of its own, that give float vectors."""

from typing import Any

import torch
from torch import nn

from torchq import ops
from torchq.dtypes import QDtype, as_qdtype, per_channel_affine_float_qparams, quint4x2, quint8
from torchq.nn import qat
from torchq.nn.quantized.conversion import weighted_part
from torchq.nn.quantized.state import PlainStateModule
from torchq.qtensor import QTensor
from torchq.qtensor_arithmetic import quantize_float_zero_points
from torchq.qtensor_packed import PackedQTensor, pack

_BITS = {quint8: 8, quint4x2: 4}
_SUM, _MEAN = 0, 1


class Embedding(PlainStateModule):
    """Looks up quantized rows, and returns them as float32.

    State: ``weight``, the integers as uint8 ``[num_embeddings, embedding_dim]``, with 4 bits two of them in a byte, the
    first in its low half; ``weight_scale``, float32, and ``weight_zero_point``, float64, both ``[num_embeddings]``.

    Args:
        num_embeddings: rows.
        embedding_dim: columns; even with 4 bits.
        padding_idx: of the float module; it only matters to training, as ``scale_grad_by_freq`` and ``sparse``.
        max_norm: must be None: rows are what they are.
        norm_type: see ``max_norm``.
        scale_grad_by_freq: see ``padding_idx``.
        sparse: see ``padding_idx``.
        _weight: see ``set_weight``; zeros when None.
        dtype: ``quint8`` or ``quint4x2``.

    Raises:
        ValueError: if an argument is none of these.

    Example:
        >>> Embedding(num_embeddings=10, embedding_dim=12)(torch.tensor([9, 6, 5])).shape
        torch.Size([3, 12])
    """

    _float_types: tuple[type[nn.Module], ...] = (nn.Embedding, qat.Embedding)
    _packed_weight: torch.Tensor

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: QTensor | None = None,
        dtype: Any = quint8,
    ) -> None:
        super().__init__()
        self.dtype = as_qdtype(dtype)
        if self.dtype not in _BITS:
            raise ValueError(f"{self._get_name()} takes a dtype of {quint8} or {quint4x2}, got {dtype}")
        if self.dtype is quint4x2 and embedding_dim % 2:
            raise ValueError(f"{self._get_name()} of {quint4x2} takes an even embedding_dim, got {embedding_dim}")
        if max_norm is not None:
            raise ValueError(
                f"{self._get_name()} does not renormalize rows: do so before it is made, and set max_norm to None, got "
                f"{max_norm}"
            )
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        if _weight is None:
            integers = torch.zeros(num_embeddings, embedding_dim * self._bits // 8, dtype=torch.uint8)
            self._pack(integers, torch.ones(num_embeddings), torch.zeros(num_embeddings))
        else:
            self.set_weight(_weight)

    def weight(self) -> QTensor:
        """Returns the rows, with a scale and zero point each: those that the look-up uses, of float16 with 4 bits."""
        state = self._state()
        integers, qparams = state["weight"], (state["weight_scale"], state["weight_zero_point"].float(), 0)
        if self.dtype is quint8:
            return QTensor(integers, *qparams)
        return PackedQTensor(integers.view(-1), (self.num_embeddings, self.embedding_dim), *qparams)

    def set_weight(self, w: QTensor) -> None:
        """Sets the rows.

        Args:
            w: of the module's dtype, ``[num_embeddings, embedding_dim]``, with a scale for each index of axis 0, and a
                zero point, which need be no integer.

        Raises:
            TypeError: if ``w`` is no ``QTensor``.
            ValueError: if shape, dtype or axis does not fit.
        """
        name, size = self._get_name(), (self.num_embeddings, self.embedding_dim)
        if not isinstance(w, QTensor):
            raise TypeError(f"{name} takes a QTensor as weight, got {type(w).__name__}")
        if tuple(w.shape) != size or w._axis != 0 or w.qdtype is not self.dtype:
            raise ValueError(
                f"{name} takes a weight of {self.dtype} and shape {size}, with one scale per index of axis 0, got "
                f"{w.qdtype}, {tuple(w.shape)} and axis {w._axis}"
            )
        integers = w._packed.view(size[0], -1) if isinstance(w, PackedQTensor) else w._data
        self._pack(integers, w._scale, w._zero_point)

    def forward(self, indices: torch.Tensor) -> torch.Tensor:
        """Returns the rows.

        Args:
            indices: int32 or int64, of any shape.

        Returns:
            float32 ``[*indices.shape, embedding_dim]``.

        Raises:
            RuntimeError: if ``indices`` are no such integers, or one is no row.
        """
        # A bag for each row.
        offsets = torch.arange(indices.numel() + 1, device=indices.device)
        rows = ops.embedding_bag(self._packed_weight, self._bits, indices.reshape(-1), offsets, None, _SUM)
        return rows.view(*indices.shape, self.embedding_dim)

    @property
    def _bits(self) -> int:
        return _BITS[self.dtype]

    @classmethod
    def from_float(cls, mod: nn.Module) -> "Embedding":
        """Makes the quantized module from a float one, or from one that was trained quantization-aware.

        Args:
            mod: has a ``qconfig`` whose weight has float qparams, such as ``float_qparams_weight_only_qconfig``.

        Raises:
            RuntimeError: if a fake quantizer never saw the weight.
            TypeError: if ``mod`` has another type.
            ValueError: if the qconfig, or an argument of ``mod``, does not fit.
        """
        weighted_part(mod, cls._float_types, cls)
        weight = mod.weight.detach().float()
        observer = getattr(mod, "weight_fake_quant", None)
        if observer is None:
            observer = mod.qconfig.weight()
        qscheme = getattr(observer, "qscheme", None)
        if qscheme is not per_channel_affine_float_qparams or observer.ch_axis != 0 or observer.dtype not in _BITS:
            raise ValueError(
                f"{cls.__name__} takes a qconfig whose weight has {per_channel_affine_float_qparams} along axis 0, and "
                f"{quint8} or {quint4x2}, such as float_qparams_weight_only_qconfig, got {observer}; to leave it in "
                "float, set its qconfig to None"
            )
        if not hasattr(mod, "weight_fake_quant"):
            observer.to(weight.device)(weight)
        scale, zero_point = observer.calculate_qparams()
        integers = quantize_float_zero_points(weight, scale, zero_point, 0, observer.dtype)
        integers = QTensor(integers.clamp_(observer.quant_min, observer.quant_max), scale, zero_point, 0)
        module = cls._like(mod, observer.dtype)
        module.set_weight(integers if observer.dtype is quint8 else pack(integers))
        return module

    @classmethod
    def _like(cls, mod: nn.Module, dtype: QDtype) -> "Embedding":
        norm = (mod.padding_idx, mod.max_norm, mod.norm_type)
        return cls(mod.num_embeddings, mod.embedding_dim, *norm, dtype=dtype)

    def _pack(self, integers: torch.Tensor, scale: torch.Tensor, zero_point: torch.Tensor) -> None:
        """Puts each row's scale and bias behind its bytes, as the operator reads them."""
        if not (torch.isfinite(scale) & (scale > 0)).all():
            raise ValueError(f"{self._get_name()} takes scales that are finite and > 0, got {scale.tolist()}")
        # The product of two float32 is exact in float64, and rounded once.
        bias = (-zero_point.double() * scale.double()).float()
        parameters = torch.stack([scale.float(), bias], 1)
        parameters = parameters if self.dtype is quint8 else parameters.half()
        rows = torch.cat([integers, parameters.view(torch.uint8)], 1)
        self.register_buffer("_packed_weight", rows, persistent=False)

    def _state(self) -> dict[str, torch.Tensor]:
        parameters = torch.float32 if self.dtype is quint8 else torch.float16
        columns = self.embedding_dim * self._bits // 8
        scale, bias = self._packed_weight[:, columns:].contiguous().view(parameters).float().unbind(1)
        weight = self._packed_weight[:, :columns].contiguous()
        # In float64, so that the product with the scale is the bias again when it is loaded.
        zero_point = -bias.double() / scale.double()
        return {**super()._state(), "weight": weight, "weight_scale": scale, "weight_zero_point": zero_point}

    def _set_state(self, state: dict[str, torch.Tensor]) -> None:
        if state["weight"].dtype != torch.uint8:
            raise TypeError(f"weight must be torch.uint8, got {state['weight'].dtype}")
        super()._set_state(state)
        here = {name: value.to(self._packed_weight.device) for name, value in state.items()}
        self._pack(here["weight"], here["weight_scale"], here["weight_zero_point"])

    def _get_name(self) -> str:
        return "QuantizedEmbedding"

    def extra_repr(self) -> str:
        return (
            f"num_embeddings={self.num_embeddings}, embedding_dim={self.embedding_dim}, dtype={self.dtype}, "
            f"qscheme={per_channel_affine_float_qparams}"
        )


class EmbeddingBag(Embedding):
    """Adds up, or averages, bags of quantized rows.

    State: that of ``Embedding``.

    Args:
        num_embeddings: rows.
        embedding_dim: columns; even with 4 bits.
        max_norm: must be None: rows are what they are.
        norm_type: see ``max_norm``.
        scale_grad_by_freq: of the float module; it only matters to training, as ``sparse``.
        mode: ``"sum"`` or ``"mean"``.
        sparse: see ``scale_grad_by_freq``.
        _weight: see ``set_weight``; zeros when None.
        include_last_offset: whether offsets end with the number of indices.
        dtype: ``quint8`` or ``quint4x2``.
        padding_idx: the row that does not count, if any.

    Raises:
        ValueError: if an argument is none of these.

    Example:
        >>> module = EmbeddingBag(num_embeddings=10, embedding_dim=12)
        >>> module(torch.tensor([9, 6, 5, 7]), torch.tensor([0, 3])).shape
        torch.Size([2, 12])
    """

    _float_types = (nn.EmbeddingBag, qat.EmbeddingBag)

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "sum",
        sparse: bool = False,
        _weight: QTensor | None = None,
        include_last_offset: bool = False,
        dtype: Any = quint8,
        padding_idx: int | None = None,
    ) -> None:
        super().__init__(num_embeddings, embedding_dim, None, max_norm, _weight=_weight, dtype=dtype)
        if mode not in ("sum", "mean"):
            raise ValueError(f"{self._get_name()} takes a mode of 'sum' or 'mean', got {mode!r}")
        self.mode = mode
        self.include_last_offset = include_last_offset
        self.padding_idx = padding_idx

    def forward(
        self,
        indices: torch.Tensor,
        offsets: torch.Tensor | None = None,
        per_sample_weights: torch.Tensor | None = None,
        compressed_indices_mapping: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Returns a row for each bag.

        Args:
            indices: int32 or int64: ``[bags, n]``; or ``[n]``, with offsets.
            offsets: int32 or int64 ``[bags]``: where each bag begins among the indices; then n, if the module says so.
            per_sample_weights: float32 of the shape of ``indices``: by which the rows are multiplied; for sums.
            compressed_indices_mapping: int32 or int64: the row of each index, where some have been taken out of the
                weight; -1 for those, which do not count.

        Returns:
            float32 ``[bags, embedding_dim]``; zeros for a bag of nothing.

        Raises:
            RuntimeError: if indices or offsets are no such integers, an index is no row, or means have weights.
            ValueError: if shapes do not fit.
        """
        rows, mode = (self._packed_weight, self._bits), _SUM if self.mode == "sum" else _MEAN
        which = (per_sample_weights, compressed_indices_mapping, mode, self.include_last_offset, self.padding_idx)
        return bags_of_rows(self._get_name(), *rows, indices, offsets, *which)

    @classmethod
    def _like(cls, mod: nn.Module, dtype: QDtype) -> "EmbeddingBag":
        norm = (mod.max_norm, mod.norm_type, mod.scale_grad_by_freq)
        last = (None, mod.include_last_offset, dtype, mod.padding_idx)
        return cls(mod.num_embeddings, mod.embedding_dim, *norm, mod.mode, mod.sparse, *last)

    def _get_name(self) -> str:
        return "QuantizedEmbeddingBag"


def bags_of_rows(
    name: str,
    rows: torch.Tensor,
    bits: int,
    indices: torch.Tensor,
    offsets: torch.Tensor | None,
    per_sample_weights: torch.Tensor | None,
    compressed_indices_mapping: torch.Tensor | None,
    mode: int,
    include_last_offset: bool,
    padding_idx: int | None = None,
) -> torch.Tensor:
    """Returns the sum, or the mean, of each bag of rows; arguments are those of ``EmbeddingBag``.

    Args:
        name: for messages.
        rows: as ``torchq.ops.embedding_bag`` takes them.
        bits: of the integers.
        indices: see ``EmbeddingBag.forward``, as the next three.
        offsets: where each bag begins.
        per_sample_weights: by which the rows are multiplied.
        compressed_indices_mapping: the row of each index.
        mode: 0 for sums, 1 for means.
        include_last_offset: see ``EmbeddingBag``.
        padding_idx: likewise.
    """
    offsets = _all_offsets(name, indices, offsets, include_last_offset)
    indices = indices.reshape(-1)
    if per_sample_weights is not None:
        per_sample_weights = per_sample_weights.reshape(-1)
    counted = None if padding_idx is None else indices != padding_idx % rows.size(0)
    if compressed_indices_mapping is not None:
        indices = compressed_indices_mapping[indices.long()]
        counted = indices >= 0 if counted is None else counted & (indices >= 0)
    if counted is not None:
        offsets = nn.functional.pad(counted.cumsum(0), (1, 0))[offsets.long()]
        indices = indices[counted]
        per_sample_weights = None if per_sample_weights is None else per_sample_weights[counted]
    return ops.embedding_bag(rows, bits, indices, offsets, per_sample_weights, mode)


def _all_offsets(
    name: str, indices: torch.Tensor, offsets: torch.Tensor | None, include_last_offset: bool
) -> torch.Tensor:
    """Returns where each bag begins, and the number of indices."""
    if indices.dim() == 2 and offsets is None:
        return torch.arange(indices.size(0) + 1, device=indices.device) * indices.size(1)
    if indices.dim() != 1 or offsets is None or offsets.dim() != 1:
        given = "None" if offsets is None else tuple(offsets.shape)
        raise ValueError(
            f"{name} takes indices of shape [bags, n], or [n] with offsets [bags], got {tuple(indices.shape)} with "
            f"{given}"
        )
    return offsets if include_last_offset else nn.functional.pad(offsets, (0, 1), value=indices.numel())
