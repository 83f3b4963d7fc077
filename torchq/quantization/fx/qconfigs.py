"""Which qconfig each call of a traced model gets."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.fx import Graph
from torch.nn.utils.parametrize import type_before_parametrizations

from torchq.nn.intrinsic import FusedModule
from torchq.quantization.fx.match import Modules
from torchq.quantization.qconfig import QConfigAny, qconfig_equals
from torchq.quantization.qconfig_mapping import QConfigMapping

# Name of a node -> qualified name and type of the module that it calls, or that it is in.
Scopes = dict[str, tuple[str, type]]


def node_qconfigs(graph: Graph, mapping: QConfigMapping, scopes: Scopes, modules: Modules) -> dict[str, QConfigAny]:
    """Returns the qconfig of each node, by its name.

    Of the mapping's entries that fit, the first of these counts: the order of calls, the name of the module, a pattern
    for its name, a type, the global one. A call of a function is in the module whose forward it is in, and has that
    one's name; the type of that module comes before the function.

    Args:
        graph: the model's.
        mapping: the qconfigs.
        scopes: where each node stands.
        modules: the model's, by name.

    Raises:
        ValueError: if modules that were fused have different qconfigs for their types, or an entry is for a call that
            is not there.
    """
    calls: Counter[tuple[str, Any]] = Counter()
    qconfigs: dict[str, QConfigAny] = {}
    for node in graph.nodes:
        if node.op == "get_attr":
            owner = node.target.rpartition(".")[0]
            qconfigs[node.name] = mapping.module_qconfig(owner, type(modules.get(owner)), mapping.global_qconfig)
            continue
        if node.op not in ("call_function", "call_method", "call_module"):
            qconfigs[node.name] = None
            continue
        if node.name not in scopes:  # an observer, in a prepared model
            continue
        path, kind = scopes[node.name]
        parent, called, qconfig = path, node.target, None
        if node.op == "call_module":
            # Two calls of a module have the scope of one and the same name; its type is that before fusion.
            parent, called = path.rpartition(".")[0], kind
            qconfig = _of_module(mapping, node.target, kind, modules[node.target])
        else:
            otherwise = mapping.object_type_qconfigs.get(node.target, mapping.global_qconfig)
            qconfig = mapping.module_qconfig(path, kind, otherwise)
        index = calls[parent, called]
        calls[parent, called] += 1
        qconfigs[node.name] = mapping.module_name_object_type_order_qconfigs.get((parent, called, index), qconfig)
    for parent, called, index in mapping.module_name_object_type_order_qconfigs:
        if index not in range(calls[parent, called]):
            raise ValueError(
                f"there is no call {index} of {called} in {parent!r}: a forward there makes {calls[parent, called]} of "
                "them that are not fused into others"
            )
    return qconfigs


def check_names(model: str, names: set[str], mapping: QConfigMapping, further: Iterable[str] = ()) -> None:
    """Checks that what is set for modules by their names is for modules that are there.

    Args:
        model: what the model is called in messages.
        names: qualified names of its modules.
        mapping: the qconfigs.
        further: names that are set elsewhere.

    Raises:
        ValueError: if a name is none of theirs.
    """
    order = (parent for parent, _, _ in mapping.module_name_object_type_order_qconfigs)
    given = dict.fromkeys((*mapping.module_name_qconfigs, *order, *further))
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ValueError(f"no such module in {model}: {', '.join(map(repr, unknown))}")


def _of_module(mapping: QConfigMapping, name: str, traced: type, module: nn.Module) -> QConfigAny:
    """The qconfig of a module: of its type as it is, or as it was before it was fused or made for training."""
    kind = type_before_parametrizations(module)
    types = mapping.object_type_qconfigs
    if kind not in types:
        kind = traced
        if isinstance(module, FusedModule):
            _check_parts(mapping, module)
    return mapping.module_qconfig(name, kind, mapping.global_qconfig)


def _check_parts(mapping: QConfigMapping, fused: FusedModule) -> None:
    types = mapping.object_type_qconfigs
    first, *others = (type_before_parametrizations(part) for part in fused)
    for other in others:
        if other in types and not qconfig_equals(types[other], types.get(first, mapping.global_qconfig)):
            raise ValueError(
                f"{first.__name__} and {other.__name__} are one {type(fused).__name__}, but have different qconfigs; "
                f"set the same for both types, or one for {type(fused).__name__}"
            )


def check_same_qconfigs(prepared: QConfigMapping, given: QConfigMapping) -> None:
    """Checks that a mapping for conversion has a prepared model's entries, or None in their place.

    Raises:
        ValueError: if an entry is missing or differs.
    """
    if not qconfig_equals(prepared.global_qconfig, given.global_qconfig):
        raise ValueError("the global qconfig must be that of the prepared model; leave parts in float by other entries")
    for style in ("object_type_qconfigs", "module_name_regex_qconfigs", "module_name_qconfigs"):
        entries = getattr(given, style)
        for key, qconfig in getattr(prepared, style).items():
            if key not in entries:
                raise ValueError(f"{style} has no entry for {key!r}, which the prepared model was given")
            if entries[key] is not None and not qconfig_equals(entries[key], qconfig):
                raise ValueError(f"the entry of {style} for {key!r} must be that of the prepared model, or None")
