"""What modules with a weight do, with the weight as an argument."""

from collections.abc import Sequence
from typing import Any

import torch

from torchq.dtypes import as_qdtype, quint8
from torchq.nn.quantized.conv import Conv1d, Conv2d, Conv3d, StaticConv
from torchq.nn.quantized.inputs import checked_integers
from torchq.nn.quantized.linear import Linear
from torchq.nn.quantized.normalization import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d, LayerNorm
from torchq.qtensor import QTensor


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
