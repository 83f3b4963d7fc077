"""The quantized form of planned calls: modules and functions of quantized tensors."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.fx import Node
from torch.fx.node import map_arg
from torch.nn import functional as F
from torch.nn.utils.parametrize import type_before_parametrizations

from torchq.nn.intrinsic import FusedModule
from torchq.quantization.fx.arguments import renamed
from torchq.quantization.fx.constants import NotConstantError, constant
from torchq.quantization.fx.convert import Converting, Value
from torchq.quantization.fx.plan import Planned, present_roles
from torchq.quantization.fx.prepare import is_observer
from torchq.quantization.fx.support import activations, label, nodes_in
from torchq.quantization.fx.tables import (
    FUNCTION_MODULES,
    IDENTITIES,
    MORE_STATIC_MODULES,
    QUANTIZED_FUNCTIONS,
    WEIGHTED_FUNCTIONS,
    runs_on_integers,
)
from torchq.quantization.quant_type import QuantType
from torchq.quantization.quantization_mappings import (
    ModuleMapping,
    get_default_dynamic_quant_module_mappings,
    get_default_static_quant_module_mappings,
)
from torchq.quantization.swap import naming, swap_module

# What gives the new node of an old one: quantized where the old one is to be.
Form = Callable[[Node], Node]


def lower(converting: Converting, planned: Planned) -> Value | None:
    """Returns the quantized form of planned calls, or None if there is none, and they are computed in float.

    Args:
        converting: where the calls' arguments have their new nodes.
        planned: the calls.

    Raises:
        RuntimeError: if an observer never saw data; the message names what it observes.
        ValueError: if a qconfig does not fit, or calls that are quantized at run time, or in their weight alone, have
            no such form.
    """
    root = converting.nodes[planned.root]
    if planned.custom:
        return _custom_module(converting, planned, root)
    if planned.kind is QuantType.STATIC:
        return _static(converting, planned, root)
    made = _module_of_float(converting, planned, root) or _weighted_function(converting, planned, root)
    if made is None:
        called = type(converting.modules[root.target]).__name__ if root.op == "call_module" else root.target
        raise ValueError(
            f"cannot convert {label(root)!r}: {called} has no form for {planned.kind.name.lower()} quantization; set "
            "its qconfig to None"
        )
    return Value(float=made)


def _static(converting: Converting, planned: Planned, root: Node) -> Value | None:
    hidden = {node for node in nodes_in((root.args, root.kwargs)) if node.name in converting.plan.unobservable}
    given = present_roles(root, planned.roles, hidden).get("activation", [])
    activations = {node for argument in given for node in nodes_in(argument)} - hidden
    if not activations or not all(map(converting.is_quantizable, activations)):
        return None

    def form(node: Node) -> Node:
        return converting.as_quantized(node) if node in activations else converting.as_float(node)

    if root.op == "call_module":
        made = _static_module(converting, planned, root, form)
    elif root.target in IDENTITIES:
        made = form(root.args[0])
    elif root.target in WEIGHTED_FUNCTIONS:
        made = _weighted_function(converting, planned, root)
    elif root.target in QUANTIZED_FUNCTIONS:
        made = _function(converting, planned, root, form)
    else:
        made = _unchanged(converting, planned, root, form)
    return None if made is None else Value(quantized=made)


def _unchanged(converting: Converting, planned: Planned, root: Node, form: Form) -> Node | None:
    """The float call, of quantized tensors."""
    module = converting.modules[root.target] if root.op == "call_module" else None
    if len(planned.nodes) > 1 or not runs_on_integers(root, module):
        return None
    return converting.copy(root, form)


def _static_mapping() -> ModuleMapping:
    return {**get_default_static_quant_module_mappings(), **MORE_STATIC_MODULES}


def _static_module(converting: Converting, planned: Planned, root: Node, form: Form) -> Node | None:
    module = converting.modules[root.target]
    kind = type_before_parametrizations(module)
    mapping = _static_mapping()
    if kind in FUNCTION_MODULES:
        function, names = FUNCTION_MODULES[kind]
        arguments = {name: getattr(module, name) for name in names}
        return _call_function(converting, planned, function, map_arg(root.args, form), arguments)
    if planned.shares or kind not in mapping:
        return _unchanged(converting, planned, root, form)
    observer = converting.observer_of(planned)
    if (module, observer) not in converting.swapped:
        attributes = {"qconfig": planned.qconfig, "activation_post_process": observer}
        converting.swapped[module, observer] = _swapped(root.target, module, mapping, attributes)
    return _call(converting, root, converting.swapped[module, observer], form)


def _module_of_float(converting: Converting, planned: Planned, root: Node) -> Node | None:
    """A module that takes float tensors: quantized at run time, or in its weight alone."""
    if root.op != "call_module":
        return None
    dynamic = planned.kind is QuantType.DYNAMIC
    mapping = get_default_dynamic_quant_module_mappings() if dynamic else _static_mapping()
    module, attributes = converting.modules[root.target], {"qconfig": planned.qconfig}
    if (module, None) not in converting.swapped:
        if type_before_parametrizations(module) in mapping:
            swapped = _swapped(root.target, module, mapping, attributes)
        elif isinstance(module, FusedModule) and type_before_parametrizations(module[0]) in mapping:
            first = _swapped(root.target, module[0], mapping, attributes)
            swapped = nn.Sequential(first, *list(module)[1:]).train(module.training)
        else:
            return None
        converting.swapped[module, None] = swapped
    return _call(converting, root, converting.swapped[module, None], converting.as_float)


def _swapped(name: str, module: nn.Module, mapping: ModuleMapping, attributes: dict[str, Any]) -> nn.Module:
    """Returns a module's counterpart, with its hooks; the module itself stays as it is."""
    # Not copy.copy, which parametrized modules refuse.
    source = type(module).__new__(type(module))
    for attribute, value in vars(module).items():
        source.__dict__[attribute] = value.copy() if isinstance(value, dict) else value
    for attribute, value in attributes.items():
        setattr(source, attribute, value)
    with naming(name):
        return swap_module(source, mapping)


