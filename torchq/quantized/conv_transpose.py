"""Transposed convolutions."""

from collections.abc import Sequence

from torch import Tensor

from torchq.nn import quantized
from torchq.nn.quantized.dynamic.conv import convolved
from torchq.qtensor import QTensor
from torchq.quantized.packed import ConvPackedParams
from torchq.quantized.windows import checked, layer_for, packed


def conv_transpose1d_prepack(
    weight: QTensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    output_padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> ConvPackedParams:
    """Packs the weight of a transposed convolution of sequences.

    Args are those of ``conv_transpose2d_prepack``.
    """
    window = (stride, padding, dilation, groups)
    kind = quantized.ConvTranspose1d
    return packed("conv_transpose1d_prepack", kind, weight, bias, *window, output_padding=output_padding)


def conv_transpose1d_unpack(packed_weights: ConvPackedParams) -> tuple[QTensor, Tensor | None]:
    """Returns the weight and the bias, or None, that ``conv_transpose1d_prepack`` packed."""
    return checked("conv_transpose1d_unpack", packed_weights, 1, True).unpack()


def conv_transpose1d(
    qx: QTensor, packed_weight: ConvPackedParams, output_scale: float, output_zero_point: int
) -> QTensor:
    """Computes the transposed convolution of sequences, with exact sums and one rounding.

    Args are those of ``conv_transpose2d``.
    """
    output = (output_scale, output_zero_point)
    return layer_for("conv_transpose1d", qx, packed_weight, 1, True, *output).forward(qx)


def conv_transpose1d_dynamic(qx: Tensor, packed_weight: ConvPackedParams, reduce_range: bool = False) -> Tensor:
    """Computes the transposed convolution of float sequences, quantized on the fly, to floats.

    Args are those of ``conv1d_dynamic``, with what ``conv_transpose1d_prepack`` returned.
    """
    layer = checked("conv_transpose1d_dynamic", packed_weight, 1, True)._layer
    return convolved(layer, qx, reduce_range, False)


def conv_transpose2d_prepack(
    weight: QTensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    output_padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> ConvPackedParams:
    """Packs the weight of a transposed convolution of images.

    Args:
        weight: ``qint8`` ``[C, O / groups, *kernel]``, with one scale or one per index of axis 1.
        bias: float ``[O]``, or None.
        stride: one number per spatial dimension, as the next three.
        padding: by how much the output is smaller on each side.
        output_padding: by how much it is larger at the end.
        dilation: between the pixels of a window.
        groups: divides C and O.

    Raises:
        TypeError: if the weight is not quantized.
        ValueError: if an argument does not fit.
    """
    window = (stride, padding, dilation, groups)
    kind = quantized.ConvTranspose2d
    return packed("conv_transpose2d_prepack", kind, weight, bias, *window, output_padding=output_padding)


def conv_transpose2d_unpack(packed_weights: ConvPackedParams) -> tuple[QTensor, Tensor | None]:
    """Returns the weight and the bias, or None, that ``conv_transpose2d_prepack`` packed."""
    return checked("conv_transpose2d_unpack", packed_weights, 2, True).unpack()


def conv_transpose2d(
    qx: QTensor, packed_weight: ConvPackedParams, output_scale: float, output_zero_point: int
) -> QTensor:
    """Computes the transposed convolution of images, with exact sums and one rounding.

    Args:
        qx: of 8 bits, ``[N, C, H, W]``, with one scale; read without a copy if channels are innermost in memory.
        packed_weight: what ``conv_transpose2d_prepack`` returned.
        output_scale: of the result.
        output_zero_point: of the result.

    Returns:
        Of qx's dtype, channels innermost in memory.

    Raises:
        TypeError: if the input is not quantized, or the weight not packed for this.
        ValueError: if the input's shape does not fit, or it has several scales.
    """
    output = (output_scale, output_zero_point)
    return layer_for("conv_transpose2d", qx, packed_weight, 2, True, *output).forward(qx)


def conv_transpose2d_dynamic(qx: Tensor, packed_weight: ConvPackedParams, reduce_range: bool = False) -> Tensor:
    """Computes the transposed convolution of float images, quantized on the fly, to floats.

    Args are those of ``conv2d_dynamic``, with what ``conv_transpose2d_prepack`` returned.
    """
    layer = checked("conv_transpose2d_dynamic", packed_weight, 2, True)._layer
    return convolved(layer, qx, reduce_range, False)


def conv_transpose3d_prepack(
    weight: QTensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    output_padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> ConvPackedParams:
    """Packs the weight of a transposed convolution of volumes.

    Args are those of ``conv_transpose2d_prepack``.
    """
    window = (stride, padding, dilation, groups)
    kind = quantized.ConvTranspose3d
    return packed("conv_transpose3d_prepack", kind, weight, bias, *window, output_padding=output_padding)


def conv_transpose3d_unpack(packed_weights: ConvPackedParams) -> tuple[QTensor, Tensor | None]:
    """Returns the weight and the bias, or None, that ``conv_transpose3d_prepack`` packed."""
    return checked("conv_transpose3d_unpack", packed_weights, 3, True).unpack()


def conv_transpose3d(
    qx: QTensor, packed_weight: ConvPackedParams, output_scale: float, output_zero_point: int
) -> QTensor:
    """Computes the transposed convolution of volumes, with exact sums and one rounding.

    Args are those of ``conv_transpose2d``.
    """
    output = (output_scale, output_zero_point)
    return layer_for("conv_transpose3d", qx, packed_weight, 3, True, *output).forward(qx)


def conv_transpose3d_dynamic(qx: Tensor, packed_weight: ConvPackedParams, reduce_range: bool = False) -> Tensor:
    """Computes the transposed convolution of float volumes, quantized on the fly, to floats.

    Args are those of ``conv3d_dynamic``, with what ``conv_transpose3d_prepack`` returned.
    """
    layer = checked("conv_transpose3d_dynamic", packed_weight, 3, True)._layer
    return convolved(layer, qx, reduce_range, False)
