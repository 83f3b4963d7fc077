"""Linear layers."""

import functools
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from torchq import ops
from torchq.nn import quantized
from torchq.nn.intrinsic.quantized.linear_activation import activated, tanh
from torchq.nn.quantized.inputs import checked_integers, float_input_error
from torchq.qtensor import QTensor
from torchq.qtensor_creation import numbers
from torchq.quantized.packed import LinearPackedParams, LinearPackedParamsFp16


def linear_prepack(W: QTensor, B: Tensor | None = None) -> LinearPackedParams:
    """Packs a weight for the functions of linear layers.

    Args:
        W: ``qint8`` ``[N, K]``, with one scale or one per index of axis 0.
        B: float ``[N]``, or None.

    Raises:
        TypeError: if the weight is not quantized.
        ValueError: if its shape or dtype does not fit.

    Example:
        >>> packed = linear_prepack(torchq.quantize_per_tensor(torch.ones(3, 4), 0.1, 0, torchq.qint8))
        >>> x = torchq.quantize_per_tensor(torch.ones(1, 4), 0.5, 0, torchq.quint8)
        >>> linear(x, packed, 0.5, 2).int_repr()
        tensor([[10, 10, 10]], dtype=torch.uint8)
    """
    if not isinstance(W, QTensor):
        raise TypeError(f"linear_prepack takes a QTensor as weight, got {type(W).__name__}")
    if W.dim() != 2:
        raise ValueError(f"linear_prepack takes a weight of shape [N, K], got {tuple(W.shape)}")
    layer = quantized.Linear(W.shape[1], W.shape[0], B is not None)
    layer.set_weight_bias(W, B)
    return LinearPackedParams(layer)


def linear_prepack_fp16(W: Tensor, B: Tensor | None = None) -> LinearPackedParamsFp16:
    """Rounds a weight to float16 for ``linear_dynamic_fp16``.

    Args:
        W: float ``[N, K]``; what float16 does not reach becomes the largest number that it has.
        B: float ``[N]``, or None.

    Raises:
        ValueError: if a shape does not fit, or the weight is quantized.
    """
    return LinearPackedParamsFp16(W, B)


def linear_unpack(W_prepack: LinearPackedParams) -> tuple[QTensor, Tensor | None]:
    """Returns the weight and the bias, or None, that ``linear_prepack`` packed."""
    return _int8("linear_unpack", W_prepack).unpack()


def linear_unpack_fp16(W_prepack: LinearPackedParamsFp16) -> tuple[Tensor, Tensor | None]:
    """Returns the weight that ``linear_prepack_fp16`` rounded, as float32, and the bias, or None."""
    return _float16("linear_unpack_fp16", W_prepack).unpack()


def linear(X: QTensor, W_prepack: LinearPackedParams, Y_scale_i: float, Y_zero_point_i: int) -> QTensor:
    """Returns ``X @ W.T + B``, with exact sums and one rounding.

    Args:
        X: of 8 bits, ``[..., K]``, with one scale.
        W_prepack: what ``linear_prepack`` returned.
        Y_scale_i: of the result.
        Y_zero_point_i: of the result.

    Returns:
        ``[..., N]`` of X's dtype.

    Raises:
        TypeError: if X is not quantized, or the weight not packed.
        ValueError: if its shape does not fit, or it has several scales.
    """
    return _static("linear", X, W_prepack, Y_scale_i, Y_zero_point_i, False).forward(X)


def linear_relu(X: QTensor, W_prepack: LinearPackedParams, Y_scale_i: float, Y_zero_point_i: int) -> QTensor:
    """Returns ``relu(X @ W.T + B)``; arguments are those of ``linear``."""
    return _static("linear_relu", X, W_prepack, Y_scale_i, Y_zero_point_i, True).forward(X)


def linear_leaky_relu(
    X: QTensor, W_prepack: LinearPackedParams, Y_scale_i: float, Y_zero_point_i: int, negative_slope: float
) -> QTensor:
    """Returns ``leaky_relu(X @ W.T + B)``, rounded once; arguments are those of ``linear``, and the slope below 0."""
    layer = _static("linear_leaky_relu", X, W_prepack, Y_scale_i, Y_zero_point_i, False)
    return activated(layer, X, functools.partial(F.leaky_relu, negative_slope=negative_slope))


def linear_tanh(X: QTensor, W_prepack: LinearPackedParams, Y_scale_i: float, Y_zero_point_i: int) -> QTensor:
    """Returns ``tanh(X @ W.T + B)``, rounded once; arguments are those of ``linear``."""
    return activated(_static("linear_tanh", X, W_prepack, Y_scale_i, Y_zero_point_i, False), X, tanh)


def linear_dynamic(X: Tensor, W_prepack: LinearPackedParams, reduce_range: bool = False) -> Tensor:
    """Returns ``X @ W.T + B`` of float rows that are quantized by the range of all of them.

    Args:
        X: float32 ``[..., K]``.
        W_prepack: what ``linear_prepack`` returned.
        reduce_range: whether X's scale is chosen for 7 bits.

    Returns:
        float32 ``[..., N]``.

    Raises:
        TypeError: if X is quantized, or the weight not packed.
        RuntimeError: if X's shape or dtype does not fit.
    """
    return dynamic("linear_dynamic", X, W_prepack, reduce_range, False)


