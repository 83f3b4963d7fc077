"""Questions about qconfigs, observers and ranges, under the names that torch.ao.quantization.utils has for them."""

import functools
from typing import Any

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from torchq.dtypes import (
    as_qscheme,
    per_channel_affine,
    per_channel_symmetric,
    per_tensor_affine,
    per_tensor_symmetric,
    qint8,
    qint32,
    quint4x2,
    quint8,
)
from torchq.quantization.passive_observers import PlaceholderObserver
from torchq.quantization.qparams import (
    as_grid_dtype,
    check_min_max_valid,
    choose_qparams,
    quantization_range,
    to_underlying_dtype,
    validate_qmin_qmax,
)
from torchq.quantization.quant_type import QuantType

__all__ = [
    "MatchAllNode",
    "NodePattern",
    "Pattern",
    "activation_dtype",
    "activation_is_dynamically_quantized",
    "activation_is_int8_quantized",
    "activation_is_int32_quantized",
    "activation_is_statically_quantized",
    "calculate_qmin_qmax",
    "check_min_max_valid",
    "determine_qparams",
    "get_combined_dict",
    "get_qconfig_dtypes",
    "get_qparam_dict",
    "get_quant_type",
    "getattr_from_fqn",
    "has_no_children_ignoring_parametrizations",
    "is_per_channel",
    "is_per_tensor",
    "op_is_int8_dynamically_quantized",
    "to_underlying_dtype",
    "validate_qmin_qmax",
    "weight_dtype",
    "weight_is_quantized",
    "weight_is_statically_quantized",
]

_UNSIGNED_8_BITS = (quint8, torch.uint8)
_SIGNED_8_BITS = (qint8, torch.int8)
_8_BITS = (*_UNSIGNED_8_BITS, *_SIGNED_8_BITS)
_32_BITS = (qint32, torch.int32)
_OTHERS = (torch.int16, torch.float8_e5m2, torch.float8_e4m3fn)


# What to look for in a graph: a module type, a function, the name of a tensor's method, or a tuple of patterns.
Pattern = Any
# What was found there: a node, an argument, or a tuple of those, nested as the pattern is.
NodePattern = Any


class MatchAllNode:
    """Stands for any argument, in a pattern of operators; see ``torchq.quantization.backend_config``."""


def is_per_tensor(qscheme: Any) -> bool:
    """Returns whether a scheme has one scale for a whole tensor."""
    return as_qscheme(qscheme) in (per_tensor_affine, per_tensor_symmetric)


def is_per_channel(qscheme: Any) -> bool:
    """Returns whether a scheme has a scale for each channel."""
    return not is_per_tensor(qscheme)


def calculate_qmin_qmax(
    quant_min: int | None, quant_max: int | None, has_customized_qrange: bool, dtype: Any, reduce_range: bool
) -> tuple[int, int]:
    """Returns the smallest and largest integer that an observer may use.

    Args:
        quant_min: the caller's own lower end; used if ``has_customized_qrange``, as ``quant_max``.
        quant_max: the caller's own upper end.
        has_customized_qrange: whether the caller's range counts, or the dtype's.
        dtype: see ``UniformQuantizationObserverBase``.
        reduce_range: give up one bit: of the caller's range, or of a dtype's that has 8.

    Raises:
        TypeError: if ``dtype`` is none that observers take.
        ValueError: if the range does not hold 0 or leaves the dtype's.

    Example:
        >>> calculate_qmin_qmax(None, None, False, torchq.qint8, True)
        (-64, 63)
    """
    ends = (quant_min, quant_max) if has_customized_qrange else (None, None)
    return quantization_range(as_grid_dtype(dtype), reduce_range, *ends)


