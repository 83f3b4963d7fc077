"""What ``from_float`` reads off a prepared module: its output's qparams and its quantized weight."""

from typing import Any

import torch
from torch import nn
from torch.nn.utils.parametrize import type_before_parametrizations

from torchq import ops
from torchq.dtypes import QDtype, as_qdtype, as_qscheme, from_torch, per_tensor_affine, per_tensor_symmetric, qint8
from torchq.nn.intrinsic import FusedModule
from torchq.nn.qat import QATModule
from torchq.qtensor import QTensor


def require_type(module: nn.Module, expected: tuple[type[nn.Module], ...], target: type) -> nn.Module:
    """Returns the module.

    Args:
        module: the float module to convert.
        expected: the types that ``target`` is made from.
        target: the quantized class, for the message.

    Raises:
        TypeError: if ``module`` has another type.
    """
    found = type_before_parametrizations(module)
    if found not in expected:
        names = " or ".join(t.__name__ for t in expected)
        raise TypeError(f"{target.__name__}.from_float takes {names}, got {found.__name__}")
    return module


def weighted_part(module: nn.Module, expected: tuple[type[nn.Module], ...], target: type) -> nn.Module:
    """Returns the module that holds the weight: the first of a fused container, else the module itself.

    Args:
        module: the float module to convert.
        expected: the types that ``target`` is made from.
        target: the quantized class, for the message.

    Raises:
        TypeError: if ``module`` has another type.
        ValueError: if it has no ``qconfig``, or one without a weight.
    """
    name = type_before_parametrizations(require_type(module, expected, target)).__name__
    if getattr(module, "qconfig", None) is None:
        raise ValueError(f"{name} has no qconfig")
    if module.qconfig.weight is None:
        raise ValueError(f"{name} has a weight, but its qconfig's weight is None")
    return module[0] if isinstance(module, FusedModule) else module


def output_qparams(module: nn.Module) -> tuple[float, int, QDtype]:
    """Returns scale, zero point and dtype that a prepared module's observer chose for its output.

    Args:
        module: a module that ``prepare`` gave an observer.

    Raises:
        RuntimeError: if it has no observer, or one that never saw data.
        ValueError: if the observer chose qparams per channel, or leaves them to the run time.
    """
    observer = getattr(module, "activation_post_process", None)
    if observer is None:
        raise RuntimeError("it has a qconfig but no observer: call prepare and run calibration data before convert")
    if not hasattr(observer, "calculate_qparams"):
        raise ValueError(f"its output is observed by {type(observer).__name__}, which chooses no scale and zero point")
    if getattr(observer, "is_dynamic", False):
        raise ValueError(
            f"{type(observer).__name__} is dynamic, but a static module's qparams are fixed: use another observer, or "
            "quantize_dynamic"
        )
    scale, zero_point = observer.calculate_qparams()
    if scale.numel() != 1 or zero_point.is_floating_point():
        raise ValueError(
            f"activations take one scale and an integer zero point per tensor, {type(observer).__name__} gives "
            f"{scale.numel()} and {zero_point.dtype}"
        )
    return scale.item(), int(zero_point.item()), as_qdtype(observer.dtype)


def quantized_weight_bias(module: nn.Module, part: nn.Module, axis: int = 0) -> tuple[QTensor, torch.Tensor | None]:
    """Returns the quantized weight and the float bias of a module that is converted.

    A module that was trained quantization-aware has its weight quantized as its last forward pass did it: the integers
    are those that training saw. For another one, the weight observer of the qconfig chooses the qparams.

    Args:
        module: the module.
        part: what ``weighted_part`` returned for it.
        axis: the dimension of the weight that has its output channels.

    Raises:
        RuntimeError: if a fake quantizer never saw the weight.
        ValueError: if the weight's dtype is not ``qint8``, or its channels are others than the output's.
    """
    if not isinstance(module, QATModule):
        return quantize_weight(part.weight, module.qconfig.weight(), axis), part.bias
    _check_weight_observer(module.weight_fake_quant, (qint8,))
    weight, bias = module.folded_weight_bias()
    return _quantized(weight.detach().float(), module.weight_fake_quant, axis), bias


def quantize_weight(
    weight: torch.Tensor, observer: Any, axis: int = 0, dtypes: tuple[QDtype, ...] = (qint8,)
) -> QTensor:
    """Shows a float weight to its observer and quantizes it with the qparams that this chooses.

    Args:
        weight: float ``[out, in, ...]``, or ``[in, out, ...]``.
        observer: made by the ``weight`` of a qconfig. Its ``ch_axis`` 0 means the output channels, wherever they lie.
        axis: the dimension of the output channels.
        dtypes: what the observer's dtype may be.

    Returns:
        A weight of that dtype with one scale, or one per output channel; integers lie in the observer's range.

    Raises:
        TypeError: if ``observer`` is none.
        ValueError: if the observer's dtype is none of these, its channels are others, or its zero points no integers.
    """
    _check_weight_observer(observer, dtypes)
    if getattr(observer, "ch_axis", None) == 0:
        observer.ch_axis = axis
    weight = weight.detach().float()
    observer.to(weight.device)(weight)
    return _quantized(weight, observer, axis)


def _check_weight_observer(observer: Any, dtypes: tuple[QDtype, ...]) -> None:
    if not hasattr(observer, "calculate_qparams"):
        raise TypeError(f"weights need an observer, the qconfig's weight gives a {type(observer).__name__}")
    if from_torch(observer.dtype) not in dtypes:
        allowed = " or ".join(map(str, dtypes))
        raise ValueError(f"weights must be observed with dtype {allowed}, got {observer.dtype}")


def _quantized(weight: torch.Tensor, observer: Any, channels: int) -> QTensor:
    scale, zero_point = observer.calculate_qparams()
    storage = as_qdtype(observer.dtype).storage_dtype
    if zero_point.is_floating_point():
        raise ValueError(f"weights take integer zero points, {observer.qscheme} gives {zero_point.dtype}")
    if as_qscheme(observer.qscheme) in (per_tensor_affine, per_tensor_symmetric):
        qparams = (scale.item(), int(zero_point.item()))
        integers = ops.quantize_per_tensor(weight, *qparams, storage)
        axis = None
    else:
        axis = observer.ch_axis % weight.dim()
        if axis != channels:
            raise ValueError(f"weights take one scale per index of axis {channels}, the observer's ch_axis is {axis}")
        qparams = (scale.double(), zero_point.long())
        integers = ops.quantize_per_channel(weight, *qparams, axis, storage)
    return QTensor(integers.clamp_(observer.quant_min, observer.quant_max), *qparams, axis)
