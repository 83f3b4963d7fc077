"""Deciding which calls of a traced model are quantized, and how."""

import operator
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.fx import Graph, Node

from torchq.quantization.backend_config import BackendConfig, ObservationType
from torchq.quantization.fx.custom_config import PrepareCustomConfig
from torchq.quantization.fx.match import Found, Modules, find, sorted_configs
from torchq.quantization.fx.qconfigs import Scopes
from torchq.quantization.fx.support import RECURRENT, asks, is_supported, label, nodes_in, unobservable
from torchq.quantization.observer import ReuseInputObserver
from torchq.quantization.qconfig import QConfig, QConfigAny, qconfig_equals
from torchq.quantization.qconfig_mapping import QConfigMapping
from torchq.quantization.quant_type import QuantType
from torchq.quantization.quantization_mappings import no_observer_set

_SHARED = ObservationType.OUTPUT_SHARE_OBSERVER_WITH_INPUT
_NONE = ObservationType.INPUT_OUTPUT_NOT_OBSERVED


@dataclass
class Planned:
    """Calls that are quantized as one.

    Attributes:
        nodes: their names, from the first that runs to the last, whose result is that of all.
        root: the name of the one that takes the input.
        qconfig: the qconfig.
        kind: ``STATIC``, ``DYNAMIC`` or ``WEIGHT_ONLY``.
        shares: whether the result has the input's scale and zero point.
        reuses_input: whether that is because the qconfig says so; then nothing is observed that was not before.
        observes_input: whether an input that comes in float is observed; otherwise it leaves all in float.
        roles: which positional arguments of the root are its weight and bias; those of these names are, too.
        qat_module: what stands for the module in training.
        custom: whether it is a module of the caller's own, which has an observed form.
        observer: the name of the node that observes the result, if there is one.
    """

    nodes: list[str]
    root: str
    qconfig: QConfig
    kind: QuantType
    shares: bool = False
    reuses_input: bool = False
    observes_input: bool = True
    roles: dict[str, int] = field(default_factory=dict)
    qat_module: Any = None
    custom: bool = False
    observer: str | None = None

    @property
    def last(self) -> str:
        """The name of the node whose result is that of all."""
        return self.nodes[-1]


@dataclass
class Plan:
    """What ``prepare_fx`` decided, by the names of nodes; a prepared model keeps it for ``convert_fx``.

    Attributes:
        planned: the calls that are quantized, by the name of the last of each.
        passing: calls that are run on whatever their first argument is, quantized or not.
        unobservable: calls whose results are no float tensors.
        standalone: calls of modules that were prepared by themselves.
        parts: results of modules that observe themselves, and what is taken out of them.
        qconfigs: the qconfig of each node.
        scopes: where each node stands.
        quantized_inputs: inputs of the model that come quantized.
        mapping: that of ``prepare_fx``.
        custom_config: that of ``prepare_fx``.
        is_qat: whether the model is trained.
        module_names: the names that its modules had before it was traced.
    """

    qconfigs: dict[str, QConfigAny]
    scopes: Scopes
    mapping: QConfigMapping
    custom_config: PrepareCustomConfig
    is_qat: bool
    module_names: set[str]
    quantized_inputs: set[str] = field(default_factory=set)
    planned: dict[str, Planned] = field(default_factory=dict)
    passing: set[str] = field(default_factory=set)
    unobservable: set[str] = field(default_factory=set)
    standalone: set[str] = field(default_factory=set)
    parts: set[str] = field(default_factory=set)