def determine_qparams(
    min_val: torch.Tensor,
    max_val: torch.Tensor,
    quant_min: int,
    quant_max: int,
    dtype: Any,
    eps: torch.Tensor,
    has_customized_qrange: bool,
    qscheme: Any = per_tensor_affine,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns scale and zero point for a range, computed in float32 as an observer computes them.

    Args:
        min_val: float32 ``[]`` or ``[C]``.
        max_val: float32, the same shape.
        quant_min: smallest integer.
        quant_max: largest integer.
        dtype: see ``UniformQuantizationObserverBase``.
        eps: float32 ``[1]``, the smallest scale.
        has_customized_qrange: whether ``quant_min`` and ``quant_max`` are other than the dtype's own.
        qscheme: how scales are shared and chosen.

    Returns:
        scale: float64 ``[1]`` or ``[C]``.
        zero_point: int64 of the same shape; float32 for ``per_channel_affine_float_qparams``.

    Raises:
        ValueError: if there is no range, or it is too wide.

    Example:
        >>> ends = torch.tensor(-1.0), torch.tensor(4.1)
        >>> determine_qparams(*ends, 0, 255, torchq.quint8, torch.tensor([1e-7]), False)
        (tensor([0.0200], dtype=torch.float64), tensor([50]))
    """
    if not check_min_max_valid(min_val, max_val):
        raise ValueError(f"there is no range to choose from: min_val={min_val}, max_val={max_val}")
    grid = (quant_min, quant_max, as_grid_dtype(dtype), eps.to(min_val.device), has_customized_qrange)
    scale, zero_point = choose_qparams(min_val, max_val, *grid, as_qscheme(qscheme))
    return scale.double(), zero_point


def get_qparam_dict(observer_or_fake_quant: nn.Module) -> dict[str, Any]:
    """Returns what an observer says of the tensor that it observed.

    Args:
        observer_or_fake_quant: after calibration.

    Returns:
        ``qscheme`` (None if it has none; of two schemes with the same qparams the affine one) and ``dtype``; where
        there is a scheme also ``scale`` and ``zero_point``, ``axis`` per channel, and ``quant_min`` and ``quant_max``.

    Raises:
        RuntimeError: if the observer never saw data.
    """
    observer = observer_or_fake_quant
    qscheme = getattr(observer, "qscheme", None)
    if qscheme is None or isinstance(observer, PlaceholderObserver):
        return {"qscheme": None, "dtype": observer.dtype}
    affine = {per_tensor_symmetric: per_tensor_affine, per_channel_symmetric: per_channel_affine}
    qscheme = affine.get(as_qscheme(qscheme), as_qscheme(qscheme))
    qparams = {"qscheme": qscheme, "dtype": observer.dtype}
    if is_per_channel(qscheme):
        qparams["axis"] = observer.ch_axis
    qparams["scale"], qparams["zero_point"] = observer.calculate_qparams()
    return {
        **qparams,
        **{name: getattr(observer, name) for name in ("quant_min", "quant_max") if hasattr(observer, name)},
    }


def get_qconfig_dtypes(qconfig: Any) -> tuple[Any, Any, bool]:
    """Returns the dtype of the activation, that of the weight, and whether the activation is dynamic.

    Args:
        qconfig: whose observers have a ``dtype``.

    Raises:
        ValueError: if it is None.
    """
    activation = _made(qconfig, "activation")
    return activation.dtype, weight_dtype(qconfig), getattr(activation, "is_dynamic", False)


def activation_dtype(qconfig: Any) -> Any:
    """Returns the dtype that a qconfig gives activations."""
    return _made(qconfig, "activation").dtype


def weight_dtype(qconfig: Any) -> Any:
    """Returns the dtype that a qconfig gives weights."""
    return _made(qconfig, "weight").dtype


def activation_is_dynamically_quantized(qconfig: Any) -> bool:
    """Returns whether a qconfig leaves the qparams of activations to the run time."""
    return get_qconfig_dtypes(qconfig)[2]


def activation_is_statically_quantized(qconfig: Any) -> bool:
    """Returns whether a qconfig quantizes activations, float16 included, with what calibration chose."""
    static = (*_8_BITS, *_32_BITS, *_OTHERS, torch.float16)
    return activation_dtype(qconfig) in static and not activation_is_dynamically_quantized(qconfig)


def activation_is_int8_quantized(qconfig: Any) -> bool:
    """Returns whether a qconfig makes activations 8-bit integers."""
    return activation_dtype(qconfig) in _8_BITS


def activation_is_int32_quantized(qconfig: Any) -> bool:
    """Returns whether a qconfig makes activations 32-bit integers."""
    return activation_dtype(qconfig) in _32_BITS


def weight_is_quantized(qconfig: Any) -> bool:
    """Returns whether a qconfig quantizes weights, float16 included."""
    return weight_dtype(qconfig) in (*_8_BITS, quint4x2, torch.int32, *_OTHERS, torch.float16)


def weight_is_statically_quantized(qconfig: Any) -> bool:
    """Returns whether a qconfig makes weights 8-bit integers."""
    return weight_dtype(qconfig) in _8_BITS


def op_is_int8_dynamically_quantized(qconfig: Any) -> bool:
    """Returns whether a qconfig means signed 8-bit weights and activations that are unsigned 8-bit at run time."""
    activation, weight, is_dynamic = get_qconfig_dtypes(qconfig)
    return activation in _UNSIGNED_8_BITS and weight in _SIGNED_8_BITS and is_dynamic


def get_quant_type(qconfig: Any) -> QuantType:
    """Returns what kind of quantization a qconfig means.

    Args:
        qconfig: whose observers have a ``dtype``.

    Raises:
        ValueError: if its dtypes mean none.

    Example:
        >>> get_quant_type(default_dynamic_qconfig).name
        'DYNAMIC'
    """
    activation, weight, is_dynamic = get_qconfig_dtypes(qconfig)
    integers = (*_8_BITS, quint4x2, *_32_BITS, *_OTHERS)
    if is_dynamic and weight in (*integers, torch.float16):
        return QuantType.DYNAMIC
    if weight in integers:
        return QuantType.STATIC if activation in integers else QuantType.WEIGHT_ONLY
    if weight is torch.float16 and activation is torch.float16:
        return QuantType.STATIC
    raise ValueError(f"activations of {activation} with weights of {weight} are no kind of quantization")


def has_no_children_ignoring_parametrizations(module: nn.Module) -> bool:
    """Returns whether a module has no submodules but its parametrizations."""
    return all(name == "parametrizations" and is_parametrized(module) for name in module._modules)


def getattr_from_fqn(obj: Any, fqn: str) -> Any:
    """Returns what a dotted name stands for, seen from an object.

    Args:
        obj: where to begin.
        fqn: names joined by dots.

    Raises:
        AttributeError: if one of the names is missing.
    """
    return functools.reduce(getattr, fqn.split("."), obj)


def get_combined_dict(default_dict: dict[Any, Any], additional_dict: dict[Any, Any]) -> dict[Any, Any]:
    """Returns a dictionary of both; where they share a key, the value is the additional one's."""
    return {**default_dict, **additional_dict}


def _made(qconfig: Any, role: str) -> Any:
    """Returns an observer that a qconfig makes, for the ``"activation"`` or the ``"weight"``."""
    if qconfig is None:
        raise ValueError("expected a QConfig, got None: a module in float has no dtypes")
    if getattr(qconfig, role) is None:
        raise ValueError(f"the qconfig says nothing of a {role}: {qconfig}")
    return getattr(qconfig, role)()
