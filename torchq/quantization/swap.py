"""Modules and their quantized counterparts: making them, and putting them in their places."""

import contextlib
import inspect
from collections.abc import Collection, Iterator

from torch import nn
from torch.nn.utils.parametrize import type_before_parametrizations

from torchq.nn.quantized.reference import ReferenceQuantizedModule
from torchq.quantization.custom_modules import CustomMapping, reads_its_weights
from torchq.quantization.hooks import move_forward_hooks, move_forward_pre_hooks, remove_observer
from torchq.quantization.prepare import device_of
from torchq.quantization.quantization_mappings import ModuleMapping
from torchq.quantization.utils import get_qparam_dict


def swap_module(
    mod: nn.Module,
    mapping: ModuleMapping,
    custom_module_class_mapping: CustomMapping | None = None,
    use_precomputed_fake_quant: bool = False,
) -> nn.Module:
    """Returns the quantized counterpart of a module, with its hooks, or the module itself if it has none.

    Args:
        mod: a module, calibrated where its counterpart needs it.
        mapping: float types to quantized types, which have a ``from_float``.
        custom_module_class_mapping: observed types to quantized types, which have a ``from_observed``; go before
            ``mapping``.
        use_precomputed_fake_quant: see ``convert``.
    """
    swapped = _counterpart(mod, mapping, custom_module_class_mapping or {}, use_precomputed_fake_quant)
    if swapped is None:
        return mod
    _move_hooks(mod, swapped)
    return swapped


def _counterpart(
    mod: nn.Module, mapping: ModuleMapping, custom: CustomMapping, use_precomputed_fake_quant: bool
) -> nn.Module | None:
    kind = type_before_parametrizations(mod)
    if getattr(mod, "qconfig", None) is None or kind not in {*mapping, *custom}:
        return None
    if kind in custom:
        swapped = custom[kind].from_observed(mod)
    elif issubclass(mapping[kind], ReferenceQuantizedModule):
        observer = mod.qconfig.weight().to(mod.weight.device)
        observer(mod.weight.detach())
        swapped = mapping[kind].from_float(mod, get_qparam_dict(observer))
    elif "use_precomputed_fake_quant" in inspect.signature(mapping[kind].from_float).parameters:
        swapped = mapping[kind].from_float(mod, use_precomputed_fake_quant=use_precomputed_fake_quant)
    else:
        swapped = mapping[kind].from_float(mod)
    return swapped.train(mod.training).to(device_of(mod))


def _move_hooks(source: nn.Module, target: nn.Module) -> None:
    move_forward_pre_hooks(source, target)
    move_forward_hooks(source, target)


def replacements_of(
    model: nn.Module,
    mapping: ModuleMapping,
    custom: CustomMapping | None = None,
    use_precomputed_fake_quant: bool = False,
    later: Collection[type[nn.Module]] = (),
) -> dict[nn.Module, nn.Module]:
    """Returns the counterpart of each module that has one; insides of those are left alone.

    It is an error if there are none, unless a module of one of the types ``later`` will be replaced in another step.
    """
    custom = custom or {}
    replacements: dict[nn.Module, nn.Module] = {}
    inside: set[nn.Module] = set()
    for name, module in model.named_modules():
        if module in inside:
            continue
        with naming(name):
            swapped = _counterpart(module, mapping, custom, use_precomputed_fake_quant)
        if swapped is not None:
            replacements[module] = swapped
        if swapped is not None or reads_its_weights(module):
            inside.update(module.modules())
    waiting = any(type_before_parametrizations(m) in later and m.qconfig is not None for m in model.modules())
    if not (replacements or waiting):
        raise ValueError(
            f"found nothing to quantize in {type(model).__name__}: no module of type "
            f"{', '.join(sorted(t.__name__ for t in {*mapping, *custom}))} has a qconfig"
        )
    return replacements


def with_replacements(
    model: nn.Module, replacements: dict[nn.Module, nn.Module], inplace: bool, remove_qconfig: bool
) -> nn.Module:
    """Returns the model with the counterparts of its modules in their places.

    Args:
        model: is changed, unless it has a counterpart itself, which is returned then.
        replacements: what ``replacements_of`` returned.
        inplace: whether the model itself has to be returned.
        remove_qconfig: also take off the qconfigs and the observers that are left.

    Raises:
        ValueError: if the model itself has a counterpart, and ``inplace``.
    """
    if model in replacements:
        if inplace:
            raise ValueError(f"a {type(model).__name__} cannot be replaced in place: use inplace=False and its result")
        _move_hooks(model, replacements[model])
        return replacements[model]
    for module, swapped in replacements.items():
        _move_hooks(module, swapped)
    for encoder in model.modules():
        if isinstance(encoder, nn.TransformerEncoder) and not replacements.keys().isdisjoint(encoder.modules()):
            # A nested tensor serves torch's fused path only, and quantized layers do not take one.
            encoder.use_nested_tensor = False
    for parent in list(model.modules()):
        for key, child in parent._modules.items():
            if child in replacements:
                parent._modules[key] = replacements[child]
                if isinstance(parent, nn.TransformerEncoderLayer):
                    # torch's fused path reads the float weights itself; without an activation it knows it steps aside.
                    parent.activation_relu_or_gelu = 0
    if remove_qconfig:
        for module in model.modules():
            module.__dict__.pop("qconfig", None)
            remove_observer(module)
    return model


@contextlib.contextmanager
def naming(name: str) -> Iterator[None]:
    """Puts a module's qualified name before the messages of errors raised inside."""
    try:
        yield
    except (RuntimeError, TypeError, ValueError) as error:
        kind = next(kind for kind in (RuntimeError, TypeError, ValueError) if isinstance(error, kind))
        raise kind(f"cannot convert {name or 'the model'!r}: {error}") from error
