"""Normalizations and softmax with a scale and zero point of their own."""

from collections.abc import Sequence

import torch
from torch import Tensor

from torchq import ops
from torchq.nn.quantized.inputs import checked_integers, input_error
from torchq.qtensor import QTensor


def softmax(
    input: QTensor, dim: int, _stacklevel: int = 3, dtype: torch.dtype | None = None, *, scale: float, zero_point: int
) -> QTensor:
    """Returns the softmax along a dimension.

    Args:
        input: of 8 bits, with one scale.
        dim: the dimension.
        _stacklevel: means nothing, and is there for torch's signature.
        dtype: None or ``torch.float32``.
        scale: of the result.
        zero_point: of the result.

    Raises:
        TypeError: if the input is not quantized.
        ValueError: if it has several scales or not 8 bits, or for another dtype.
    """
    data = checked_integers("softmax", input)
    if dtype not in (None, torch.float32):
        raise ValueError(f"softmax of a quantized tensor stands for torch.float32 values, got dtype {dtype}")
    result = ops.softmax(data.transpose(dim, -1), input._scale, scale, zero_point)
    return QTensor(result.transpose(dim, -1), scale, zero_point)


def batch_norm(
    input: QTensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    scale: float,
    zero_point: int,
    relu: bool = False,
) -> QTensor:
    """Normalizes each channel by given statistics.

    Args:
        input: of 8 bits, with one scale, ``[N, C, *]``.
        running_mean: float32 ``[C]``.
        running_var: float32 ``[C]``.
        weight: float32 ``[C]``, or None for ones.
        bias: float32 ``[C]``, or None for zeros.
        training: must be False.
        momentum: not used.
        eps: added to the variance.
        scale: of the result.
        zero_point: of the result.
        relu: whether the result is at least its zero point.

    Raises:
        TypeError: if the input is not quantized.
        ValueError: if it has several scales or not 8 bits, or if its own statistics are to be used.
    """
    if training:
        raise ValueError("batch_norm of a quantized tensor uses the statistics given, got training=True")
    data = checked_integers("batch_norm", input)
    parameters = (weight, bias, running_mean, running_var, eps, scale, zero_point, relu)
    return QTensor(ops.batch_norm(data, input._scale, input._zero_point, *parameters), scale, zero_point)


def layer_norm(
    input: QTensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *,
    scale: float,
    zero_point: int,
) -> QTensor:
    """Normalizes over the last dimensions.

    Args:
        input: of 8 bits, with one scale, ``[*, *normalized_shape]``.
        normalized_shape: the last dimensions.
        weight: float32 of that shape, or None for ones.
        bias: float32 of that shape, or None for zeros.
        eps: added to the variance.
        scale: of the result.
        zero_point: of the result.
    """
    data, shape = checked_integers("layer_norm", input), list(normalized_shape)
    if list(data.shape[data.dim() - len(shape) :]) != shape:
        raise input_error("layer_norm", input, f"[..., {', '.join(map(str, shape))}]")
    data = ops.layer_norm(data, input._scale, input._zero_point, shape, weight, bias, eps, scale, zero_point)
    return QTensor(data, scale, zero_point)


def group_norm(
    input: QTensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *,
    scale: float,
    zero_point: int,
) -> QTensor:
    """Normalizes groups of channels, each image for itself.

    Args:
        input: of 8 bits, with one scale, ``[N, C, *]``.
        num_groups: divides C.
        weight: float32 ``[C]``, or None for ones.
        bias: float32 ``[C]``, or None for zeros.
        eps: added to the variance.
        scale: of the result.
        zero_point: of the result.
    """
    data = checked_integers("group_norm", input)
    data = ops.group_norm(data, input._scale, input._zero_point, num_groups, weight, bias, eps, scale, zero_point)
    return QTensor(data, scale, zero_point)


def instance_norm(
    input: QTensor,
    running_mean: None = None,
    running_var: None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    scale: float,
    zero_point: int,
) -> QTensor:
    """Normalizes each channel of each image by itself.

    Args:
        input: of 8 bits, with one scale, ``[N, C, *]``.
        running_mean: not used, as in torch while the input's statistics are.
        running_var: likewise.
        weight: float32 ``[C]``, or None for ones.
        bias: float32 ``[C]``, or None for zeros.
        use_input_stats: must be True.
        momentum: not used.
        eps: added to the variance.
        scale: of the result.
        zero_point: of the result.

    Raises:
        ValueError: if the input's statistics are not to be used.
    """
    if not use_input_stats:
        raise ValueError("instance_norm of a quantized tensor uses its own statistics, got use_input_stats=False")
    channels = checked_integers("instance_norm", input).size(1)
    return group_norm(input, channels, weight, bias, eps, scale=scale, zero_point=zero_point)