def make_plan(graph: Graph, plan: Plan, modules: Modules, backend_config: BackendConfig) -> None:
    """Fills in which calls of a graph are quantized.

    Args:
        graph: a traced and fused model's.
        plan: with the qconfigs.
        modules: the model's, by name.
        backend_config: what can be quantized.

    Raises:
        ValueError: if a qconfig that is for a type, a name or a call does not fit, or one asks for float16; if an input
            or result that is to be quantized is not there.
    """
    configs = sorted_configs(backend_config)
    keeping = {pattern for pattern, config in configs if config.observation_type in (_SHARED, _NONE)}

    def keeps(node: Node) -> bool:
        called = type(modules[node.target]) if node.op == "call_module" else node.target
        return node.op.startswith("call_") and called in keeping and bool(node.args)

    plan.quantized_inputs = _quantized_inputs(graph, plan.custom_config)
    _find_parts(graph, plan, modules)
    hidden, masks = unobservable(graph, modules, keeps)
    plan.unobservable = {node.name for node in hidden}
    taken: set[Node] = set()
    for node in reversed(graph.nodes):
        if node in taken or not node.op.startswith("call_"):
            continue
        if asks(node) or (node.name in plan.parts and node.op == "call_function"):
            plan.passing.add(node.name)
        elif not _is_special(node, plan, modules):
            found = _found(node, configs, modules, plan.qconfigs)
            if found is not None:
                taken.update(found.nodes)
                _plan_pattern(found, plan, hidden, masks, backend_config)


def _quantized_inputs(graph: Graph, config: PrepareCustomConfig) -> set[str]:
    inputs = [node.name for node in graph.nodes if node.op == "placeholder"]
    result = next(node for node in reversed(graph.nodes) if node.op == "output").args[0]
    results = len(result) if isinstance(result, list | tuple) else 1
    given = {
        "input": (config.input_quantized_indexes, len(inputs)),
        "output": (config.output_quantized_indexes, results),
    }
    for kind, (indexes, count) in given.items():
        for index in indexes:
            if index not in range(count):
                raise ValueError(f"{kind}_quantized_indexes has {index}, but the model has {count} {kind}(s), from 0")
    return {inputs[index] for index in config.input_quantized_indexes}


def _find_parts(graph: Graph, plan: Plan, modules: Modules) -> None:
    """Finds the calls of modules that observe themselves, whose results are several tensors, and the parts of those."""
    kinds = {
        given
        for classes in plan.custom_config.float_to_observed_mapping.values()
        for given, observed in classes.items()
        if issubclass(observed, tuple(no_observer_set()))
    }
    for node in graph.nodes:
        source = node.args[0] if node.args else None
        taken = node.target is operator.getitem and isinstance(source, Node) and source.name in plan.parts
        called = node.op == "call_module" and type(modules[node.target]) in kinds
        if taken or (called and plan.qconfigs[node.name] is not None):
            plan.parts.add(node.name)


def _is_special(node: Node, plan: Plan, modules: Modules) -> bool:
    """Whether a call is that of a standalone module or one of the caller's own; puts it into the plan."""
    if node.op != "call_module":
        return False
    config, kind = plan.custom_config, type(modules[node.target])
    if node.target in config.standalone_module_names or kind in config.standalone_module_classes:
        plan.standalone.add(node.name)
        return True
    if kind not in {float_class for classes in config.float_to_observed_mapping.values() for float_class in classes}:
        return False
    qconfig = plan.qconfigs[node.name]
    if qconfig is not None:
        plan.planned[node.name] = Planned([node.name], node.name, qconfig, QuantType.STATIC, custom=True)
    return True


def _found(node: Node, configs: list[Any], modules: Modules, qconfigs: dict[str, QConfigAny]) -> Found | None:
    """The longest pattern that ends with a node, and whose calls all have one qconfig."""
    qconfig = qconfigs[node.name]
    for found in find(node, configs, modules):
        if all(qconfig_equals(qconfigs[part.name], qconfig) for part in found.nodes):
            return found
    return None


