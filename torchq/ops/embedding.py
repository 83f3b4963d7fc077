"""Sums of rows of quantized embeddings."""

import torch
from torch import Tensor

from torchq.ops._register import call_forward_only, forward_only, require, require_one_device

_ops = torch.ops.torchq
_PARAMETER_BYTES = {8: 8, 4: 4}


def embedding_bag(
    packed_weight: Tensor,
    bits: int,
    indices: Tensor,
    offsets: Tensor,
    per_sample_weights: Tensor | None,
    mode: int,
) -> Tensor:
    """Sums, or averages, bags of embeddings that are quantized row by row.

    Each row adds ``w * (scale * q + bias)`` of its own scale and bias by two fma, in the order of the indices; ``w`` is
    its weight, or one over the size of the bag for a mean.

    Args:
        packed_weight: uint8 ``[rows, bytes]``. A row holds its values, one byte each, or two with 4 bits, the first in
            the low half; then its scale and its bias (minus scale times zero point), float32, or float16 with 4 bits.
        bits: 8 or 4.
        indices: int32 or int64 ``[n]``, rows.
        offsets: int32 or int64 ``[bags + 1]``: where each bag begins among the indices, and n.
        per_sample_weights: float32 ``[n]``, or None; with sums only.
        mode: 0 for sums, 1 for means. An empty bag gives zeros.

    Returns:
        float32 ``[bags, columns]``.
    """
    return call_forward_only(
        _ops.embedding_bag.default, packed_weight, bits, indices, offsets, per_sample_weights, mode
    )


@torch.library.register_fake("torchq::embedding_bag")
def _(
    packed_weight: Tensor,
    bits: int,
    indices: Tensor,
    offsets: Tensor,
    per_sample_weights: Tensor | None,
    mode: int,
) -> Tensor:
    require_one_device(packed_weight, indices, offsets, per_sample_weights)
    require(bits in _PARAMETER_BYTES, f"bits must be 8 or 4, got {bits}")
    require(packed_weight.dim() == 2, f"packed_weight must have 2 dimensions, got {packed_weight.dim()}")
    columns = (packed_weight.shape[1] - _PARAMETER_BYTES[bits]) * (8 // bits)
    return packed_weight.new_empty((offsets.shape[0] - 1, columns), dtype=torch.float32)


forward_only("embedding_bag")
