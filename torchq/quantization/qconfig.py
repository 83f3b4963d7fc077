"""QConfig: which observer a module's output gets, and which its weight."""

from collections import namedtuple
from typing import Any

from torch import nn

from torchq.quantization.observer import (
    HistogramObserver,
    default_dynamic_quant_observer,
    default_observer,
    default_per_channel_weight_observer,
    default_weight_observer,
)


class QConfig(namedtuple("QConfig", ["activation", "weight"])):
    """How to quantize a module: an observer factory for its output and one for its weight.

    Args:
        activation: an observer class, or what its ``with_args`` returned.
        weight: the same, for the weight; or None, for modules without one.

    Raises:
        TypeError: if given what cannot be called.
        ValueError: if given an observer instead of a class; each module needs one of its own.

    Example:
        >>> from torchq.quantization import MinMaxObserver
        >>> QConfig(activation=MinMaxObserver, weight=MinMaxObserver.with_args(dtype=torchq.qint8)).weight().dtype
        torchq.qint8
    """

    __slots__ = ()

    def __new__(cls, activation: Any, weight: Any) -> "QConfig":
        for role, factory in (("activation", activation), ("weight", weight)):
            if isinstance(factory, nn.Module):
                name = type(factory).__name__
                raise ValueError(
                    f"{role} must be an observer class, got an instance of {name}: pass {name} or {name}.with_args(...)"
                )
            if not callable(factory) and not (role == "weight" and factory is None):
                raise TypeError(f"{role} must be an observer class or what its with_args returned, got {factory!r}")
        return super().__new__(cls, activation, weight)


QConfigAny = QConfig | None

default_qconfig = QConfig(activation=default_observer, weight=default_weight_observer)
default_per_channel_qconfig = QConfig(activation=default_observer, weight=default_per_channel_weight_observer)
default_dynamic_qconfig = QConfig(activation=default_dynamic_quant_observer, weight=default_weight_observer)
per_channel_dynamic_qconfig = QConfig(
    activation=default_dynamic_quant_observer, weight=default_per_channel_weight_observer
)

# Backend name -> (reduce_range of the activations, weight observer), as torch.ao has them.
_BACKENDS = {
    "fbgemm": (True, default_per_channel_weight_observer),
    "x86": (True, default_per_channel_weight_observer),
    "onednn": (False, default_per_channel_weight_observer),
    "qnnpack": (False, default_weight_observer),
}


def get_default_qconfig(backend: str | None = None, version: int = 0) -> QConfig:
    """Returns the settings for static quantization.

    Without a backend they are torchq's own: histogram observers on the full 8 bits (``quint8``) for
    activations, symmetric ``qint8`` per output channel for weights. torchq's kernels are exact on every CPU,
    so nothing is gained by torch.ao's default of 7-bit activations (``"x86"``), which is the default argument
    there. A backend's name gives torch.ao's settings for it; it selects no kernel.

    Args:
        backend: None, ``"fbgemm"``, ``"x86"``, ``"onednn"`` or ``"qnnpack"``.
        version: 0, the only one.

    Raises:
        ValueError: for another backend or version.

    Example:
        >>> get_default_qconfig().activation().quant_max, get_default_qconfig("x86").activation().quant_max
        (255, 127)
    """
    if version != 0:
        raise ValueError(f"version must be 0, got {version!r}")
    if backend is None:
        return QConfig(activation=HistogramObserver, weight=default_per_channel_weight_observer)
    if backend not in _BACKENDS:
        raise ValueError(f"backend must be None or one of {', '.join(map(repr, _BACKENDS))}, got {backend!r}")
    reduce_range, weight = _BACKENDS[backend]
    return QConfig(activation=HistogramObserver.with_args(reduce_range=reduce_range), weight=weight)
