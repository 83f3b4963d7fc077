"""QConfig: which observer a module's output gets, and which its weight."""

from collections import namedtuple
from typing import Any

import torch
from torch import nn

from torchq.dtypes import qint8
from torchq.quantization.fake_quantize import (
    FakeQuantize,
    FusedMovingAvgObsFakeQuantize,
    default_dynamic_fake_quant,
    default_embedding_fake_quant,
    default_embedding_fake_quant_4bit,
    default_fake_quant,
    default_fused_act_fake_quant,
    default_fused_per_channel_wt_fake_quant,
    default_fused_wt_fake_quant,
    default_per_channel_weight_fake_quant,
    default_weight_fake_quant,
    fused_per_channel_wt_fake_quant_range_neg_127_to_127,
    fused_wt_fake_quant_range_neg_127_to_127,
)
from torchq.quantization.observer import (
    HistogramObserver,
    MinMaxObserver,
    MovingAverageMinMaxObserver,
    NoopObserver,
    ObserverFactory,
    PerChannelMinMaxObserver,
    PlaceholderObserver,
    default_debug_observer,
    default_dynamic_quant_observer,
    default_float_qparams_observer,
    default_float_qparams_observer_4bit,
    default_observer,
    default_per_channel_weight_observer,
    default_placeholder_observer,
    default_reuse_input_observer,
    default_weight_observer,
    per_channel_weight_observer_range_neg_127_to_127,
    weight_observer_range_neg_127_to_127,
)

__all__ = [
    "QConfig",
    "QConfigAny",
    "QConfigDynamic",
    "activation_is_memoryless",
    "add_module_to_qconfig_obs_ctr",
    "assert_valid_qconfig",
    "default_activation_only_qconfig",
    "default_debug_qconfig",
    "default_dynamic_qat_qconfig",
    "default_dynamic_qconfig",
    "default_embedding_qat_qconfig",
    "default_embedding_qat_qconfig_4bit",
    "default_per_channel_qconfig",
    "default_per_channel_symmetric_qnnpack_qat_qconfig",
    "default_per_channel_symmetric_qnnpack_qconfig",
    "default_qat_qconfig",
    "default_qat_qconfig_v2",
    "default_qconfig",
    "default_quint8_weight_qconfig",
    "default_reuse_input_qconfig",
    "default_symmetric_qnnpack_qat_qconfig",
    "default_symmetric_qnnpack_qconfig",
    "default_weight_only_qconfig",
    "float16_dynamic_qconfig",
    "float16_static_qconfig",
    "float_qparams_weight_only_qconfig",
    "float_qparams_weight_only_qconfig_4bit",
    "get_default_qat_qconfig",
    "get_default_qat_qconfig_dict",
    "get_default_qconfig",
    "get_default_qconfig_dict",
    "obs_or_fq_ctr_equals",
    "per_channel_dynamic_qconfig",
    "qconfig_equals",
]


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


class QConfigDynamic(QConfig):
    """A ``QConfig`` with defaults, for dynamic quantization, which looks at the weight only.

    Args:
        activation: as in ``QConfig``.
        weight: as in ``QConfig``.
    """

    __slots__ = ()

    def __new__(cls, activation: Any = nn.Identity, weight: Any = nn.Identity) -> "QConfigDynamic":
        return super().__new__(cls, activation, weight)


QConfigAny = QConfig | None

_signed_histogram = HistogramObserver.with_args(dtype=qint8, reduce_range=False, eps=2**-12)
_float16 = PlaceholderObserver.with_args(dtype=torch.float16)

default_qconfig = QConfig(activation=default_observer, weight=default_weight_observer)
default_debug_qconfig = QConfig(activation=default_debug_observer, weight=default_weight_observer)
default_per_channel_qconfig = QConfig(activation=default_observer, weight=default_per_channel_weight_observer)
default_dynamic_qconfig = QConfig(activation=default_dynamic_quant_observer, weight=default_weight_observer)
per_channel_dynamic_qconfig = QConfig(
    activation=default_dynamic_quant_observer, weight=default_per_channel_weight_observer
)
float16_dynamic_qconfig = QConfig(activation=_float16.with_args(is_dynamic=True), weight=_float16)
float16_static_qconfig = QConfig(activation=_float16, weight=_float16)
float_qparams_weight_only_qconfig = QConfig(
    activation=default_placeholder_observer, weight=default_float_qparams_observer
)
float_qparams_weight_only_qconfig_4bit = QConfig(
    activation=default_placeholder_observer, weight=default_float_qparams_observer_4bit
)
default_reuse_input_qconfig = QConfig(activation=default_reuse_input_observer, weight=NoopObserver)
default_symmetric_qnnpack_qconfig = QConfig(activation=_signed_histogram, weight=weight_observer_range_neg_127_to_127)
default_per_channel_symmetric_qnnpack_qconfig = QConfig(
    activation=_signed_histogram, weight=per_channel_weight_observer_range_neg_127_to_127
)
default_quint8_weight_qconfig = QConfig(activation=HistogramObserver, weight=MinMaxObserver)

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


