"""Look-ups in quantized embeddings, and sums of their rows."""

from typing import Any

import torch
from torch import Tensor

from torchq.nn.quantized.embedding import bags_of_rows
from torchq.qtensor import QTensor
from torchq.quantized.packed import EmbeddingPackedParams
from torchq.quantized.rows import checked_rows, widened


def embedding_bag_prepack(weight: QTensor) -> EmbeddingPackedParams:
    """Packs the rows of an embedding.

    Args:
        weight: ``quint8`` or ``quint4x2`` ``[rows, columns]``, with a scale and a float zero point for each row.

    Raises:
        TypeError: if it is no ``QTensor``.
        ValueError: if its shape, dtype or axis is another one.

    Example:
        >>> weight = torchq.quantize_per_channel(torch.eye(3), torch.ones(3), torch.zeros(3), 0, torchq.quint8)
        >>> embedding_byte(embedding_bag_prepack(weight), torch.tensor([1]))
        tensor([[0., 1., 0.]])
    """
    return EmbeddingPackedParams(weight)


def embedding_bag_unpack(W_prepack: EmbeddingPackedParams) -> QTensor:
    """Returns the rows that ``embedding_bag_prepack`` packed."""
    return _packed("embedding_bag_unpack", W_prepack).unpack()


def embedding_byte(weight: EmbeddingPackedParams, indices: Tensor, pruned_weights: bool = False) -> Tensor:
    """Returns rows of 8 bits.

    Args:
        weight: what ``embedding_bag_prepack`` returned.
        indices: int32 or int64, of any shape.
        pruned_weights: must be False.

    Returns:
        float32 ``[*indices.shape, columns]``.

    Raises:
        TypeError: if the weight is not packed.
        ValueError: if it has another number of bits, or is pruned.
        RuntimeError: if ``indices`` are no such integers, or one is no row.
    """
    return _looked_up("embedding_byte", 8, weight, indices, pruned_weights)


def embedding_4bit(weight: EmbeddingPackedParams, indices: Tensor, pruned_weights: bool = False) -> Tensor:
    """Returns rows of 4 bits; arguments are those of ``embedding_byte``."""
    return _looked_up("embedding_4bit", 4, weight, indices, pruned_weights)


def embedding_bag_byte(
    weight: EmbeddingPackedParams,
    indices: Tensor,
    offsets: Tensor | None = None,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    pruned_weights: bool = False,
    per_sample_weights: Tensor | None = None,
    compressed_indices_mapping: Tensor | None = None,
    include_last_offset: bool = False,
) -> Tensor:
    """Adds up, or averages, bags of rows of 8 bits.

    Args:
        weight: what ``embedding_bag_prepack`` returned.
        indices: int32 or int64: ``[bags, n]``; or ``[n]``, with offsets.
        offsets: int32 or int64 ``[bags]``: where each bag begins among the indices; then n, if ``include_last_offset``.
        scale_grad_by_freq: for training only.
        mode: 0 for sums, 1 for means.
        pruned_weights: whether ``compressed_indices_mapping`` holds.
        per_sample_weights: float32 of the shape of ``indices``: by which the rows are multiplied; for sums.
        compressed_indices_mapping: int32 or int64: the row of each index, where some have been taken out of the weight;
            -1 for those, which do not count. One 0 stands for all rows being there.
        include_last_offset: whether offsets end with the number of indices.

    Returns:
        float32 ``[bags, columns]``; zeros for a bag of nothing.

    Raises:
        TypeError: if the weight is not packed.
        ValueError: if it has another number of bits, or arguments do not fit together.
        RuntimeError: if indices or offsets are no such integers, an index is no row, or means have weights.
    """
    name, mapping = "embedding_bag_byte", (pruned_weights, compressed_indices_mapping)
    rows = _packed(name, weight, 8).rows()
    return _bags(name, rows, 8, indices, offsets, mode, *mapping, per_sample_weights, include_last_offset)


def embedding_bag_4bit(
    weight: EmbeddingPackedParams,
    indices: Tensor,
    offsets: Tensor | None = None,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    pruned_weights: bool = False,
    per_sample_weights: Tensor | None = None,
    compressed_indices_mapping: Tensor | None = None,
    include_last_offset: bool = False,
) -> Tensor:
    """Adds up, or averages, bags of rows of 4 bits; arguments are those of ``embedding_bag_byte``."""
    name, mapping = "embedding_bag_4bit", (pruned_weights, compressed_indices_mapping)
    rows = _packed(name, weight, 4).rows()
    return _bags(name, rows, 4, indices, offsets, mode, *mapping, per_sample_weights, include_last_offset)


