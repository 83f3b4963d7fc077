"""Static layers, prepared once and run often."""

from collections.abc import Sequence

import torch
from torch import Tensor

import torchq._library  # noqa: F401  (the schemas have to be there)

_ops = torch.ops.torchq


def prepare_layer(
    packed_weight: Tensor,
    weight_scales: Tensor,
    bias: Tensor | None,
    window: Sequence[int],
    transposed: bool,
    input_scale: float,
    input_zero_point: int,
    input_dtype: torch.dtype,
    output_scale: float,
    output_zero_point: int,
    output_dtype: torch.dtype,
    relu: bool,
) -> Tensor:
    """Lays out what ``run_layer`` and ``run_layer_add`` need beside the packed weight, for one scale of inputs.

    For code that runs and is not traced: the operators have no fake function, since the shape of the result is written
    in what this returns. It holds for the CPU capability at the time.

    Args:
        packed_weight: what ``pack_weight`` returned.
        weight_scales: float32 ``[O]``.
        bias: float32 ``[O]`` in real units, or None.
        window: of a convolution, as ``convolution`` takes it; empty for a linear layer.
        transposed: whether it is the transposed convolution.
        input_scale: of the input.
        input_zero_point: of the input.
        input_dtype: ``torch.uint8`` or ``torch.int8``.
        output_scale: of the result.
        output_zero_point: of the result.
        output_dtype: ``torch.uint8`` or ``torch.int8``.
        relu: whether the result is at least its zero point.

    Returns:
        uint8 ``[bytes]``.
    """
    return _ops.prepare_layer.default(
        packed_weight,
        weight_scales,
        bias,
        window,
        transposed,
        input_scale,
        input_zero_point,
        input_dtype,
        output_scale,
        output_zero_point,
        output_dtype,
        relu,
    )


def run_layer(input: Tensor, packed_weight: Tensor, layer: Tensor) -> Tensor:
    """Runs a prepared layer: the integers of ``linear`` or ``convolution``, at half the cost of their call.

    Args:
        input: as ``linear`` or ``convolution`` take it, with the scale, zero point and dtype that were prepared for.
        packed_weight: the one that was prepared.
        layer: what ``prepare_layer`` returned.

    Returns:
        As ``linear`` or ``convolution``.
    """
    return _ops.run_layer.default(input, packed_weight, layer)


def run_layer_add(
    input: Tensor,
    packed_weight: Tensor,
    layer: Tensor,
    residual: Tensor,
    residual_scale: float,
    residual_zero_point: int,
) -> Tensor:
    """Runs a prepared convolution, and adds to its sums before they are rounded, as ``convolution`` with a residual.

    Args:
        input: see ``run_layer``.
        packed_weight: see ``run_layer``; not depthwise.
        layer: what ``prepare_layer`` returned for a convolution.
        residual: of the result's shape and dtype.
        residual_scale: of the residual.
        residual_zero_point: of the residual.

    Returns:
        As ``convolution``.
    """
    return _ops.run_layer_add.default(input, packed_weight, layer, residual, residual_scale, residual_zero_point)
