"""QConfigMapping: which qconfig which part of a model gets."""

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from torchq.quantization.fake_quantize import FixedQParamsFakeQuantize, default_weight_fake_quant
from torchq.quantization.observer import (
    ObserverFactory,
    default_fixed_qparams_range_0to1_observer,
    default_fixed_qparams_range_neg1to1_observer,
    default_placeholder_observer,
    default_weight_observer,
)
from torchq.quantization.qconfig import (
    QConfig,
    QConfigAny,
    check_qconfig,
    default_quint8_weight_qconfig,
    default_reuse_input_qconfig,
    get_default_qat_qconfig,
    get_default_qconfig,
)

__all__ = ["QConfigMapping", "get_default_qat_qconfig_mapping", "get_default_qconfig_mapping"]

# A module type, a function, or the name of a tensor's method.
ObjectType = Callable[..., Any] | str

_FIXED_QPARAMS: dict[ObserverFactory, tuple[ObjectType, ...]] = {
    default_fixed_qparams_range_0to1_observer: (
        *(nn.Hardsigmoid, F.hardsigmoid, "hardsigmoid", "hardsigmoid_"),
        *(nn.Sigmoid, torch.sigmoid, "sigmoid", "sigmoid_", nn.Softmax),
    ),
    default_fixed_qparams_range_neg1to1_observer: (nn.Tanh, torch.tanh, "tanh", "tanh_"),
}
_TRANSPOSED = (
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    *(F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d),
)
# Key of a dictionary -> the attribute with its entries.
_STYLES = {
    "object_type": "object_type_qconfigs",
    "module_name_regex": "module_name_regex_qconfigs",
    "module_name": "module_name_qconfigs",
    "module_name_object_type_order": "module_name_object_type_order_qconfigs",
}


