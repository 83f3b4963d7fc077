"""Functions of quantized tensors.

Those without a scale and zero point among their arguments return the input's, or what docs/numerics.md says.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional as F

from torchq.dtypes import as_qdtype, quint8
from torchq.nn.quantized.conv import Conv1d, Conv2d, Conv3d, StaticConv
from torchq.nn.quantized.inputs import checked_integers
from torchq.nn.quantized.linear import Linear
from torchq.nn.quantized.normalization import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d, LayerNorm
from torchq.qtensor import QTensor
from torchq.qtensor_tables import looked_up

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "avg_pool2d",
    "avg_pool3d",
    "celu",
    "clamp",
    "conv1d",
    "conv2d",
    "conv3d",
    "dropout",
    "elu",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "instance_norm",
    "interpolate",
    "layer_norm",
    "leaky_relu",
    "linear",
    "max_pool1d",
    "max_pool2d",
    "threshold",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]


def avg_pool2d(
    input: QTensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> QTensor:
    """Averages windows of images, as ``torch.nn.functional.avg_pool2d``."""
    checked_integers("avg_pool2d", input)
    return F.avg_pool2d(input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input: QTensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> QTensor:
    """Averages windows of volumes, as ``torch.nn.functional.avg_pool3d``."""
    checked_integers("avg_pool3d", input)
    return F.avg_pool3d(input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def adaptive_avg_pool2d(input: QTensor, output_size: Any) -> QTensor:
    """Averages images down to a size, as ``torch.nn.functional.adaptive_avg_pool2d``."""
    checked_integers("adaptive_avg_pool2d", input)
    return F.adaptive_avg_pool2d(input, output_size)


def adaptive_avg_pool3d(input: QTensor, output_size: Any) -> QTensor:
    """Averages volumes down to a size, as ``torch.nn.functional.adaptive_avg_pool3d``."""
    checked_integers("adaptive_avg_pool3d", input)
    return F.adaptive_avg_pool3d(input, output_size)


def max_pool1d(
    input: QTensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> QTensor:
    """Takes the largest value of windows of sequences, as ``torch.nn.functional.max_pool1d``, without indices."""
    _refuse_indices("max_pool1d", return_indices)
    checked_integers("max_pool1d", input)
    return F.max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool2d(
    input: QTensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> QTensor:
    """Takes the largest value of windows of images, as ``torch.nn.functional.max_pool2d``, without indices."""
    _refuse_indices("max_pool2d", return_indices)
    checked_integers("max_pool2d", input)
    return F.max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode)


def _refuse_indices(name: str, return_indices: bool) -> None:
    if return_indices:
        raise ValueError(f"{name} of a quantized tensor returns no indices, got return_indices=True")


def interpolate(
    input: QTensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> QTensor:
    """Makes images larger or smaller, as ``torch.nn.functional.interpolate``.

    Args:
        input: ``[N, C, *spatial]``.
        size: of the result's spatial dimensions.
        scale_factor: or by how much they grow.
        mode: ``"nearest"``, ``"nearest-exact"``, or ``"bilinear"`` for images of two dimensions.
        align_corners: with ``"bilinear"``: whether the centers of the corner pixels stay where they are.

    Raises:
        TypeError: if the input is not quantized.
        ValueError: if it has several scales, or for another mode.
    """
    checked_integers("interpolate", input)
    if mode not in ("nearest", "nearest-exact", "bilinear"):
        raise ValueError(f"mode must be 'nearest', 'nearest-exact' or 'bilinear', got {mode!r}")
    return F.interpolate(input, size, scale_factor, mode, align_corners)


def upsample(
    input: QTensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> QTensor:
    """Is ``interpolate`` under an older name."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_bilinear(input: QTensor, size: Any = None, scale_factor: Any = None) -> QTensor:
    """Is ``interpolate`` with ``mode="bilinear"`` and ``align_corners=True``."""
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


def upsample_nearest(input: QTensor, size: Any = None, scale_factor: Any = None) -> QTensor:
    """Is ``interpolate`` with ``mode="nearest"``."""
    return interpolate(input, size, scale_factor, mode="nearest")


