"""How a function enters the table, and what the handlers share."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from torchq import ops
from torchq.qtensor import FUNCTIONS, QTensor, float_fallback
from torchq.qtensor_arithmetic import quantize_float_zero_points


def implements(*functions: Callable, table: dict[Callable, Callable] = FUNCTIONS) -> Callable[[Callable], Callable]:
    """Registers the function below it for these torch functions; it is called with their arguments.

    It may return NotImplemented for arguments that it cannot serve in integers, and need not have all of torch's.

    Args:
        functions: torch's functions and methods.
        table: where they are registered.
    """

    def register(handler: Callable) -> Callable:
        signature = inspect.signature(handler)
        for function in functions:

            def call(*args: Any, _function: Callable = function, **kwargs: Any) -> Any:
                try:
                    result = handler(*args, **kwargs)
                except TypeError:
                    if _binds(signature, args, kwargs):
                        raise
                    result = NotImplemented
                return float_fallback(_function, args, kwargs) if result is NotImplemented else result

            table[function] = call
        return handler

    return register


def _binds(signature: inspect.Signature, args: tuple, kwargs: dict) -> bool:
    try:
        return signature.bind(*args, **kwargs) is not None
    except TypeError:
        return False


def of_torch(*names: str) -> tuple[Callable, ...]:
    """Returns torch's functions and methods of these names that this torch has.

    For those that come and go between versions, such as the ones about torch's own quantized dtypes.
    """
    return tuple(getattr(owner, name) for name in names for owner in (torch, Tensor) if hasattr(owner, name))


def per_tensor(input: Any) -> bool:
    """Whether it is a QTensor with one scale and zero point."""
    return isinstance(input, QTensor) and input._axis is None


def of_bytes(input: Any) -> bool:
    """Whether it is a QTensor of 8 bits with one scale and zero point."""
    return isinstance(input, QTensor) and input._axis is None and input._data.dtype != torch.int32


def as_values(value: Any, device: torch.device) -> Tensor:
    """Returns a number, a tensor or a QTensor as float32 values."""
    if isinstance(value, QTensor):
        return value.dequantize()
    if not isinstance(value, Tensor):
        return torch.tensor(value, dtype=torch.float32, device=device)
    if value.is_complex():
        raise TypeError(f"a QTensor holds real numbers, got {value.dtype}")
    return value if value.is_floating_point() else value.to(torch.float32)


def integers_like(q: QTensor, value: Any) -> Tensor:
    """Returns a value as integers with q's dtype, scale and zero point, quantized as q was.

    Args:
        q: per tensor, for a value of any shape; or per channel, for one that can be expanded to q's.
        value: a number, a tensor, or a QTensor, whose integers are taken if its scale and zero point are q's.
    """
    if isinstance(value, QTensor) and value.has_qparams_of(q):
        return value._data
    values = as_values(value, q._data.device)
    if q._axis is None:
        return ops.quantize_per_tensor(values, q._scale, q._zero_point, q._data.dtype)
    values = values.expand(q._data.shape)
    if q._zero_point.is_floating_point():
        return quantize_float_zero_points(values, q._scale, q._zero_point, q._axis, q.qdtype)
    return ops.quantize_per_channel(values, q._scale, q._zero_point, q._axis, q._data.dtype)


def integers_rounded_twice(q: QTensor, value: Any) -> Tensor:
    """Returns a value as integers of a per tensor q, with the two roundings that torch has for limits and for indices.

    Where ``integers_like`` rounds ``fma(x, 1 / scale, zero_point)`` once before the last rounding, torch rounds the
    product by itself here.
    """
    if isinstance(value, QTensor) and value.has_qparams_of(q):
        return value._data
    values = as_values(value, q._data.device)
    scale = torch.tensor([q._scale], dtype=torch.float64, device=values.device)
    zero_point = torch.tensor([q._zero_point], device=values.device)
    return ops.quantize_per_channel(values.unsqueeze(0), scale, zero_point, 0, q._data.dtype).squeeze(0)


@functools.lru_cache(maxsize=1024)
def limit(value: float, scale: float, zero_point: int, dtype: torch.dtype) -> int:
    """Returns a limit as an integer, with the two roundings of ``integers_rounded_twice``."""
    qparams = (torch.tensor([scale], dtype=torch.float64), torch.tensor([zero_point]))
    return int(ops.quantize_per_channel(torch.tensor([value]), *qparams, 0, dtype))
