"""Pooling and resizing, which keep scale and zero point."""

from typing import Any

from torch.nn import functional as F

from torchq.nn.quantized.inputs import checked_integers
from torchq.qtensor import QTensor


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
