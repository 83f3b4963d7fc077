"""prepare: qconfigs and observers for a float model."""

import copy
from collections.abc import Collection, Iterator

import torch
from torch import nn
from torch.nn.utils.parametrize import type_before_parametrizations

from torchq.nn.intrinsic import FusedModule
from torchq.nn.qat import QATModule
from torchq.nn.quantized import FloatFunctional
from torchq.quantization.hooks import add_observer, has_observer
from torchq.quantization.observer import ObserverBase
from torchq.quantization.qconfig import QConfigAny, check_qconfig
from torchq.quantization.qconfig_mapping import QConfigMapping
from torchq.quantization.quantization_mappings import get_default_qconfig_propagation_list
from torchq.quantization.stubs import DeQuantStub
from torchq.quantization.utils import has_no_children_ignoring_parametrizations

QConfigDict = dict[str | type[nn.Module], QConfigAny]


def propagate_qconfig_(module: nn.Module, qconfig_dict: QConfigDict | QConfigMapping | None = None) -> None:
    """Gives every module of a model its ``qconfig``, in place.

    A module's own attribute comes first (None means: leave it in float), then its name's entry in
    ``qconfig_dict``, then its type's, then the enclosing module's qconfig. In a ``QConfigMapping``, a name's entry is
    for all that is inside too, patterns of names come before types, and the global qconfig is what the model inherits.

    Args:
        module: the model.
        qconfig_dict: qualified names or types to qconfigs, or a mapping. Entries of a mapping that are for functions
            mean nothing here.

    Raises:
        TypeError: if a qconfig is no ``QConfig``.
        ValueError: if a name in ``qconfig_dict`` is no module of the model, or a mapping has entries for the order of
            calls, which is not known here.
    """
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
    _propagate(module, qconfig_dict, qconfig_dict.global_qconfig if is_mapping else None, "")


def _propagate(module: nn.Module, qconfig_dict: QConfigDict | QConfigMapping, inherited: QConfigAny, name: str) -> None:
    kind = type_before_parametrizations(module)
    if isinstance(qconfig_dict, QConfigMapping):
        qconfig = qconfig_dict.module_qconfig(name, kind, inherited)
    else:
        qconfig = qconfig_dict.get(name, qconfig_dict.get(kind, inherited))
    qconfig = check_qconfig(getattr(module, "qconfig", qconfig), repr(name or type(module).__name__))
    module.qconfig = qconfig
    for key, child in module.named_children():
        _propagate(child, qconfig_dict, qconfig, f"{name}.{key}" if name else key)


def prepare(
    model: nn.Module,
    inplace: bool = False,
    allow_list: Collection[type[nn.Module]] | None = None,
    observer_non_leaf_module_list: Collection[type[nn.Module]] | None = None,
) -> nn.Module:
    """Adds observers to a model whose modules have a ``qconfig``; the next step is to run calibration data.

    An observer watches a module's output, through a forward hook that goes before the module's other hooks; what was
    made for dynamic quantization-aware training has its input observed. Modules whose qconfig is None stay as they are.

    Args:
        model: float, in eval mode for post-training quantization.
        inplace: change ``model`` instead of a copy.
        allow_list: types of leaf modules to observe; those that ``convert`` knows by default.
        observer_non_leaf_module_list: types to observe though they have children.

    Returns:
        The model with observers: ``model`` itself if ``inplace``, else a copy.

    Raises:
        ValueError: if no module has a qconfig, if a fused module has one but no quantized counterpart, or if the
            model has observers already.

    Example:
        >>> model = nn.Sequential(torchq.quantization.QuantStub(), nn.Linear(4, 2), DeQuantStub()).eval()
        >>> model.qconfig = torchq.quantization.get_default_qconfig()
        >>> prepared = prepare(model)
        >>> for batch in torch.randn(8, 16, 4):
        ...     _ = prepared(batch)
        >>> torchq.quantization.convert(prepared)(torch.randn(1, 4)).shape
        torch.Size([1, 2])
    """
    if not inplace:
        model = copy.deepcopy(model)
    propagate_qconfig_(model)
    if all(module.qconfig is None for module in model.modules()):
        raise ValueError(
            f"no module of {type(model).__name__} has a qconfig: set model.qconfig = get_default_qconfig(), "
            "or that of some submodules, before prepare"
        )
    if any(has_observer(module) for module in model.modules()):
        raise ValueError(f"{type(model).__name__} has observers already: prepare the float model")
    observed = get_default_qconfig_propagation_list() if allow_list is None else set(allow_list)
    containers = set(observer_non_leaf_module_list or ())
    for name, module in list(_observed_modules(model, observed, containers)):
        if module.qconfig is None or isinstance(module, DeQuantStub):
            continue
        if isinstance(module, FusedModule) and type(module) not in observed | containers:
            raise ValueError(
                f"{name!r} is a {type(module).__name__}, which cannot be quantized: fold batch norm with fuse_modules "
                "in eval mode, train it with prepare_qat, or set its qconfig to None"
            )
        observer = module.qconfig.activation()
        label = name or type(model).__name__
        _name_observers(module, f"{label}.weight")
        _name_observers(observer, label)
        observer.to(device_of(module) or device_of(model))
        add_observer(module, observer)
    return model


def _name_observers(module: nn.Module, name: str) -> None:
    """Tells an observer, or those in a fake quantizer, what they observe."""
    for part in module.modules():
        if isinstance(part, ObserverBase):
            part.module_name = name


def _observed_modules(
    model: nn.Module, observed: set[type[nn.Module]], containers: set[type[nn.Module]]
) -> Iterator[tuple[str, nn.Module]]:
    """Yields names and modules whose output is observed, each module once; their insides are not searched."""
    inside: set[nn.Module] = set()
    for name, module in model.named_modules():
        if module in inside:
            continue
        kind = type_before_parametrizations(module)
        unit = isinstance(module, FloatFunctional | FusedModule | QATModule) or kind in containers
        if unit or (has_no_children_ignoring_parametrizations(module) and kind in observed):
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
