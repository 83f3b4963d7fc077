"""Pools, and images made larger."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from torchq import ops
from torchq.qtensor import QTensor
from torchq.qtensor_functions.table import implements, of_bytes, of_torch


def _pair(name: str, value: int | Sequence[int]) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    if isinstance(value, (tuple, list)) and len(value) in (1, 2):
        return value[0], value[-1]
    raise ValueError(f"{name} must be an integer or two of them, got {value!r}")


def _stride(value: int | Sequence[int] | None, kernel: tuple[int, int]) -> tuple[int, int]:
    return kernel if value is None or value in ((), []) else _pair("stride", value)


def _pool(input: QTensor, pool: Callable[[Tensor], Tensor]) -> Any:
    data = input._data
    if not of_bytes(input) or data.dim() not in (3, 4):
        return NotImplemented
    return input._with_data(pool(data) if data.dim() == 4 else pool(data.unsqueeze(0)).squeeze(0))


@implements(torch.max_pool2d, F.max_pool2d, *of_torch("quantized_max_pool2d"))
def _max_pool2d(
    input: QTensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    if return_indices:
        return NotImplemented
    kernel = _pair("kernel_size", kernel_size)
    window = (kernel, _stride(stride, kernel), _pair("padding", padding), _pair("dilation", dilation), ceil_mode)
    return _pool(input, lambda data: ops.max_pool(data, *window))


@implements(F.avg_pool2d)
def _avg_pool2d(
    input: QTensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    kernel = _pair("kernel_size", kernel_size)
    window = (kernel, _stride(stride, kernel), _pair("padding", padding), ceil_mode, count_include_pad)
    return _pool(input, lambda data: ops.avg_pool(data, input._zero_point, *window, divisor_override))


@implements(F.adaptive_avg_pool2d)
def _adaptive_avg_pool2d(input: QTensor, output_size: Any) -> Any:
    sizes = (output_size, output_size) if isinstance(output_size, int) else output_size
    if not (isinstance(sizes, (tuple, list)) and len(sizes) == 2):
        raise ValueError(f"output_size must be an integer or two of them, each may be None, got {output_size!r}")
    size = [input._data.shape[i - 2] if sizes[i] is None else sizes[i] for i in (0, 1)]
    return _pool(input, lambda data: ops.adaptive_avg_pool(data, input._zero_point, size))


@implements(F.interpolate)
def _interpolate(
    input: QTensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", **kwargs: Any
) -> Any:
    if not of_bytes(input) or mode not in ("nearest", "nearest-exact"):
        return NotImplemented
    # torch moves uint8 but not int8 here; the bits are the same.
    moved = F.interpolate(input._data.view(torch.uint8), size, scale_factor, mode, **kwargs)
    return input._with_data(moved.view(input._data.dtype))