def linear_relu_dynamic(X: Tensor, W_prepack: LinearPackedParams, reduce_range: bool = False) -> Tensor:
    """Returns ``relu(X @ W.T + B)``; arguments are those of ``linear_dynamic``."""
    return dynamic("linear_relu_dynamic", X, W_prepack, reduce_range, True)


def linear_dynamic_fp16(X: Tensor, W_prepack: LinearPackedParamsFp16) -> Tensor:
    """Returns ``X @ W.T + B``, computed in float32 from a weight in float16.

    Args:
        X: float32 ``[..., K]``.
        W_prepack: what ``linear_prepack_fp16`` returned.

    Raises:
        TypeError: if X is no float32 tensor, or the weight was not made so.
    """
    return dynamic("linear_dynamic_fp16", X, _float16("linear_dynamic_fp16", W_prepack), False, False)


def linear_relu_dynamic_fp16(X: Tensor, W_prepack: LinearPackedParamsFp16) -> Tensor:
    """Returns ``relu(X @ W.T + B)``; arguments are those of ``linear_dynamic_fp16``."""
    return dynamic("linear_relu_dynamic_fp16", X, _float16("linear_relu_dynamic_fp16", W_prepack), False, True)


def linear_dynamic_fp16_unpacked_weight(X: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Returns ``X @ weight.T + bias``, with the weight rounded to float16 on the way.

    Args:
        X: float32 ``[..., K]``.
        weight: float ``[N, K]``.
        bias: float ``[N]``, or None.
    """
    return linear_dynamic_fp16(X, linear_prepack_fp16(weight, bias))


def linear_with_input_q_dq_qweight_dq_output_fp32(
    X: Tensor, X_scale: float, X_zero_point: int, W_prepack: LinearPackedParams
) -> Tensor:
    """Quantizes a float input with a given scale, and returns ``X @ W.T + B`` in float32.

    Args:
        X: float ``[..., K]``.
        X_scale: that it is quantized with, to ``quint8``.
        X_zero_point: likewise.
        W_prepack: what ``linear_prepack`` returned.
    """
    name = "linear_with_input_q_dq_qweight_dq_output_fp32"
    return _quantized_first(name, X, X_scale, X_zero_point, W_prepack, False)


def linear_with_input_q_dq_qweight_dq_relu_output_fp32(
    X: Tensor, X_scale: float, X_zero_point: int, W_prepack: LinearPackedParams
) -> Tensor:
    """Is ``linear_with_input_q_dq_qweight_dq_output_fp32`` with a relu behind it."""
    name = "linear_with_input_q_dq_qweight_dq_relu_output_fp32"
    return _quantized_first(name, X, X_scale, X_zero_point, W_prepack, True)


def dynamic(
    name: str, X: Tensor, W_prepack: LinearPackedParams | LinearPackedParamsFp16, reduce_range: bool, relu: bool
) -> Tensor:
    """Returns a float input's product with a packed weight, whichever it is.

    Args:
        name: for messages.
        X: float32 ``[..., K]``.
        W_prepack: of int8 or float16.
        reduce_range: whether X's scale is chosen for 7 bits, if the weight is int8.
        relu: whether the result is at least 0.
    """
    if isinstance(X, QTensor) or not isinstance(X, Tensor) or X.dtype is not torch.float32:
        raise float_input_error(name, X)
    if isinstance(W_prepack, LinearPackedParamsFp16):
        product = W_prepack.product(X)
        return product.relu_() if relu else product
    return ops.linear_dynamic(X, *_int8(name, W_prepack)._layer.operands(), False, reduce_range, relu)


def _quantized_first(name: str, X: Tensor, scale: Any, zero_point: Any, packed: Any, relu: bool) -> Tensor:
    if isinstance(X, QTensor) or not isinstance(X, Tensor):
        raise float_input_error(name, X)
    operands = _int8(name, packed)._layer.operands()
    scale, zero_point = numbers(scale, zero_point)
    integers = ops.quantize_per_tensor(X, scale, zero_point, torch.uint8)
    return ops.linear_dequantize(integers, scale, zero_point, *operands, relu)


def _static(name: str, X: Any, packed: Any, scale: Any, zero_point: Any, relu: bool) -> Any:
    return _int8(name, packed).layer(scale, zero_point, checked_integers(name, X).dtype, relu)


def _int8(name: str, packed: Any) -> LinearPackedParams:
    if not isinstance(packed, LinearPackedParams):
        raise TypeError(f"{name} takes what linear_prepack returns, got {type(packed).__name__}")
    return packed


def _float16(name: str, packed: Any) -> LinearPackedParamsFp16:
    if not isinstance(packed, LinearPackedParamsFp16):
        raise TypeError(f"{name} takes what linear_prepack_fp16 returns, got {type(packed).__name__}")
    return packed
