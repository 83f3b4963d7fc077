"""Convolutions."""

from collections.abc import Sequence

from torch import Tensor

from torchq.nn import quantized
from torchq.nn.intrinsic.quantized.conv_add import convolved_and_added
from torchq.nn.quantized.dynamic.conv import convolved
from torchq.qtensor import QTensor
from torchq.quantized.packed import ConvPackedParams
from torchq.quantized.windows import checked, layer_for, packed


def conv1d_prepack(
    weight: QTensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> ConvPackedParams:
    """Packs the weight of a convolution of sequences.

    Args are those of ``conv2d_prepack``.
    """
    window = (stride, padding, dilation, groups)
    return packed("conv1d_prepack", quantized.Conv1d, weight, bias, *window)


def conv1d_unpack(packed_weights: ConvPackedParams) -> tuple[QTensor, Tensor | None]:
    """Returns the weight and the bias, or None, that ``conv1d_prepack`` packed."""
    return checked("conv1d_unpack", packed_weights, 1, False).unpack()


def conv1d(qx: QTensor, packed_weight: ConvPackedParams, output_scale: float, output_zero_point: int) -> QTensor:
    """Convolves sequences, with exact sums and one rounding.

    Args are those of ``conv2d``.
    """
    return layer_for("conv1d", qx, packed_weight, 1, False, output_scale, output_zero_point).forward(qx)


def conv1d_relu(qx: QTensor, packed_weight: ConvPackedParams, output_scale: float, output_zero_point: int) -> QTensor:
    """Is ``conv1d`` with a relu."""
    output = (output_scale, output_zero_point)
    return layer_for("conv1d_relu", qx, packed_weight, 1, False, *output, relu=True).forward(qx)


def conv1d_dynamic(qx: Tensor, packed_weight: ConvPackedParams, reduce_range: bool = False) -> Tensor:
    """Convolves float sequences, quantized on the fly, to floats.

    Args are those of ``conv2d_dynamic``.
    """
    return convolved(checked("conv1d_dynamic", packed_weight, 1, False)._layer, qx, reduce_range, False)


def conv2d_prepack(
    weight: QTensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> ConvPackedParams:
    """Packs the weight of a convolution of images.

    Args:
        weight: ``qint8`` ``[O, C / groups, *kernel]``, with one scale or one per index of axis 0.
        bias: float ``[O]``, or None.
        stride: one number per spatial dimension, as the next two.
        padding: on both sides.
        dilation: between the pixels of a window.
        groups: divides C and O.

    Raises:
        TypeError: if the weight is not quantized.
        ValueError: if an argument does not fit.
    """
    window = (stride, padding, dilation, groups)
    return packed("conv2d_prepack", quantized.Conv2d, weight, bias, *window)


def conv2d_unpack(packed_weights: ConvPackedParams) -> tuple[QTensor, Tensor | None]:
    """Returns the weight and the bias, or None, that ``conv2d_prepack`` packed."""
    return checked("conv2d_unpack", packed_weights, 2, False).unpack()


def conv2d(qx: QTensor, packed_weight: ConvPackedParams, output_scale: float, output_zero_point: int) -> QTensor:
    """Convolves images, with exact sums and one rounding.

    Args:
        qx: of 8 bits, ``[N, C, H, W]``, with one scale; read without a copy if channels are innermost in memory.
        packed_weight: what ``conv2d_prepack`` returned.
        output_scale: of the result.
        output_zero_point: of the result.

    Returns:
        Of qx's dtype, channels innermost in memory.

    Raises:
        TypeError: if the input is not quantized, or the weight not packed for 2 dimensions.
        ValueError: if the input's shape does not fit, or it has several scales.
    """
    return layer_for("conv2d", qx, packed_weight, 2, False, output_scale, output_zero_point).forward(qx)


def conv2d_relu(qx: QTensor, packed_weight: ConvPackedParams, output_scale: float, output_zero_point: int) -> QTensor:
    """Is ``conv2d`` with a relu."""
    output = (output_scale, output_zero_point)
    return layer_for("conv2d_relu", qx, packed_weight, 2, False, *output, relu=True).forward(qx)


def conv2d_add(
    qx: QTensor, qaccum: QTensor, packed_weight: ConvPackedParams, output_scale: float, output_zero_point: int
) -> QTensor:
    """Returns the convolution of images plus another tensor, rounded once.

    Args:
        qx: see ``conv2d``.
        qaccum: of the result's shape and dtype, with one scale.
        packed_weight: what ``conv2d_prepack`` returned, not of a depthwise convolution.
        output_scale: of the result.
        output_zero_point: of the result.
    """
    output = (output_scale, output_zero_point)
    layer = layer_for("conv2d_add", qx, packed_weight, 2, False, *output, relu=False)
    return convolved_and_added(layer, qx, qaccum)


def conv2d_add_relu(
    qx: QTensor, qaccum: QTensor, packed_weight: ConvPackedParams, output_scale: float, output_zero_point: int
) -> QTensor:
    """Returns the convolution of images plus another tensor, with a relu.

    Args are those of ``conv2d_add``.
    """
    output = (output_scale, output_zero_point)
    layer = layer_for("conv2d_add_relu", qx, packed_weight, 2, False, *output, relu=True)
    return convolved_and_added(layer, qx, qaccum)


def conv2d_dynamic(qx: Tensor, packed_weight: ConvPackedParams, reduce_range: bool = False) -> Tensor:
    """Convolves float images, quantized on the fly, to floats.

    Args:
        qx: float ``[N, C, H, W]``, quantized by its own range.
        packed_weight: what ``conv2d_prepack`` returned.
        reduce_range: whether the input's scale is chosen for 7 bits.

    Returns:
        The exact sums as float, which nothing is rounded behind.

    Raises:
        TypeError: if the input is no float tensor, or the weight not packed for 2 dimensions.
        ValueError: if the input's shape does not fit, or it has NaN or infinity.
    """
    return convolved(checked("conv2d_dynamic", packed_weight, 2, False)._layer, qx, reduce_range, False)


def conv3d_prepack(
    weight: QTensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> ConvPackedParams:
    """Packs the weight of a convolution of volumes.

    Args are those of ``conv2d_prepack``.
    """
    window = (stride, padding, dilation, groups)
    return packed("conv3d_prepack", quantized.Conv3d, weight, bias, *window)


def conv3d_unpack(packed_weights: ConvPackedParams) -> tuple[QTensor, Tensor | None]:
    """Returns the weight and the bias, or None, that ``conv3d_prepack`` packed."""
    return checked("conv3d_unpack", packed_weights, 3, False).unpack()


def conv3d(qx: QTensor, packed_weight: ConvPackedParams, output_scale: float, output_zero_point: int) -> QTensor:
    """Convolves volumes, with exact sums and one rounding.

    Args are those of ``conv2d``.
    """
    return layer_for("conv3d", qx, packed_weight, 3, False, output_scale, output_zero_point).forward(qx)


def conv3d_relu(qx: QTensor, packed_weight: ConvPackedParams, output_scale: float, output_zero_point: int) -> QTensor:
    """Is ``conv3d`` with a relu."""
    output = (output_scale, output_zero_point)
    return layer_for("conv3d_relu", qx, packed_weight, 3, False, *output, relu=True).forward(qx)


def conv3d_dynamic(qx: Tensor, packed_weight: ConvPackedParams, reduce_range: bool = False) -> Tensor:
    """Convolves float volumes, quantized on the fly, to floats.

    Args are those of ``conv2d_dynamic``.
    """
    return convolved(checked("conv3d_dynamic", packed_weight, 3, False)._layer, qx, reduce_range, False)
