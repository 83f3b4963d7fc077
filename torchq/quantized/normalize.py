"""Normalizations."""

from collections.abc import Sequence

from torch import Tensor

from torchq.nn.quantized import operations
from torchq.nn.quantized.inputs import checked_integers, input_error
from torchq.qtensor import QTensor
from torchq.qtensor_creation import numbers

_ANY = tuple(range(2, 6))
_SHAPES = {(2, 3): "[N, C] or [N, C, L]", (4,): "[N, C, H, W]", (5,): "[N, C, D, H, W]", _ANY: "[N, C, *]"}


def batch_norm(
    qx: QTensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    var: Tensor,
    eps: float,
    output_scale: float,
    output_zero_point: int,
) -> QTensor:
    """Normalizes each channel by given statistics.

    Args:
        qx: of 8 bits, with one scale, ``[N, C, *]``.
        weight: float32 ``[C]``, or None for ones.
        bias: float32 ``[C]``, or None for zeros.
        mean: float32 ``[C]``.
        var: float32 ``[C]``.
        eps: added to the variance.
        output_scale: of the result.
        output_zero_point: of the result.

    Raises:
        TypeError: if the input is not quantized.
        ValueError: if its shape does not fit, or it has several scales or not 8 bits.

    Example:
        >>> x = torchq.quantize_per_tensor(torch.ones(1, 2), 0.5, 0, torchq.quint8)
        >>> batch_norm(x, None, None, torch.zeros(2), torch.tensor([1.0, 4.0]), 0.0, 0.1, 0).int_repr()
        tensor([[10,  5]], dtype=torch.uint8)
    """
    parameters = (weight, bias, mean, var, eps)
    return _batch_norm("batch_norm", _ANY, False, qx, *parameters, output_scale, output_zero_point)


def batch_norm_relu(
    qx: QTensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    var: Tensor,
    eps: float,
    output_scale: float,
    output_zero_point: int,
) -> QTensor:
    """Is ``batch_norm`` with a relu."""
    parameters = (weight, bias, mean, var, eps)
    return _batch_norm("batch_norm_relu", _ANY, True, qx, *parameters, output_scale, output_zero_point)


def batch_norm1d(
    qx: QTensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    var: Tensor,
    eps: float,
    output_scale: float,
    output_zero_point: int,
) -> QTensor:
    """Is ``batch_norm`` for ``[N, C]`` or ``[N, C, L]``."""
    parameters = (weight, bias, mean, var, eps)
    return _batch_norm("batch_norm1d", (2, 3), False, qx, *parameters, output_scale, output_zero_point)


def batch_norm1d_relu(
    qx: QTensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    var: Tensor,
    eps: float,
    output_scale: float,
    output_zero_point: int,
) -> QTensor:
    """Is ``batch_norm`` with a relu for ``[N, C]`` or ``[N, C, L]``."""
    parameters = (weight, bias, mean, var, eps)
    return _batch_norm("batch_norm1d_relu", (2, 3), True, qx, *parameters, output_scale, output_zero_point)


def batch_norm2d(
    qx: QTensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    var: Tensor,
    eps: float,
    output_scale: float,
    output_zero_point: int,
) -> QTensor:
    """Is ``batch_norm`` for ``[N, C, H, W]``."""
    parameters = (weight, bias, mean, var, eps)
    return _batch_norm("batch_norm2d", (4,), False, qx, *parameters, output_scale, output_zero_point)


def batch_norm2d_relu(
    qx: QTensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    var: Tensor,
    eps: float,
    output_scale: float,
    output_zero_point: int,
) -> QTensor:
    """Is ``batch_norm`` with a relu for ``[N, C, H, W]``."""
    parameters = (weight, bias, mean, var, eps)
    return _batch_norm("batch_norm2d_relu", (4,), True, qx, *parameters, output_scale, output_zero_point)


def batch_norm3d(
    qx: QTensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    var: Tensor,
    eps: float,
    output_scale: float,
    output_zero_point: int,
) -> QTensor:
    """Is ``batch_norm`` for ``[N, C, D, H, W]``."""
    parameters = (weight, bias, mean, var, eps)
    return _batch_norm("batch_norm3d", (5,), False, qx, *parameters, output_scale, output_zero_point)


def batch_norm3d_relu(
    qx: QTensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    var: Tensor,
    eps: float,
    output_scale: float,
    output_zero_point: int,
) -> QTensor:
    """Is ``batch_norm`` with a relu for ``[N, C, D, H, W]``."""
    parameters = (weight, bias, mean, var, eps)
    return _batch_norm("batch_norm3d_relu", (5,), True, qx, *parameters, output_scale, output_zero_point)


def layer_norm(
    input: QTensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    output_scale: float,
    output_zero_point: int,
) -> QTensor:
    """Normalizes over the last dimensions.

    Args:
        input: of 8 bits, with one scale, ``[*, *normalized_shape]``.
        normalized_shape: the last dimensions.
        weight: float32 of that shape, or None for ones.
        bias: float32 of that shape, or None for zeros.
        eps: added to the variance.
        output_scale: of the result.
        output_zero_point: of the result.
    """
    scale, zero_point = numbers(output_scale, output_zero_point)
    return operations.layer_norm(input, normalized_shape, weight, bias, eps, scale=scale, zero_point=zero_point)


def group_norm(
    input: QTensor,
    num_groups: int,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    output_scale: float,
    output_zero_point: int,
) -> QTensor:
    """Normalizes groups of channels, each image for itself.

    Args:
        input: of 8 bits, with one scale, ``[N, C, *]``.
        num_groups: divides C.
        weight: float32 ``[C]``, or None for ones.
        bias: float32 ``[C]``, or None for zeros.
        eps: added to the variance.
        output_scale: of the result.
        output_zero_point: of the result.
    """
    scale, zero_point = numbers(output_scale, output_zero_point)
    return operations.group_norm(input, num_groups, weight, bias, eps, scale=scale, zero_point=zero_point)


def instance_norm(
    input: QTensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    output_scale: float,
    output_zero_point: int,
) -> QTensor:
    """Normalizes each channel of each image by itself.

    Args:
        input: of 8 bits, with one scale, ``[N, C, *]``.
        weight: float32 ``[C]``, or None for ones.
        bias: float32 ``[C]``, or None for zeros.
        eps: added to the variance.
        output_scale: of the result.
        output_zero_point: of the result.
    """
    scale, zero_point = numbers(output_scale, output_zero_point)
    return operations.instance_norm(input, weight=weight, bias=bias, eps=eps, scale=scale, zero_point=zero_point)


def _batch_norm(
    name: str,
    dims: tuple[int, ...],
    relu: bool,
    qx: QTensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    var: Tensor,
    eps: float,
    output_scale: float,
    output_zero_point: int,
) -> QTensor:
    if checked_integers(name, qx).dim() not in dims:
        raise input_error(name, qx, _SHAPES[dims])
    scale, zero_point = numbers(output_scale, output_zero_point)
    parameters = (mean, var, weight, bias)
    return operations.batch_norm(qx, *parameters, eps=eps, scale=scale, zero_point=zero_point, relu=relu)
