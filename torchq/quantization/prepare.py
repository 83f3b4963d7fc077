"""prepare: qconfigs and observers for a float model."""

import copy
from collections.abc import Collection, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.utils.parametrize import type_before_parametrizations

from torchq.nn.intrinsic import FusedModule
from torchq.nn.qat import QATModule
from torchq.nn.quantized import FloatFunctional
from torchq.quantization.custom_modules import (
    CLASSES_LEFT,
    FLOAT_TO_OBSERVED,
    NAMES_LEFT,
    CustomMapping,
    checked_config,
    reads_its_weights,
)
from torchq.quantization.hooks import add_observer, has_observer, move_forward_hooks, move_forward_pre_hooks
from torchq.quantization.observer import ObserverBase
from torchq.quantization.qconfig import QConfigAny, check_qconfig
from torchq.quantization.qconfig_mapping import QConfigMapping
from torchq.quantization.quantization_mappings import (
    DEFAULT_MODULE_TO_ACT_POST_PROCESS,
    get_default_qconfig_propagation_list,
    no_observer_set,
)
from torchq.quantization.stubs import DeQuantStub
from torchq.quantization.utils import has_no_children_ignoring_parametrizations

QConfigDict = dict[str | type[nn.Module], QConfigAny]


# Their outputs are their inputs, or no longer quantized.
_UNOBSERVED = (DeQuantStub, nn.Dropout)


def propagate_qconfig_(
    module: nn.Module,
    qconfig_dict: QConfigDict | QConfigMapping | None = None,
    prepare_custom_config_dict: dict[str, Any] | None = None,
) -> None:
    """Gives every module of a model its ``qconfig``, in place.

    A module's own attribute comes first (None means: leave it in float), then its name's entry in
    ``qconfig_dict``, then its type's, then the enclosing module's qconfig. In a ``QConfigMapping``, a name's entry is
    for all that is inside too, patterns of names come before types, and the global qconfig is what the model inherits.

    Args:
        module: the model.
        qconfig_dict: qualified names or types to qconfigs, or a mapping. Entries of a mapping that are for functions
            mean nothing here.
        prepare_custom_config_dict: its entries ``"non_traceable_module_name"``, qualified names, and
            ``"non_traceable_module_class"``, types, say which modules are left in float, with all that is inside.

    Raises:
        TypeError: if ``module`` is no module, or a qconfig no ``QConfig``.
        ValueError: if a name in ``qconfig_dict`` is no module of the model, or a mapping has entries for the order of
            calls, which is not known here; if ``prepare_custom_config_dict`` has unknown keys.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"expected a module, got {module!r}")
    config = checked_config("prepare_custom_config_dict", prepare_custom_config_dict)
    left = (set(config.get(NAMES_LEFT, ())), set(config.get(CLASSES_LEFT, ())))
    qconfig_dict = {} if qconfig_dict is None else qconfig_dict
    is_mapping = isinstance(qconfig_dict, QConfigMapping)
    if is_mapping and qconfig_dict.module_name_object_type_order_qconfigs:
        raise ValueError(
            "modules are prepared without knowing the order of their calls, so there is no place for "
            f"{', '.join(map(str, qconfig_dict.module_name_object_type_order_qconfigs))}"
        )
    names = dict(module.named_modules(remove_duplicate=False))
    given = qconfig_dict.module_name_qconfigs if is_mapping else qconfig_dict
    unknown = [key for key in given if isinstance(key, str) and key not in names]
    if unknown:
        raise ValueError(f"no such module in {type(module).__name__}: {', '.join(map(repr, unknown))}")
    _propagate(module, qconfig_dict, qconfig_dict.global_qconfig if is_mapping else None, "", left)


def _propagate(
    module: nn.Module,
    qconfig_dict: QConfigDict | QConfigMapping,
    inherited: QConfigAny,
    name: str,
    left: tuple[set[str], set[type[nn.Module]]],
) -> None:
    kind = type_before_parametrizations(module)
    if isinstance(qconfig_dict, QConfigMapping):
        qconfig = qconfig_dict.module_qconfig(name, kind, inherited)
    else:
        qconfig = qconfig_dict.get(name, qconfig_dict.get(kind, inherited))
    qconfig = check_qconfig(getattr(module, "qconfig", qconfig), repr(name or type(module).__name__))
    module.qconfig = qconfig
    for key, child in module.named_children():
        label = f"{name}.{key}" if name else key
        if label in left[0] or type(child) in left[1]:
            for part in child.modules():
                part.qconfig = getattr(part, "qconfig", None)
        else:
            _propagate(child, qconfig_dict, qconfig, label, left)


def prepare(
    model: nn.Module,
    inplace: bool = False,
    allow_list: Collection[type[nn.Module]] | None = None,
    observer_non_leaf_module_list: Collection[type[nn.Module]] | None = None,
    prepare_custom_config_dict: dict[str, Any] | None = None,
) -> nn.Module:
    """Adds observers to a model whose modules have a ``qconfig``; the next step is to run calibration data.

    An observer watches a module's output, through a forward hook that goes before the module's other hooks; what was
    made for dynamic quantization-aware training has its input observed. Modules whose qconfig is None stay as they are,
    and so do those that give a fixed scale and zero point, a sigmoid for one, unless the model is in training mode.

    Args:
        model: float, in eval mode for post-training quantization.
        inplace: change ``model`` instead of a copy.
        allow_list: types of leaf modules to observe; those that ``convert`` knows by default.
        observer_non_leaf_module_list: types to observe though they have children.
        prepare_custom_config_dict: its entry ``"float_to_observed_custom_module_class"`` maps types of the user's own
            modules to types that can be observed, made by their ``from_float``; see also ``propagate_qconfig_``.

    Returns:
        The model with observers: ``model`` itself if ``inplace``, else a copy.

    Raises:
        ValueError: if no module has a qconfig, if a fused module has one but no quantized counterpart, or if the
            model has observers already; if ``prepare_custom_config_dict`` has unknown keys.

    Example:
        >>> model = nn.Sequential(torchq.quantization.QuantStub(), nn.Linear(4, 2), DeQuantStub()).eval()
        >>> model.qconfig = torchq.quantization.get_default_qconfig()
        >>> prepared = prepare(model)
        >>> for batch in torch.randn(8, 16, 4):
        ...     _ = prepared(batch)
        >>> torchq.quantization.convert(prepared)(torch.randn(1, 4)).shape
        torch.Size([1, 2])
    """
    config = checked_config("prepare_custom_config_dict", prepare_custom_config_dict)
    if not inplace:
        model = copy.deepcopy(model)
    propagate_qconfig_(model, prepare_custom_config_dict=config)
    if all(module.qconfig is None for module in model.modules()):
        raise ValueError(
            f"no module of {type(model).__name__} has a qconfig: set model.qconfig = get_default_qconfig(), "
            "or that of some submodules, before prepare"
        )
    if any(has_observer(module) for module in model.modules()):
        raise ValueError(f"{type(model).__name__} has observers already: prepare the float model")
    model, custom = _with_custom_modules(model, config.get(FLOAT_TO_OBSERVED, {}), inplace)
    observed = get_default_qconfig_propagation_list() if allow_list is None else set(allow_list)
    containers = set(observer_non_leaf_module_list or ())
    for name, module in list(_observed_modules(model, observed, containers, custom)):
        if module.qconfig is None or isinstance(module, (*_UNOBSERVED, *no_observer_set())):
            continue
        if isinstance(module, FusedModule) and type(module) not in observed | containers:
            raise ValueError(
                f"{name!r} is a {type(module).__name__}, which cannot be quantized: fold batch norm with fuse_modules "
                "in eval mode, train it with prepare_qat, or set its qconfig to None"
            )
        fixed = DEFAULT_MODULE_TO_ACT_POST_PROCESS.get(type_before_parametrizations(module))
        observer = module.qconfig.activation() if fixed is None else fixed()
        label = name or type(model).__name__
        name_observers(module, f"{label}.weight")
        name_observers(observer, label)
        observer.to(device_of(module) or device_of(model))
        add_observer(module, observer)
    return model


def _with_custom_modules(model: nn.Module, mapping: CustomMapping, inplace: bool) -> tuple[nn.Module, set[nn.Module]]:
    """Puts observed modules in the place of the user's own, and returns the model and them."""
    observed: dict[nn.Module, nn.Module] = {}
    for name, module in model.named_modules():
        kind = type_before_parametrizations(module)
        if kind in mapping and module.qconfig is not None:
            observed[module] = mapping[kind].from_float(module)
            for part in observed[module].modules():
                part.qconfig = getattr(part, "qconfig", module.qconfig)
            prefix_observers(observed[module], name)
    if inplace and model in observed:
        raise ValueError(f"a {type(model).__name__} cannot be replaced in place: use inplace=False and its result")
    for module, replacement in observed.items():
        move_forward_pre_hooks(module, replacement)
        move_forward_hooks(module, replacement)
    for parent in list(model.modules()):
        for key, child in parent._modules.items():
            parent._modules[key] = observed.get(child, child)
    return observed.get(model, model), set(observed.values())