def conv1d(
    input: QTensor,
    weight: QTensor,
    bias: torch.Tensor | None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    scale: float = 1.0,
    zero_point: int = 0,
    dtype: Any = quint8,
) -> QTensor:
    """Convolves sequences: what a ``Conv1d`` does, which packs its weight once, and not on every call.

    Args:
        input: ``[N, C, L]``.
        weight: ``qint8`` ``[O, C / groups, kernel]``, with one scale or one per output channel.
        bias: float ``[O]``, or None.
        stride: in steps.
        padding: on both sides.
        dilation: in steps.
        groups: divides C and O.
        padding_mode: ``"zeros"`` or ``"reflect"``.
        scale: of the result.
        zero_point: of the result.
        dtype: of the result.
    """
    window = (stride, padding, dilation, groups, padding_mode)
    return _convolved("conv1d", Conv1d, input, weight, bias, *window, scale, zero_point, dtype)


def conv2d(
    input: QTensor,
    weight: QTensor,
    bias: torch.Tensor | None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    scale: float = 1.0,
    zero_point: int = 0,
    dtype: Any = quint8,
) -> QTensor:
    """Convolves images: what a ``Conv2d`` does, which packs its weight once, and not on every call.

    Args:
        input: ``[N, C, H, W]``.
        weight: ``qint8`` ``[O, C / groups, *kernel]``, with one scale or one per output channel.
        bias: float ``[O]``, or None.
        stride: one number or (height, width).
        padding: likewise, on both sides.
        dilation: likewise.
        groups: divides C and O.
        padding_mode: ``"zeros"`` or ``"reflect"``.
        scale: of the result.
        zero_point: of the result.
        dtype: of the result.

    Example:
        >>> x = torchq.quantize_per_tensor(torch.randn(1, 4, 5, 5), 1.0, 0, torchq.quint8)
        >>> weight = torchq.quantize_per_tensor(torch.randn(8, 4, 3, 3), 1.0, 0, torchq.qint8)
        >>> conv2d(x, weight, torch.randn(8), padding=1).shape
        torch.Size([1, 8, 5, 5])
    """
    window = (stride, padding, dilation, groups, padding_mode)
    return _convolved("conv2d", Conv2d, input, weight, bias, *window, scale, zero_point, dtype)


def conv3d(
    input: QTensor,
    weight: QTensor,
    bias: torch.Tensor | None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    scale: float = 1.0,
    zero_point: int = 0,
    dtype: Any = quint8,
) -> QTensor:
    """Convolves volumes: what a ``Conv3d`` does, which packs its weight once, and not on every call.

    Args are those of ``conv2d``, with three numbers where it has two.
    """
    window = (stride, padding, dilation, groups, padding_mode)
    return _convolved("conv3d", Conv3d, input, weight, bias, *window, scale, zero_point, dtype)


def _convolved(
    name: str,
    kind: type[StaticConv],
    input: QTensor,
    weight: QTensor,
    bias: torch.Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    padding_mode: str,
    scale: float,
    zero_point: int,
    dtype: Any,
) -> QTensor:
    if not isinstance(weight, QTensor) or weight.dim() != kind.dims + 2:
        given = tuple(weight.shape) if isinstance(weight, QTensor) else type(weight).__name__
        raise ValueError(f"{name} takes a quantized weight of {kind.dims + 2} dimensions, got {given}")
    out_channels, channels, *kernel = weight.shape
    window = (tuple(kernel), stride, padding, dilation, groups)
    module = kind(channels * groups, out_channels, *window, bias is not None, padding_mode)
    module.set_weight_bias(weight, bias)
    module.set_output_qparams(scale, zero_point, as_qdtype(dtype))
    return module(input)


def linear(
    input: QTensor,
    weight: QTensor,
    bias: torch.Tensor | None = None,
    scale: float | None = None,
    zero_point: int | None = None,
) -> QTensor:
    """Multiplies by a weight: what a ``Linear`` does, which packs its weight once, and not on every call.

    Args:
        input: ``[..., K]``.
        weight: ``qint8`` ``[N, K]``, with one scale or one per index of axis 0.
        bias: float ``[N]``, or None.
        scale: of the result; the input's if None.
        zero_point: of the result; the input's if None.
    """
    checked_integers("linear", input)
    if not isinstance(weight, QTensor) or weight.dim() != 2:
        given = tuple(weight.shape) if isinstance(weight, QTensor) else type(weight).__name__
        raise ValueError(f"linear takes a quantized weight of 2 dimensions, got {given}")
    module = Linear(weight.shape[1], weight.shape[0], bias is not None)
    module.set_weight_bias(weight, bias)
    scale, zero_point = (
        own if own is not None else q for own, q in ((scale, input._scale), (zero_point, input._zero_point))
    )
    module.set_output_qparams(scale, zero_point, input.qdtype)
    return module(input)