def get_default_qconfig_dict(backend: str | None = None, version: int = 0) -> dict[str, Any]:
    """Returns ``get_default_qconfig_mapping(backend, version)`` as a dictionary.

    Args:
        backend: see ``get_default_qconfig``.
        version: 0, the only one.

    Raises:
        ValueError: for another backend or version.
    """
    # A mapping is made of qconfigs, so its module imports this one.
    from torchq.quantization.qconfig_mapping import get_default_qconfig_mapping

    return get_default_qconfig_mapping(backend, version).to_dict()


def check_qconfig(qconfig: Any, place: str) -> QConfigAny:
    """Returns a qconfig, having checked that it is one.

    Args:
        qconfig: a ``QConfig``, or None, which leaves a module in float.
        place: whose it is, for the message.

    Raises:
        TypeError: if it is neither.
    """
    if not (qconfig is None or isinstance(qconfig, QConfig)):
        raise TypeError(f"the qconfig of {place} must be a torchq.quantization.QConfig, got {qconfig!r}")
    return qconfig


def assert_valid_qconfig(qconfig: QConfigAny, mod: nn.Module) -> None:
    """Checks that a module can be quantized as a qconfig says.

    Args:
        qconfig: the qconfig, or None.
        mod: the module.

    Raises:
        ValueError: if a transposed convolution is to have a scale per channel of its weight.
    """
    transposed = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
    if qconfig is None or qconfig.weight is None or not isinstance(mod, transposed):
        return
    observer = qconfig.weight()
    if isinstance(observer, PerChannelMinMaxObserver):
        raise ValueError(f"a {type(mod).__name__} takes one scale for its weight, got a {type(observer).__name__}")


def add_module_to_qconfig_obs_ctr(qconfig: QConfigAny, module: nn.Module | None) -> QConfigAny:
    """Returns a qconfig whose observers are made on the device of a module, where their class takes a device.

    ``prepare`` needs none of this: it moves each observer to its module.

    Args:
        qconfig: the qconfig, or None.
        module: its parameters and buffers are looked at whenever an observer is made.
    """
    if qconfig is None or module is None:
        return qconfig

    def factory_kwargs() -> dict[str, torch.device] | None:
        device = next((tensor.device for tensor in (*module.parameters(), *module.buffers())), None)
        return None if device is None else {"device": device}

    def placed(factory: Any) -> Any:
        if not hasattr(factory, "with_callable_args"):
            return factory
        try:
            factory(factory_kwargs=None)
        except TypeError:  # the class has no such argument
            return factory
        return factory.with_callable_args(factory_kwargs=factory_kwargs)

    return QConfig(placed(qconfig.activation), placed(qconfig.weight))


def qconfig_equals(q1: QConfigAny, q2: QConfigAny) -> bool:
    """Returns whether two qconfigs make the same observers.

    Arguments that are made anew for each observer (``with_callable_args``) are not compared.

    Args:
        q1: a qconfig, or None.
        q2: another.

    Example:
        >>> qconfig_equals(get_default_qconfig("x86"), get_default_qconfig("fbgemm"))
        True
    """
    if q1 is None or q2 is None:
        return q1 is q2
    return obs_or_fq_ctr_equals(q1.activation, q2.activation) and obs_or_fq_ctr_equals(q1.weight, q2.weight)


def obs_or_fq_ctr_equals(obs_or_fq1: Any, obs_or_fq2: Any) -> bool:
    """Returns whether two observer classes, or what ``with_args`` returned, make the same observers.

    Args:
        obs_or_fq1: of a qconfig: its activation or weight.
        obs_or_fq2: that of another.
    """
    if not (isinstance(obs_or_fq1, ObserverFactory) and isinstance(obs_or_fq2, ObserverFactory)):
        return obs_or_fq1 == obs_or_fq2
    first, second = obs_or_fq1.arguments, obs_or_fq2.arguments
    return (
        obs_or_fq1.target == obs_or_fq2.target
        and first.keys() == second.keys()
        and all(obs_or_fq_ctr_equals(first[name], second[name]) for name in first)
    )


def activation_is_memoryless(qconfig: QConfig) -> bool:
    """Returns whether the observer of activations remembers the newest tensor alone.

    That is a moving average with ``averaging_constant=1``, by itself or within a fake quantizer.

    Args:
        qconfig: the qconfig.
    """
    observer = qconfig.activation()
    observer = getattr(observer, "activation_post_process", observer)
    return getattr(observer, "averaging_constant", None) == 1