def name_observers(module: nn.Module, name: str) -> None:
    """Tells an observer, or those in a fake quantizer, what they observe."""
    for part in module.modules():
        if isinstance(part, ObserverBase):
            part.module_name = name


def prefix_observers(module: nn.Module, name: str) -> None:
    """Tells observers that know their place in a module where that is in the model."""
    for part in module.modules():
        if isinstance(part, ObserverBase) and part.module_name and name:
            part.module_name = f"{name}.{part.module_name}"


def _observed_modules(
    model: nn.Module, observed: set[type[nn.Module]], containers: set[type[nn.Module]], custom: set[nn.Module]
) -> Iterator[tuple[str, nn.Module]]:
    """Yields names and modules whose output is observed, each module once; their insides are not searched."""
    inside: set[nn.Module] = set()
    for name, module in model.named_modules():
        if module in inside:
            continue
        if reads_its_weights(module):
            inside.update(module.modules())
            continue
        kind = type_before_parametrizations(module)
        unit = isinstance(module, FloatFunctional | FusedModule | QATModule) or kind in containers or module in custom
        fixed = module.training and kind in DEFAULT_MODULE_TO_ACT_POST_PROCESS
        if unit or fixed or (has_no_children_ignoring_parametrizations(module) and kind in observed):
            inside.update(module.modules())
            yield name, module


def device_of(module: nn.Module) -> torch.device | None:
    """Returns the device that a module's tensors are on, None if it has none.

    Raises:
        ValueError: if they are on several.
    """
    devices = {tensor.device for tensor in (*module.parameters(), *module.buffers())}
    if len(devices) > 1:
        raise ValueError(
            f"a {type(module).__name__} on several devices cannot be quantized: {sorted(map(str, devices))}"
        )
    return next(iter(devices), None)