def celu(input: QTensor, scale: float, zero_point: int, alpha: float = 1.0) -> QTensor:
    """Returns ``max(0, x) + min(0, alpha * (exp(x / alpha) - 1))``, with a scale and zero point of its own."""
    checked_integers("celu", input)
    return looked_up(F.celu, input, scale, zero_point, alpha)


def elu(input: QTensor, scale: float, zero_point: int, alpha: float = 1.0) -> QTensor:
    """Returns ``max(0, x) + min(0, alpha * (exp(x) - 1))``, with a scale and zero point of its own."""
    checked_integers("elu", input)
    return looked_up(F.elu, input, scale, zero_point, alpha)


def hardswish(input: QTensor, scale: float, zero_point: int) -> QTensor:
    """Returns ``x * relu6(x + 3) / 6``, with a scale and zero point of its own."""
    checked_integers("hardswish", input)
    return looked_up(F.hardswish, input, scale, zero_point)


def leaky_relu(
    input: QTensor,
    negative_slope: float = 0.01,
    inplace: bool = False,
    scale: float | None = None,
    zero_point: int | None = None,
) -> QTensor:
    """Multiplies what is below 0 by a slope.

    Args:
        input: of 8 bits, with one scale.
        negative_slope: the slope.
        inplace: write the result to the input, which has to keep its scale and zero point then.
        scale: of the result; the input's if None.
        zero_point: of the result; the input's if None.
    """
    checked_integers("leaky_relu", input)
    if scale is None and zero_point is None:
        return F.leaky_relu(input, negative_slope, inplace)
    if inplace or scale is None or zero_point is None:
        raise ValueError(
            "leaky_relu takes both scale and zero_point and inplace=False, or neither, got "
            f"{scale}, {zero_point} and inplace={inplace}"
        )
    return looked_up(F.leaky_relu, input, scale, zero_point, negative_slope)


def hardtanh(input: QTensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> QTensor:
    """Clamps to a range, as ``torch.nn.functional.hardtanh``."""
    checked_integers("hardtanh", input)
    return F.hardtanh(input, min_val, max_val, inplace)


def clamp(input: QTensor, min_: float, max_: float) -> QTensor:
    """Clamps to a range, as ``torch.clamp``."""
    checked_integers("clamp", input)
    return torch.clamp(input, min_, max_)


def threshold(input: QTensor, threshold: float, value: float) -> QTensor:
    """Returns x where it is above the threshold, and a value elsewhere."""
    checked_integers("threshold", input)
    return F.threshold(input, threshold, value)


def hardsigmoid(input: QTensor, inplace: bool = False) -> QTensor:
    """Returns ``relu6(x + 3) / 6`` with the scale 1/256, as ``torch.nn.functional.hardsigmoid`` does."""
    checked_integers("hardsigmoid", input)
    return F.hardsigmoid(input, inplace)


def layer_norm(
    input: QTensor,
    normalized_shape: Sequence[int],
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    eps: float,
    output_scale: float,
    output_zero_point: int,
) -> QTensor:
    """Normalizes over the last dimensions, as a ``LayerNorm`` does."""
    return LayerNorm(normalized_shape, weight, bias, output_scale, output_zero_point, eps)(input)


def instance_norm(
    input: QTensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    eps: float,
    output_scale: float,
    output_zero_point: int,
) -> QTensor:
    """Normalizes each channel of each image by itself, as an ``InstanceNorm2d`` does, in 1 to 3 dimensions."""
    checked_integers("instance_norm", input)
    kind = {3: InstanceNorm1d, 4: InstanceNorm2d, 5: InstanceNorm3d}.get(input.dim())
    if kind is None:
        raise ValueError(f"instance_norm takes an input of shape [N, C, *spatial], got {tuple(input.shape)}")
    return kind(input.shape[1], weight, bias, output_scale, output_zero_point, eps)(input)


def dropout(
    input: QTensor, output_scale: float, output_zero_point: int, p: float = 0.5, training: bool = False
) -> QTensor:
    """Returns its input, whatever the other arguments say: int8 is for inference."""
    checked_integers("dropout", input)
    return input