def _plan_pattern(found: Found, plan: Plan, hidden: set[Node], masks: set[Node], backend_config: BackendConfig) -> None:
    last, root, config = found.last, found.root, found.config
    observation = _observation(found, hidden)
    if observation is _NONE:
        plan.passing.add(last.name)
        return
    qconfig = plan.qconfigs[last.name]
    if qconfig is None or not hidden.isdisjoint(found.nodes):
        return
    if config._num_tensor_args_to_observation_type and not masks.isdisjoint(root.args):
        return  # neither two float tensors nor one and a number
    by_function = backend_config._pattern_complex_format_to_config.get(root.target)
    roles = by_function._input_type_to_index if root.op == "call_function" and by_function else {}
    if not is_supported(qconfig, config.dtype_configs, set(present_roles(root, roles, hidden))):
        _check_unsupported(found, plan, backend_config)
        if not getattr(
            qconfig.activation(), "is_dynamic", False
        ):  # a dynamic one is for linear and recurrent layers alone
            _refuse_float16(last, qconfig)
        return
    kind = _kind(qconfig)
    if config.root_module not in RECURRENT:
        _refuse_float16(last, qconfig)
    plan.planned[last.name] = Planned(
        [node.name for node in found.nodes],
        root.name,
        qconfig,
        kind,
        shares=observation is _SHARED and kind is QuantType.STATIC,
        reuses_input=isinstance(qconfig.activation(), ReuseInputObserver),
        observes_input=observation is not ObservationType.ONLY_OUTPUT_OBSERVED,
        roles=roles,
        qat_module=config.qat_module,
    )


def _observation(found: Found, hidden: set[Node]) -> ObservationType:
    by_tensors = found.config._num_tensor_args_to_observation_type
    if not by_tensors:
        return found.config.observation_type
    tensors = sum(isinstance(arg, Node) and arg not in hidden for arg in found.root.args)
    return by_tensors.get(tensors, found.config.observation_type)


def present_roles(node: Node, roles: dict[str, int], hidden: Iterable[Node] = ()) -> dict[str, list[Any]]:
    """Returns the arguments of a call by what they are: ``"activation"``, ``"weight"`` and ``"bias"``.

    Args:
        node: the call.
        roles: which of its positional arguments are weight and bias.
        hidden: nodes that are none of them.
    """
    positions = {index: role for role, index in roles.items()}
    found: dict[str, list[Any]] = {}
    for key, argument in (*enumerate(node.args), *node.kwargs.items()):
        role = positions.get(key, key if key in ("weight", "bias") else "activation")
        if any(source not in hidden for source in nodes_in(argument)):
            found.setdefault(role, []).append(argument)
    return found


def _kind(qconfig: QConfig) -> QuantType:
    activation = qconfig.activation()
    if activation.is_dynamic:
        return QuantType.DYNAMIC
    return QuantType.WEIGHT_ONLY if activation.dtype is torch.float else QuantType.STATIC


def _refuse_float16(node: Node, qconfig: QConfig) -> None:
    if getattr(qconfig.activation(), "dtype", None) is torch.float16:
        raise ValueError(
            f"the qconfig of {label(node)!r} asks for torch.float16, but torchq computes with 8-bit integers: use "
            "default_dynamic_qconfig or per_channel_dynamic_qconfig, or None to leave it in float"
        )


def _check_unsupported(found: Found, plan: Plan, backend_config: BackendConfig) -> None:
    """Raises a ValueError if a qconfig that does not fit was meant for this call, and not for a whole model."""
    node, qconfig, mapping = found.last, plan.qconfigs[found.last.name], plan.mapping
    chosen = (*mapping.object_type_qconfigs.values(), *mapping.module_name_object_type_order_qconfigs.values())
    meant = any(entry is qconfig for entry in chosen) and qconfig is not mapping.global_qconfig
    if meant or (node.op == "call_module" and node.target in mapping.module_name_qconfigs):
        activation, weight = qconfig.activation(), None if qconfig.weight is None else qconfig.weight()
        allowed = "; ".join(str(config.to_dict()) for config in found.config.dtype_configs)
        raise ValueError(
            f"{backend_config.name or 'the backend config'!r} cannot quantize {label(node)!r} with its qconfig, "
            f"activations {activation} and weights {weight}; it can with {allowed}"
        )