def _call(converting: Converting, root: Node, module: nn.Module, form: Form) -> Node:
    with naming(root.target):
        kwargs = renamed(root.kwargs, converting.modules[root.target], module)
    return converting.call_module(root, root.target, module, *map_arg((root.args, kwargs), form))


def _custom_module(converting: Converting, planned: Planned, root: Node) -> Value:
    """The quantized form of a module of the caller's own."""
    observed = converting.modules[root.target]
    classes = converting.custom.observed_to_quantized_mapping.get(planned.kind, {})
    if type(observed) not in classes:
        raise ValueError(
            f"cannot convert {root.target!r}: ConvertCustomConfig().set_observed_to_quantized_mapping has no class for "
            f"{type(observed).__name__}"
        )
    if (observed, None) not in converting.swapped:
        if planned.observer is not None:
            observed.activation_post_process = converting.observer_of(planned)
        with naming(root.target):
            converting.swapped[observed, None] = classes[type(observed)].from_observed(observed)
    positions, names = activations(root, observed)
    given = [*(root.args[i] for i in positions), *(root.kwargs[name] for name in names)]
    tensors = {node for node in nodes_in(given) if converting.is_tensor(node)}
    on_integers = all(map(converting.is_quantizable, tensors))

    def form(node: Node) -> Node:
        return converting.as_quantized(node) if on_integers and node in tensors else converting.as_float(node)

    made = _call(converting, root, converting.swapped[observed, None], form)
    return Value(quantized=made) if on_integers else Value(float=made)


def _function(converting: Converting, planned: Planned, root: Node, form: Form) -> Node | None:
    row = QUANTIZED_FUNCTIONS[root.target]
    with_relu = len(planned.nodes) > 1
    kwargs = {name: value for name, value in root.kwargs.items() if name != "inplace"}
    if planned.shares:  # one tensor and a number, of which either may come first
        if row.scalar is None or kwargs or len(root.args) != 2:
            return None
        x, number = root.args if converting.is_tensor(root.args[0]) else reversed(root.args)
        made = converting.graph.call_function(row.scalar, map_arg((x, number), form))
        return converting.graph.call_function(F.relu, (made,)) if with_relu else made
    function = row.relu if with_relu else row.function
    if function is None or not _binds(function, root.args, {**kwargs, "scale": 1.0, "zero_point": 0}):
        return None
    return _call_function(converting, planned, function, *map_arg((root.args, kwargs), form))


def _call_function(
    converting: Converting,
    planned: Planned,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Node:
    scale, zero_point = converting.qparams(converting.nodes[planned.observer])
    return converting.graph.call_function(function, args, {**kwargs, "scale": scale, "zero_point": zero_point})


def _binds(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def _weighted_function(converting: Converting, planned: Planned, root: Node) -> Node | None:
    """A module with the weight that a function is called with, if that does not depend on the model's input."""
    row = WEIGHTED_FUNCTIONS.get(root.target) if root.op == "call_function" else None
    static, with_relu = planned.kind is QuantType.STATIC, len(planned.nodes) > 1
    if row is None or (row.dynamic is None and not static):
        return None
    arguments = {**dict(zip(row.parameters, root.args, strict=False)), **root.kwargs}
    x, weight = arguments.pop("input"), arguments.pop("weight")
    if not is_observer(weight, converting.modules):
        return None
    try:
        value = constant(converting.model, weight)
        arguments = {name: constant(converting.model, argument) for name, argument in arguments.items()}
    except NotConstantError:
        return None
    with naming(label(root)):
        module = row.make(value, converting.observer(weight), arguments, static, with_relu)
        if static:
            converting.set_output_qparams(module, planned)
    path, _ = converting.plan.scopes[root.name]
    name = converting.new_name(f"{path}_packed_weight_")
    made = converting.call_module(
        root, name, module, (converting.as_quantized(x) if static else converting.as_float(x),)
    )
    if static:
        converting.output_qparams[made.target] = converting.qparam_names(converting.nodes[planned.observer])
    return converting.graph.call_function(F.relu, (made,)) if with_relu and not static else made
