"""Pools, and images made larger."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from torchq import ops
from torchq.qtensor import QTensor
from torchq.qtensor_functions.table import implements, of_bytes, of_torch


def _numbers(name: str, value: int | Sequence[int], dims: int) -> tuple[int, ...]:
    if isinstance(value, int):
        return (value,) * dims
    if isinstance(value, (tuple, list)) and len(value) in (1, dims):
        return (*value,) if len(value) == dims else (value[0],) * dims
    raise ValueError(f"{name} must be an integer or {dims} of them, got {value!r}")


def _stride(value: int | Sequence[int] | None, kernel: tuple[int, ...]) -> tuple[int, ...]:
    return kernel if value is None or value in ((), []) else _numbers("stride", value, len(kernel))


def _pool(input: QTensor, dims: int, pool: Callable[[Tensor], Tensor]) -> Any:
    """Pools images of so many dimensions; one that is not in a batch is made one."""
    data = input._data
    if not of_bytes(input) or data.dim() not in (dims + 1, dims + 2):
        return NotImplemented
    return input._with_data(pool(data) if data.dim() == dims + 2 else pool(data.unsqueeze(0)).squeeze(0))


def _max_pool(dims: int) -> Callable:
    def max_pool(
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
        kernel = _numbers("kernel_size", kernel_size, dims)
        margins = (_numbers("padding", padding, dims), _numbers("dilation", dilation, dims))
        window = (kernel, _stride(stride, kernel), *margins, ceil_mode)
        return _pool(input, dims, lambda data: ops.max_pool(data, *window))

    return max_pool


def _avg_pool(dims: int) -> Callable:
    def avg_pool(
        input: QTensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Any:
        kernel = _numbers("kernel_size", kernel_size, dims)
        window = (kernel, _stride(stride, kernel), _numbers("padding", padding, dims), ceil_mode, count_include_pad)
        return _pool(input, dims, lambda data: ops.avg_pool(data, input._zero_point, *window, divisor_override))

    return avg_pool


def _adaptive_avg_pool(dims: int) -> Callable:
    def adaptive_avg_pool(input: QTensor, output_size: Any) -> Any:
        sizes = (output_size,) * dims if isinstance(output_size, int) else output_size
        if not (isinstance(sizes, (tuple, list)) and len(sizes) == dims):
            raise ValueError(f"output_size must be an integer or {dims} of them, each may be None, got {output_size!r}")
        spatial = input._data.shape[-dims:]
        size = [own if given is None else given for given, own in zip(sizes, spatial, strict=True)]
        return _pool(input, dims, lambda data: ops.adaptive_avg_pool(data, input._zero_point, size))

    return adaptive_avg_pool


implements(torch.max_pool1d, F.max_pool1d, *of_torch("quantized_max_pool1d"))(_max_pool(1))
implements(torch.max_pool2d, F.max_pool2d, *of_torch("quantized_max_pool2d"))(_max_pool(2))
implements(torch.max_pool3d, F.max_pool3d, *of_torch("quantized_max_pool3d"))(_max_pool(3))
implements(torch.avg_pool1d, F.avg_pool1d)(_avg_pool(1))
implements(F.avg_pool2d)(_avg_pool(2))
implements(F.avg_pool3d)(_avg_pool(3))
implements(torch.adaptive_avg_pool1d, F.adaptive_avg_pool1d)(_adaptive_avg_pool(1))
implements(F.adaptive_avg_pool2d)(_adaptive_avg_pool(2))
implements(F.adaptive_avg_pool3d)(_adaptive_avg_pool(3))


@implements(F.interpolate)
def _interpolate(
    input: QTensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    if not of_bytes(input) or antialias:
        return NotImplemented
    if mode in ("nearest", "nearest-exact"):
        # torch moves uint8 but not int8 here; the bits are the same.
        data = input._data.view(torch.uint8)
        moved = F.interpolate(data, size, scale_factor, mode, align_corners, recompute_scale_factor)
        return input._with_data(moved.view(input._data.dtype))
    if mode != "bilinear" or input.dim() != 4 or (size is None) == (scale_factor is None):
        return NotImplemented
    if size is not None:
        size, factors = _numbers("size", size, 2), ()
    else:
        factors = tuple(map(float, (scale_factor,) * 2 if isinstance(scale_factor, (int, float)) else scale_factor))
        if len(factors) != 2:
            return NotImplemented
        size = tuple(int(extent * factor) for extent, factor in zip(input.shape[2:], factors, strict=True))
        factors = () if recompute_scale_factor else factors
    return input._with_data(ops.upsample_bilinear(input._data, size, bool(align_corners), factors))