class QConfigMapping:
    """Qconfigs for a model's modules and functions, by what they are and where they stand.

    Of the entries that fit, the one set by the last of these methods counts: ``set_global``, ``set_object_type``,
    ``set_module_name_regex``, ``set_module_name``, ``set_module_name_object_type_order``. Each of them returns the
    mapping; an entry for the same key replaces the one before it. None as a qconfig means: leave it in float.

    Attributes:
        global_qconfig: for everything that no other entry fits.
        object_type_qconfigs: module types, functions and names of methods to qconfigs.
        module_name_regex_qconfigs: patterns, in the order in which they are tried, to qconfigs.
        module_name_qconfigs: qualified names of modules to qconfigs.
        module_name_object_type_order_qconfigs: (name of a module, type, index) to qconfigs.

    Example:
        >>> mapping = QConfigMapping().set_global(default_qconfig).set_object_type(nn.Linear, None)
        >>> model = nn.Sequential(QuantStub(), nn.Linear(4, 2))
        >>> propagate_qconfig_(model, mapping)
        >>> [module.qconfig is default_qconfig for module in model]
        [True, False]
    """

    def __init__(self) -> None:
        self.global_qconfig: QConfigAny = None
        self.object_type_qconfigs: dict[ObjectType, QConfigAny] = {}
        self.module_name_regex_qconfigs: dict[str, QConfigAny] = {}
        self.module_name_qconfigs: dict[str, QConfigAny] = {}
        self.module_name_object_type_order_qconfigs: dict[tuple[str, ObjectType, int], QConfigAny] = {}

    def set_global(self, global_qconfig: QConfigAny) -> "QConfigMapping":
        """Sets the qconfig for everything that no other entry fits."""
        self.global_qconfig = check_qconfig(global_qconfig, "a whole model")
        return self

    def set_object_type(self, object_type: ObjectType, qconfig: QConfigAny) -> "QConfigMapping":
        """Sets the qconfig for a module type, a function, or a tensor's method, by its name."""
        self.object_type_qconfigs[object_type] = check_qconfig(qconfig, str(object_type))
        return self

    def set_module_name_regex(self, module_name_regex: str, qconfig: QConfigAny) -> "QConfigMapping":
        """Sets the qconfig for modules whose qualified name begins with what a pattern matches.

        The pattern that was set first is tried first.

        Raises:
            re.error: if it is no regular expression.
        """
        re.compile(module_name_regex)
        self.module_name_regex_qconfigs[module_name_regex] = check_qconfig(qconfig, repr(module_name_regex))
        return self

    def set_module_name(self, module_name: str, qconfig: QConfigAny) -> "QConfigMapping":
        """Sets the qconfig for a module, by its qualified name, and for all that is inside."""
        self.module_name_qconfigs[module_name] = check_qconfig(qconfig, repr(module_name))
        return self

    def set_module_name_object_type_order(
        self, module_name: str, object_type: ObjectType, index: int, qconfig: QConfigAny
    ) -> "QConfigMapping":
        """Sets the qconfig for one of the calls that a module makes.

        Args:
            module_name: qualified name of the module in whose forward the call is.
            object_type: the module type, function or method that is called.
            index: which of its calls there, in the order in which they run, from 0.
            qconfig: the qconfig.
        """
        key = (module_name, object_type, index)
        self.module_name_object_type_order_qconfigs[key] = check_qconfig(qconfig, str(key))
        return self

    def module_qconfig(self, module_name: str, module_type: type[nn.Module], otherwise: QConfigAny) -> QConfigAny:
        """Returns the qconfig for a module; entries for the order of calls do not count.

        Args:
            module_name: its qualified name.
            module_type: its type.
            otherwise: what it gets if no entry but the global one fits.
        """
        parts = module_name.split(".") if module_name else []
        for enclosing in (".".join(parts[:count]) for count in range(len(parts), -1, -1)):
            if enclosing in self.module_name_qconfigs:
                return self.module_name_qconfigs[enclosing]
        for pattern, qconfig in self.module_name_regex_qconfigs.items():
            if re.match(pattern, module_name):
                return qconfig
        return self.object_type_qconfigs.get(module_type, otherwise)

    def to_dict(self) -> dict[str, Any]:
        """Returns the entries as lists of tuples.

        Returns:
            The global qconfig under ``""``; under ``"object_type"``, ``"module_name_regex"``, ``"module_name"`` and
            ``"module_name_object_type_order"`` what was given to the methods of those names.
        """
        entries = {key: list(getattr(self, style).items()) for key, style in _STYLES.items()}
        order = "module_name_object_type_order"
        return {"": self.global_qconfig, **entries, order: [(*key, qconfig) for key, qconfig in entries[order]]}

    @classmethod
    def from_dict(cls, qconfig_dict: dict[str, Any]) -> "QConfigMapping":
        """Returns the mapping of which ``to_dict`` gives a dictionary.

        Args:
            qconfig_dict: any of the keys that ``to_dict`` has.

        Raises:
            ValueError: if it has another key.
        """
        unknown = qconfig_dict.keys() - {"", *_STYLES}
        if unknown:
            known = ", ".join(map(repr, ("", *_STYLES)))
            raise ValueError(f"a QConfigMapping has the keys {known}, got {', '.join(sorted(map(repr, unknown)))}")
        mapping = cls().set_global(qconfig_dict.get(""))
        for key in _STYLES:
            for entry in qconfig_dict.get(key, []):
                getattr(mapping, f"set_{key}")(*entry)
        return mapping

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} (", " global_qconfig", f"  {self.global_qconfig}"]
        for style in _STYLES.values():
            lines += [f" {style}", *(f"  {key}: {qconfig}" for key, qconfig in getattr(self, style).items())]
        return "\n".join([*lines, ")"])


def get_default_qconfig_mapping(backend: str | None = None, version: int = 0) -> QConfigMapping:
    """Returns the default qconfigs for static quantization.

    That is ``get_default_qconfig(backend, version)`` for all but these: transposed convolutions get one scale for
    their weight, where the backend's own would be per channel (``"onednn"``'s stays); a layer norm's weight stays in
    float; a ``PReLU`` has a ``quint8`` weight; a sigmoid's, softmax's and tanh's output has fixed qparams; a reshape's
    output keeps those of its input.

    Args:
        backend: None, ``"fbgemm"``, ``"x86"``, ``"onednn"`` or ``"qnnpack"``.
        version: 0, the only one.

    Raises:
        ValueError: for another backend or version.

    Example:
        >>> get_default_qconfig_mapping().object_type_qconfigs[torch.nn.Tanh].activation().calculate_qparams()
        (tensor([0.0078]), tensor([128]))
    """
    fixed = {observer: observer for observer in _FIXED_QPARAMS}
    return _default_mapping(get_default_qconfig(backend, version), backend, default_weight_observer, fixed)


def get_default_qat_qconfig_mapping(backend: str | None = None, version: int = 1) -> QConfigMapping:
    """Returns the default qconfigs for quantization-aware training.

    As ``get_default_qconfig_mapping``, of ``get_default_qat_qconfig(backend, version)``.

    Args:
        backend: None, ``"fbgemm"``, ``"x86"``, ``"onednn"`` or ``"qnnpack"``.
        version: 0 or 1; see ``get_default_qat_qconfig``.

    Raises:
        ValueError: for another backend or version.

    Example:
        >>> get_default_qat_qconfig_mapping().object_type_qconfigs[torch.nn.Tanh].activation()(torch.tensor(2.0))
        tensor(0.9922)
    """
    fixed = {observer: FixedQParamsFakeQuantize.with_args(observer=observer) for observer in _FIXED_QPARAMS}
    return _default_mapping(get_default_qat_qconfig(backend, version), backend, default_weight_fake_quant, fixed)


def _default_mapping(
    qconfig: QConfig, backend: str | None, weight: ObserverFactory, fixed: dict[ObserverFactory, ObserverFactory]
) -> QConfigMapping:
    """Returns the mapping for a backend's qconfig.

    Args:
        qconfig: that one.
        backend: its name.
        weight: what makes an observer with one scale for a weight.
        fixed: the observers with fixed qparams, and what is made for them.
    """
    one_scale = QConfig(activation=qconfig.activation, weight=weight)
    float_weight = QConfig(activation=qconfig.activation, weight=default_placeholder_observer)
    mapping = QConfigMapping().set_global(qconfig).set_object_type("reshape", default_reuse_input_qconfig)
    for transposed in _TRANSPOSED:
        mapping.set_object_type(transposed, qconfig if backend in ("onednn", "qnnpack") else one_scale)
    for norm in (F.layer_norm, nn.LayerNorm):
        mapping.set_object_type(norm, float_weight)
    mapping.set_object_type(nn.PReLU, default_quint8_weight_qconfig)
    for observer, operations in _FIXED_QPARAMS.items():
        fixed_qconfig = QConfig(activation=fixed[observer], weight=weight)
        for operation in operations:
            mapping.set_object_type(operation, fixed_qconfig)
    return mapping
