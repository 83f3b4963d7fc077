"""Functions of quantized tensors that take the scale and zero point of their result: what graphs call.

They are named after the float functions and take those's arguments, then ``scale`` and ``zero_point``, by name. The
result has the input's dtype. The arithmetic is that of docs/numerics.md.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from torchq import ops
from torchq.nn.quantized.inputs import checked_integers, input_error
from torchq.ops.quantize import check_qparams
from torchq.qtensor import QTensor
from torchq.qtensor_tables import looked_up

__all__ = [
    "add",
    "add_relu",
    "add_scalar",
    "elu",
    "gelu",
    "group_norm",
    "hardsigmoid",
    "hardswish",
    "instance_norm",
    "layer_norm",
    "leaky_relu",
    "matmul",
    "mul",
    "mul_relu",
    "mul_scalar",
    "sigmoid",
    "silu",
    "softmax",
    "tanh",
]


def add(x: QTensor, y: QTensor, *, scale: float, zero_point: int) -> QTensor:
    """Returns ``x + y``.

    Args:
        x: of 8 bits, with one scale.
        y: likewise, of x's dtype and of a shape that can be broadcast with x's.
        scale: of the result.
        zero_point: of the result.

    Example:
        >>> x, y = (torchq.quantize_per_tensor(torch.tensor(v), 1.0, 0, torchq.quint8) for v in (3.0, 4.0))
        >>> add(x, y, scale=2.0, zero_point=1).int_repr()
        tensor(5, dtype=torch.uint8)
    """
    _check("add", x, y)
    return elementwise(ops.add, x, y, scale, zero_point)


def add_relu(x: QTensor, y: QTensor, *, scale: float, zero_point: int) -> QTensor:
    """Returns ``relu(x + y)``; arguments are those of ``add``."""
    _check("add_relu", x, y)
    return elementwise(ops.add, x, y, scale, zero_point, relu=True)


def mul(x: QTensor, y: QTensor, *, scale: float, zero_point: int) -> QTensor:
    """Returns ``x * y``; arguments are those of ``add``."""
    _check("mul", x, y)
    return elementwise(ops.mul, x, y, scale, zero_point)


def mul_relu(x: QTensor, y: QTensor, *, scale: float, zero_point: int) -> QTensor:
    """Returns ``relu(x * y)``; arguments are those of ``add``."""
    _check("mul_relu", x, y)
    return elementwise(ops.mul, x, y, scale, zero_point, relu=True)


def add_scalar(x: QTensor, y: float) -> QTensor:
    """Returns ``x + y`` for a number ``y``, by moving the zero point.

    Where the zero point would leave the dtype's range, it stays at its end and the scale grows instead.

    Raises:
        TypeError: if ``x`` is not quantized.
        ValueError: if it has several scales or not 8 bits; if ``y`` is not finite, or not below 2**62 times the scale.
    """
    data = checked_integers("add_scalar", x)
    info = torch.iinfo(data.dtype)
    steps = float(y) / x._scale
    if not abs(steps) < 2**62:
        raise ValueError(f"add_scalar takes a number below 2**62 times the scale {x._scale}, got {y}")
    zero_point = x._zero_point - round(steps)
    if info.min <= zero_point <= info.max:
        return QTensor(data.clone(), x._scale, zero_point)
    nearest = min(max(zero_point, info.min), info.max)
    span = max(info.max - zero_point, zero_point - info.min)
    scale = span / (info.max - info.min) * x._scale
    check_qparams(scale, nearest, data.dtype)
    shifted = (data.to(torch.int64) - zero_point).float()
    integers = torch.round(shifted * (x._scale / scale)) + nearest
    return QTensor(integers.clamp(info.min, info.max).to(data.dtype), scale, nearest)


def mul_scalar(x: QTensor, y: float) -> QTensor:
    """Returns ``x * y`` for a number ``y``, by scaling the scale; a negative one mirrors the integers.

    Raises:
        TypeError: if ``x`` is not quantized.
        ValueError: if it has several scales or not 8 bits, or if the scale times ``y`` is no scale.
    """
    data = checked_integers("mul_scalar", x)
    info = torch.iinfo(data.dtype)
    if y == 0:
        return QTensor(torch.zeros_like(data), 1.0, 0)
    scale = x._scale * abs(float(y))
    check_qparams(scale, x._zero_point, data.dtype)
    if y > 0:
        return QTensor(data.clone(), scale, x._zero_point)
    mirror = info.max + info.min
    return QTensor((mirror - data.to(torch.int32)).to(data.dtype), scale, mirror - x._zero_point)


def matmul(x: QTensor, y: QTensor, *, scale: float, zero_point: int) -> QTensor:
    """Returns ``x @ y``, for vectors, matrices and batches of matrices as ``torch.matmul``.

    Raises:
        TypeError: if an operand is not quantized.
        ValueError: if one has several scales, not 8 bits, or no dimension.
    """
    _check("matmul", x, y)
    return product(x, y, scale, zero_point)


def _check(name: str, *inputs: Any) -> None:
    for input in inputs:
        checked_integers(name, input)


def elementwise(
    op: Callable[..., Tensor], x: QTensor, y: QTensor, scale: float, zero_point: int, **options: bool
) -> QTensor:
    """Returns a sum or product of what was checked to be quantized; ``op`` is the operator for it."""
    a, b = x._data, y._data
    if a.shape != b.shape:
        a, b = torch.broadcast_tensors(a, b)
    data = op(a, x._scale, x._zero_point, b, y._scale, y._zero_point, scale, zero_point, **options)
    return QTensor(data, scale, zero_point)


def product(x: QTensor, y: QTensor, scale: float, zero_point: int) -> QTensor:
    """Returns ``x @ y`` of what was checked to be quantized."""
    a, b = x._data, y._data
    if not a.dim() or not b.dim():
        raise ValueError(f"matmul takes vectors and matrices, got {tuple(a.shape)} and {tuple(b.shape)}")
    # A vector is a matrix of one row, or of one column.
    vectors = [dim for dim, operand in ((-2, a), (-1, b)) if operand.dim() == 1]
    a, b = (a.unsqueeze(0) if a.dim() == 1 else a), (b.unsqueeze(1) if b.dim() == 1 else b)
    if a.shape[:-2] != b.shape[:-2]:
        batch = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        a, b = a.expand(*batch, *a.shape[-2:]), b.expand(*batch, *b.shape[-2:])
    data = ops.matmul(a, x._scale, x._zero_point, b, y._scale, y._zero_point, scale, zero_point)
    for dim in vectors:
        data = data.squeeze(dim)
    return QTensor(data, scale, zero_point)


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


def elu(input: QTensor, alpha: float = 1.0, *, scale: float, zero_point: int) -> QTensor:
    """Returns x above 0 and ``alpha * (exp(x) - 1)`` below."""
    checked_integers("elu", input)
    return looked_up(F.elu, input, scale, zero_point, alpha)


def hardswish(input: QTensor, *, scale: float, zero_point: int) -> QTensor:
    """Returns ``x * relu6(x + 3) / 6``."""
    checked_integers("hardswish", input)
    return looked_up(F.hardswish, input, scale, zero_point)


def leaky_relu(input: QTensor, negative_slope: float = 0.01, *, scale: float, zero_point: int) -> QTensor:
    """Returns x above 0 and ``negative_slope * x`` below."""
    checked_integers("leaky_relu", input)
    return looked_up(F.leaky_relu, input, scale, zero_point, negative_slope)


def sigmoid(input: QTensor, *, scale: float, zero_point: int) -> QTensor:
    """Returns ``1 / (1 + exp(-x))``; a scale of 1/256 uses all 8 bits."""
    checked_integers("sigmoid", input)
    return looked_up(torch.sigmoid, input, scale, zero_point)


def hardsigmoid(input: QTensor, *, scale: float, zero_point: int) -> QTensor:
    """Returns ``relu6(x + 3) / 6``; a scale of 1/256 uses all 8 bits."""
    checked_integers("hardsigmoid", input)
    return looked_up(F.hardsigmoid, input, scale, zero_point)


def tanh(input: QTensor, *, scale: float, zero_point: int) -> QTensor:
    """Returns the hyperbolic tangent; a scale of 2/256 uses all 8 bits."""
    checked_integers("tanh", input)
    return looked_up(torch.tanh, input, scale, zero_point)


def gelu(input: QTensor, approximate: str = "none", *, scale: float, zero_point: int) -> QTensor:
    """Returns x times the normal distribution function of x.

    Args:
        input: of 8 bits, with one scale.
        approximate: ``"none"``, or ``"tanh"`` for torch's approximation.
        scale: of the result.
        zero_point: of the result.

    Raises:
        ValueError: for another ``approximate``.
    """
    checked_integers("gelu", input)
    if approximate not in _GELUS:
        raise ValueError(f"approximate must be 'none' or 'tanh', got {approximate!r}")
    return looked_up(_GELUS[approximate], input, scale, zero_point)


def silu(input: QTensor, *, scale: float, zero_point: int) -> QTensor:
    """Returns ``x / (1 + exp(-x))``."""
    checked_integers("silu", input)
    return looked_up(F.silu, input, scale, zero_point)


def _gelu_tanh(values: Tensor) -> Tensor:
    return F.gelu(values, approximate="tanh")


_GELUS: dict[Any, Callable[[Tensor], Tensor]] = {"none": F.gelu, "tanh": _gelu_tanh}
