"""Images made larger or smaller."""

from collections.abc import Sequence

import torch
from torch import Tensor

from torchq.ops._register import empty_channels_last, require, require_bytes

_ops = torch.ops.torchq


def upsample_bilinear(
    input: Tensor, output_size: Sequence[int], align_corners: bool, factors: Sequence[float] = ()
) -> Tensor:
    """Interpolates images between the four pixels around each point; scale and zero point are the input's.

    ``y = sat(rne(t * (l * q0 + r * q1) + b * (l * q2 + r * q3)))`` in float32, with the weights of the top, bottom,
    left and right pixels that ``torch.nn.functional.interpolate`` computes.

    Args:
        input: uint8 or int8 ``[N, C, H, W]``; copied first unless its memory is channels_last.
        output_size: ``[OH, OW]``.
        align_corners: whether the centers of the corner pixels stay where they are.
        factors: of height and width, where the caller gave those instead of a size; they then place the points.

    Returns:
        ``[N, C, OH, OW]`` of the input's dtype, channels_last.
    """
    return _ops.upsample_bilinear.default(input, output_size, align_corners, factors)


@torch.library.register_fake("torchq::upsample_bilinear")
def _(input: Tensor, output_size: Sequence[int], align_corners: bool, factors: Sequence[float]) -> Tensor:
    require_bytes(input)
    require(input.dim() == 4, f"input must be 4-d [N, C, H, W], got {input.dim()} dimensions")
    return empty_channels_last(input, (*input.shape[:2], *output_size), input.dtype)