def embedding_bag_byte_rowwise_offsets(
    weight: Tensor,
    indices: Tensor,
    offsets: Tensor | None = None,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    pruned_weights: bool = False,
    per_sample_weights: Tensor | None = None,
    compressed_indices_mapping: Tensor | None = None,
    include_last_offset: bool = False,
) -> Tensor:
    """Adds up, or averages, bags of rows that ``embedding_bag_byte_prepack`` made.

    Args are those of ``embedding_bag_byte``, with uint8 ``[rows, columns + 8]`` for the weight.
    """
    name, mapping = "embedding_bag_byte_rowwise_offsets", (pruned_weights, compressed_indices_mapping)
    rows = checked_rows(name, weight, 8)
    return _bags(name, rows, 8, indices, offsets, mode, *mapping, per_sample_weights, include_last_offset)


def embedding_bag_4bit_rowwise_offsets(
    weight: Tensor,
    indices: Tensor,
    offsets: Tensor | None = None,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    pruned_weights: bool = False,
    per_sample_weights: Tensor | None = None,
    compressed_indices_mapping: Tensor | None = None,
    include_last_offset: bool = False,
) -> Tensor:
    """Adds up, or averages, bags of rows that ``embedding_bag_4bit_prepack`` made.

    Args are those of ``embedding_bag_byte``, with uint8 ``[rows, columns / 2 + 4]`` for the weight.
    """
    name, mapping = "embedding_bag_4bit_rowwise_offsets", (pruned_weights, compressed_indices_mapping)
    rows = checked_rows(name, weight, 4)
    return _bags(name, rows, 4, indices, offsets, mode, *mapping, per_sample_weights, include_last_offset)


def embedding_bag_2bit_rowwise_offsets(
    weight: Tensor,
    indices: Tensor,
    offsets: Tensor | None = None,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    pruned_weights: bool = False,
    per_sample_weights: Tensor | None = None,
    compressed_indices_mapping: Tensor | None = None,
    include_last_offset: bool = False,
) -> Tensor:
    """Adds up, or averages, bags of rows that ``embedding_bag_2bit_prepack`` made.

    There is no kernel for 2 bits: the rows that are used are widened to 8 first.

    Args are those of ``embedding_bag_byte``, with uint8 ``[rows, columns / 4 + 4]`` for the weight.
    """
    name = "embedding_bag_2bit_rowwise_offsets"
    rows = checked_rows(name, weight, 2)
    mapping = _mapping(name, pruned_weights, compressed_indices_mapping)
    used, places = torch.unique(indices, return_inverse=True)
    used = used if mapping is None else mapping[used.long()]
    if used.numel() and not (-1 if mapping is not None else 0) <= used.min() <= used.max() < len(rows):
        raise RuntimeError(f"indices must be rows, of {len(rows)}, got {used.min().item()} to {used.max().item()}")
    kept = torch.arange(len(used), device=used.device).masked_fill_(used < 0, -1)
    table = widened(rows[used.clamp(min=0)])
    return _bags(name, table, 8, places, offsets, mode, True, kept, per_sample_weights, include_last_offset)


def _looked_up(name: str, bits: int, weight: Any, indices: Tensor, pruned_weights: bool) -> Tensor:
    if pruned_weights:
        raise ValueError(f"{name} takes all rows of a weight, got pruned_weights=True")
    return _packed(name, weight, bits)._embedding.forward(indices)


def _bags(
    name: str,
    rows: Tensor,
    bits: int,
    indices: Tensor,
    offsets: Tensor | None,
    mode: int,
    pruned_weights: bool,
    compressed_indices_mapping: Tensor | None,
    per_sample_weights: Tensor | None,
    include_last_offset: bool,
) -> Tensor:
    mapping = _mapping(name, pruned_weights, compressed_indices_mapping)
    return bags_of_rows(name, rows, bits, indices, offsets, per_sample_weights, mapping, mode, include_last_offset)


def _mapping(name: str, pruned_weights: bool, mapping: Tensor | None) -> Tensor | None:
    if pruned_weights != (mapping is not None):
        given = "no mapping" if mapping is None else "one"
        raise ValueError(
            f"{name} takes a compressed_indices_mapping with pruned_weights=True, got pruned_weights={pruned_weights} "
            f"and {given}"
        )
    # How torch says that nothing was taken out.
    return None if mapping is None or (mapping.numel() == 1 and not mapping.any()) else mapping


def _packed(name: str, weight: Any, bits: int | None = None) -> EmbeddingPackedParams:
    if not isinstance(weight, EmbeddingPackedParams):
        raise TypeError(f"{name} takes what embedding_bag_prepack returns, got {type(weight).__name__}")
    if bits is not None and weight.bit_rate() != bits:
        raise ValueError(f"{name} takes rows of {bits} bits, got rows of {weight.bit_rate()}")
    return weight