# torch.ao had the plain names first, and has these now.
_activation_is_memoryless = activation_is_memoryless
_add_module_to_qconfig_obs_ctr = add_module_to_qconfig_obs_ctr
_assert_valid_qconfig = assert_valid_qconfig
_obs_or_fq_ctr_equals = obs_or_fq_ctr_equals
default_qat_qconfig = QConfig(activation=default_fake_quant, weight=default_weight_fake_quant)
default_qat_qconfig_v2 = QConfig(activation=default_fused_act_fake_quant, weight=default_fused_wt_fake_quant)
default_dynamic_qat_qconfig = QConfig(activation=default_dynamic_fake_quant, weight=default_weight_fake_quant)
default_weight_only_qconfig = QConfig(activation=nn.Identity, weight=default_weight_fake_quant)
default_activation_only_qconfig = QConfig(activation=default_fake_quant, weight=nn.Identity)
default_embedding_qat_qconfig = QConfig(
    activation=NoopObserver.with_args(dtype=torch.float32), weight=default_embedding_fake_quant
)
default_embedding_qat_qconfig_4bit = QConfig(
    activation=NoopObserver.with_args(dtype=torch.float32), weight=default_embedding_fake_quant_4bit
)
_symmetric_qnnpack_activation = FusedMovingAvgObsFakeQuantize.with_args(
    observer=MovingAverageMinMaxObserver, quant_min=-128, quant_max=127, dtype=qint8, reduce_range=False, eps=2**-12
)
default_symmetric_qnnpack_qat_qconfig = QConfig(
    activation=_symmetric_qnnpack_activation, weight=fused_wt_fake_quant_range_neg_127_to_127
)
default_per_channel_symmetric_qnnpack_qat_qconfig = QConfig(
    activation=_symmetric_qnnpack_activation, weight=fused_per_channel_wt_fake_quant_range_neg_127_to_127
)

# Version -> (activations, weights per tensor, weights per channel), as torch.ao has them.
_QAT_VERSIONS = {
    0: (FakeQuantize, default_weight_fake_quant, default_per_channel_weight_fake_quant),
    1: (FusedMovingAvgObsFakeQuantize, default_fused_wt_fake_quant, default_fused_per_channel_wt_fake_quant),
}
# Backend name -> (reduce_range of the activations, whether weights have a scale per channel), as torch.ao has them.
_QAT_BACKENDS = {"fbgemm": (True, True), "x86": (True, True), "onednn": (False, True), "qnnpack": (False, False)}


def get_default_qat_qconfig(backend: str | None = None, version: int = 1) -> QConfig:
    """Returns the settings for quantization-aware training.

    Without a backend they are torchq's own: moving averages of the range on the full 8 bits (``quint8``) for
    activations, and symmetric ``qint8`` per output channel for weights, whose range is that of the present weight,
    so that none of it is cut off. A backend's name gives torch.ao's settings for it, where the range of a weight is a
    moving average too; the default argument is ``"x86"`` there, with 7-bit activations.

    Args:
        backend: None, ``"fbgemm"``, ``"x86"``, ``"onednn"`` or ``"qnnpack"``.
        version: 1 for ``FusedMovingAvgObsFakeQuantize``, 0 for ``FakeQuantize``; both compute the same.

    Raises:
        ValueError: for another backend or version.

    Example:
        >>> get_default_qat_qconfig().activation().activation_post_process.quant_max
        255
    """
    if version not in _QAT_VERSIONS:
        raise ValueError(f"version must be 0 or 1, got {version!r}")
    activation, per_tensor, per_channel = _QAT_VERSIONS[version]
    arguments = {"observer": MovingAverageMinMaxObserver, "quant_min": 0, "quant_max": 255}
    if backend is None:
        return QConfig(activation.with_args(**arguments), per_channel.with_args(averaging_constant=1))
    if backend not in _QAT_BACKENDS:
        raise ValueError(f"backend must be None or one of {', '.join(map(repr, _QAT_BACKENDS))}, got {backend!r}")
    reduce_range, weight_per_channel = _QAT_BACKENDS[backend]
    return QConfig(
        activation.with_args(**arguments, reduce_range=reduce_range), per_channel if weight_per_channel else per_tensor
    )


def get_default_qat_qconfig_dict(backend: str | None = None, version: int = 1) -> dict[str, Any]:
    """Returns ``get_default_qat_qconfig_mapping(backend, version)`` as a dictionary.

    Args:
        backend: see ``get_default_qat_qconfig``.
        version: 0 or 1.

    Raises:
        ValueError: for another backend or version.
    """
    # As get_default_qconfig_dict.
    from torchq.quantization.qconfig_mapping import get_default_qat_qconfig_mapping

    return get_default_qat_qconfig_mapping(backend, version).to_dict()
