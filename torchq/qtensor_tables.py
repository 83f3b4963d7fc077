"""Functions of one quantized value, looked up in tables of 256 entries."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from torchq import ops
from torchq.qtensor import QTensor


def table(
    function: Callable[..., Tensor],
    arguments: tuple[float, ...],
    scale: float,
    zero_point: int,
    dtype: torch.dtype,
    output_scale: float,
    output_zero_point: int,
    device: torch.device,
) -> Tensor:
    """Returns what a function makes of each of the 256 values, smallest first, as integers.

    The function is computed in float64 and rounded to float32, so that the libraries behind it give the same integers.

    Args:
        function: of a float64 tensor and ``arguments``.
        arguments: its further arguments.
        scale: of the values.
        zero_point: of the values.
        dtype: ``torch.uint8`` or ``torch.int8``, of values and results.
        output_scale: of the results.
        output_zero_point: of the results.
        device: where the table is made.

    Returns:
        ``[256]`` of ``dtype``.
    """
    info = torch.iinfo(dtype)
    values = torch.arange(info.min, info.max + 1, device=device).to(dtype)
    results = function(ops.dequantize_per_tensor(values, scale, zero_point).double(), *arguments).float()
    return ops.quantize_per_tensor(results, output_scale, output_zero_point, dtype)


_kept_table = functools.lru_cache(maxsize=1024)(table)
# Bound once: each look-up under torch.ops costs a call a part of a microsecond.
_lookup = torch.ops.torchq.lookup.default


def entries(
    function: Callable[..., Tensor],
    arguments: tuple[float, ...],
    data: Tensor,
    scale: float,
    zero_point: int,
    output_scale: float,
    output_zero_point: int,
) -> Tensor:
    """Returns a ``table``, which is made once unless it is traced.

    Args:
        function: of a float64 tensor and ``arguments``; it has to be the same object each time.
        arguments: its further arguments.
        data: integers that will be looked up.
        scale: theirs.
        zero_point: theirs.
        output_scale: of the results.
        output_zero_point: of the results.
    """
    # What is traced must not meet a tensor that another trace has made.
    traced = torch.compiler.is_compiling() or type(data) is not Tensor
    qparams = (scale, zero_point, data.dtype, output_scale, output_zero_point, data.device)
    return (table if traced else _kept_table)(function, arguments, *qparams)


def gelu_tanh(values: Tensor) -> Tensor:
    """Returns GELU by its approximation with tanh: an object of its own, to keep tables by."""
    return F.gelu(values, approximate="tanh")


def looked_up(
    function: Callable[..., Tensor],
    input: QTensor,
    output_scale: float,
    output_zero_point: int,
    *arguments: float,
) -> QTensor:
    """Returns a function of each value, quantized to another scale and zero point.

    Args:
        function: of a float64 tensor and ``arguments``; its tables are kept, so it has to be the same object each time.
        input: of 8 bits, with one scale.
        output_scale: of the result.
        output_zero_point: of the result, in the range of the input's dtype.
        arguments: further arguments of the function.

    Returns:
        Of the input's shape and dtype.

    Example:
        >>> x = torchq.quantize_per_tensor(torch.tensor([-1.0, 0.0, 1.0]), 0.1, 10, torchq.quint8)
        >>> looked_up(torch.exp, x, 0.02, 0).dequantize()
        tensor([0.3600, 1.0000, 2.7200])
    """
    qparams = (input._scale, input._zero_point, output_scale, output_zero_point)
    results = _lookup(input._data, entries(function, arguments, input._data, *qparams))
    return QTensor(results, output_scale, output_zero_point)
