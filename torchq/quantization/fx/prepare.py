"""Putting observers into a traced and fused model."""

from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule, Node

from torchq.dtypes import quint8
from torchq.nn import qat
from torchq.quantization.backend_config import BackendConfig
from torchq.quantization.fake_quantize_base import FakeQuantizeBase
from torchq.quantization.fx.custom_config import PrepareCustomConfig, StandaloneModuleConfigEntry
from torchq.quantization.fx.plan import Plan, Planned, present_roles
from torchq.quantization.fx.support import FLOAT_WEIGHTS, activations, label, nodes_in
from torchq.quantization.observer import FixedQParamsObserver, ObserverBase
from torchq.quantization.prepare import device_of, name_observers, prefix_observers
from torchq.quantization.qconfig import QConfig
from torchq.quantization.qconfig_mapping import QConfigMapping
from torchq.quantization.quant_type import QuantType
from torchq.quantization.swap import swap_module


def is_observer(node: Any, modules: dict[str, nn.Module]) -> bool:
    """Whether an argument is a call of an observer or fake quantizer."""
    return (
        isinstance(node, Node)
        and node.op == "call_module"
        and isinstance(modules[node.target], ObserverBase | FakeQuantizeBase)
    )


def standalone_entry(node: Node, module: nn.Module, config: PrepareCustomConfig) -> StandaloneModuleConfigEntry:
    """Returns the settings of a standalone module: by its name, or else by its class."""
    by_class = config.standalone_module_classes.get(type(module))
    return config.standalone_module_names.get(node.target, by_class)


class Observing:
    """Inserts observers as a plan says, in the order of the graph, in place.

    Args:
        model: traced and fused.
        plan: what is quantized; learns which observers the results have.
    """

    def __init__(self, model: GraphModule, plan: Plan) -> None:
        self.model = model
        self.graph = model.graph
        self.plan = plan
        self.modules = dict(model.named_modules(remove_duplicate=False))
        self.device = device_of(model)
        # Each node of planned calls -> these.
        self.planned = {name: planned for planned in plan.planned.values() for name in planned.nodes}
        # The dtype that each value seen so far has in the quantized model; torch.float for what is not quantized there.
        self.dtypes: dict[Node, Any] = {}
        self.count = 0
        self.swapped: dict[nn.Module, nn.Module] = {}

    def run(self) -> None:
        """Inserts all of them."""
        for node in list(self.graph.nodes):
            planned = self.planned.get(node.name)
            if node.name in self.plan.standalone:
                self._observe_standalone_input(node)
            if planned is not None and not self._comes_in_float(node, planned):
                self._observe(node, planned)
            self.dtypes[node] = self._result_dtype(node)

    def _observe(self, node: Node, planned: Planned) -> None:
        if node.name == planned.root:
            self._swap(node, planned)
            self._observe_inputs(node, planned)
        if node.name == planned.last and planned.kind is QuantType.STATIC and node.name not in self.plan.parts:
            self._observe_output(node, planned)

    def _comes_in_float(self, node: Node, planned: Planned) -> bool:
        """Whether calls stay in float because their input is; takes them out of the plan."""
        if planned.observes_input or node.name != planned.root or self._first_dtype(node) is not torch.float:
            return False
        for name in planned.nodes:
            del self.planned[name]
        del self.plan.planned[planned.last]
        return True

    def _swap(self, node: Node, planned: Planned) -> None:
        """Gives a module its qconfig; puts its form for training, or the caller's observed one, in its place."""
        if node.op != "call_module":
            return
        module = self.modules[node.target]
        if module in self.swapped.values():  # by another call of it
            return
        if module in self.swapped:  # by a call under another name
            self._set_module(node.target, self.swapped[module])
            return
        module.qconfig = planned.qconfig
        name_observers(module, f"{node.target}.weight")
        if planned.custom:
            observed = self.plan.custom_config.float_to_observed_mapping[QuantType.STATIC][type(module)]
            swapped = observed.from_float(module)
            swapped.qconfig = planned.qconfig
            prefix_observers(swapped, node.target)
        elif self.plan.is_qat and planned.qat_module is not None:
            trained = planned.qat_module
            if trained is qat.Linear and planned.kind is QuantType.DYNAMIC:
                trained = qat.dynamic.Linear
            swapped = swap_module(module, {type(module): trained})
            name_observers(swapped, f"{node.target}.weight")
        else:
            return
        self.swapped[module] = swapped
        self._set_module(node.target, swapped)

    def _set_module(self, name: str, module: nn.Module) -> None:
        self.model.set_submodule(name, module)
        self.modules[name] = module

    def _observe_inputs(self, node: Node, planned: Planned) -> None:
        roles = present_roles(node, planned.roles, self._hidden(node))
        first = node.args[0] if node.args else None

        def observed(argument: Any) -> Any:
            if isinstance(argument, list | tuple):
                return type(argument)(map(observed, argument))
            if not isinstance(argument, Node) or argument.name in self.plan.unobservable:
                return argument
            role = next((role for role, given in roles.items() if any(argument is one for one in given)), "activation")
            if role == "bias" or (role == "weight" and node.target in FLOAT_WEIGHTS):
                return argument
            if planned.kind is QuantType.DYNAMIC and role == "activation" and argument is not first:
                return argument
            return self._observed_input(argument, node, planned, role)

        positions, names = range(len(node.args)), node.kwargs
        if planned.custom:
            positions, names = activations(node, self.modules[node.target])
        node.args = tuple(observed(a) if i in positions else a for i, a in enumerate(node.args))
        node.kwargs = {name: observed(a) if name in names else a for name, a in node.kwargs.items()}

    def _hidden(self, node: Node) -> set[Node]:
        return {source for source in nodes_in((node.args, node.kwargs)) if source.name in self.plan.unobservable}

    def _observed_input(self, source: Node, node: Node, planned: Planned, role: str) -> Node:
        if planned.reuses_input and role == "activation":
            return source
        observer = self._input_observer(node, planned, role)
        dtype, given = getattr(observer, "dtype", torch.float), self._dtype(source)
        dynamic = planned.kind is QuantType.DYNAMIC and role == "activation"
        if not dynamic and (dtype in (torch.float, given) or dtype is None):
            return source
        for user in source.users:
            if is_observer(user, self.modules):
                other = self.modules[user.target]
                if type(other) is type(observer) and other.dtype == dtype:
                    return user
        part = "weight" if role == "weight" else "input"
        return self._insert(source, observer, f"{label(node)}.{part}")

    def _input_observer(self, node: Node, planned: Planned, role: str) -> nn.Module:
        if role == "weight":
            return planned.qconfig.weight()
        observer = planned.qconfig.activation()
        inner = observer.activation_post_process if isinstance(observer, FakeQuantizeBase) else observer
        if not isinstance(inner, FixedQParamsObserver):
            return observer
        # Fixed qparams are those of the result: the input has a range of its own.
        qconfig = self.plan.mapping.global_qconfig
        if qconfig is None:
            raise ValueError(
                f"the qconfig of {label(node)!r} has fixed qparams, which are for its result, and its input comes in "
                "float: the mapping needs a global qconfig for it, or set the qconfig to None"
            )
        return qconfig.activation()

    def _observe_output(self, node: Node, planned: Planned) -> None:
        users = list(node.users)
        observed = self._insert(node, planned.qconfig.activation(), label(node))
        for user in users:
            user.replace_input_with(node, observed)
        planned.observer = observed.name
        if planned.reuses_input or (planned.shares and not self._takes_quantized_input(node)):
            shared = self._share(node, observed)
            if not shared:
                observed.replace_all_uses_with(node)
                self.graph.erase_node(observed)
                planned.observer = None

    def _takes_quantized_input(self, node: Node) -> bool:
        """Whether the first argument is an input of the model that is quantized before."""
        first = node.args[0] if node.args else None
        return isinstance(first, Node) and first.name in self.plan.quantized_inputs

    def _share(self, node: Node, observed: Node) -> bool:
        """Makes the observers of all inputs and of the result the one of the first input, if it has one."""
        first = next((arg for arg in node.args if isinstance(arg, Node | list | tuple)), None)
        inputs = list(first) if isinstance(first, list | tuple) else [first]
        sources = [self._observer_of(source) for source in inputs]
        if not sources or any(source is None for source in sources):
            return False
        observer = self.modules[sources[0].target]
        for source in (*sources[1:], observed):
            self._set_module(source.target, observer)
        return True

    def _observer_of(self, node: Any) -> Node | None:
        """The observer that a value went through, perhaps before functions that were not observed."""
        while isinstance(node, Node) and not is_observer(node, self.modules):
            if node.op == "placeholder":
                return None
            node = next((arg for arg in node.args if isinstance(arg, Node)), None)
        return node if isinstance(node, Node) else None

    def _observe_standalone_input(self, node: Node) -> None:
        """Observes what a standalone module takes quantized."""
        entry = standalone_entry(node, self.modules[node.target], self.plan.custom_config)
        config, qconfig = entry.prepare_custom_config, self.plan.qconfigs[node.name]
        indexes = config.input_quantized_indexes if config is not None else []
        args = list(node.args)
        for index in indexes:
            if index < len(args) and self._dtype(args[index]) is not quint8:
                args[index] = self._insert(args[index], _activation(node, qconfig), f"{label(node)}.input")
        node.args = tuple(args)

    def _dtype(self, source: Node) -> Any:
        """The dtype that a value seen before has in the quantized model."""
        if is_observer(source, self.modules):
            return self.modules[source.target].dtype
        return self.dtypes[source]

    def _first_dtype(self, node: Node) -> Any:
        """The dtype of a call's first tensor."""
        first = next(nodes_in((node.args, node.kwargs)), None)
        return torch.float if first is None else self._dtype(first)

    def _result_dtype(self, node: Node) -> Any:
        if node.name in self.plan.quantized_inputs:
            return quint8
        if node.name in self.plan.passing:
            return self._first_dtype(node)
        if node.name in self.plan.parts:
            return self.plan.planned[node.name].qconfig.activation().dtype
        if node.name in self.plan.standalone:
            entry = standalone_entry(node, self.modules[node.target], self.plan.custom_config)
            config = entry.prepare_custom_config
            return quint8 if config is not None and 0 in config.output_quantized_indexes else torch.float
        planned = self.planned.get(node.name)
        if planned is not None and planned.shares and planned.observer is None:
            return self._first_dtype(node)
        return torch.float

    def _insert(self, source: Node, observer: nn.Module, observed: str) -> Node:
        while hasattr(self.model, f"activation_post_process_{self.count}"):
            self.count += 1
        name = f"activation_post_process_{self.count}"
        name_observers(observer, observed)
        observer.to(self.device)
        self.model.add_module(name, observer)
        self.modules[name] = observer
        with self.graph.inserting_after(source):
            return self.graph.call_module(name, (source,))


def _activation(node: Node, qconfig: QConfig | None) -> nn.Module:
    if qconfig is None:
        raise ValueError(f"the standalone module {node.target!r} takes quantized inputs, but has no qconfig")
    return qconfig.activation()


def standalone_settings(
    entry: StandaloneModuleConfigEntry, plan: Plan, name: str, backend_config: BackendConfig
) -> tuple[QConfigMapping, PrepareCustomConfig, BackendConfig]:
    """Returns how a standalone module is prepared; what its entry leaves open is as in the model around it."""
    return (
        entry.qconfig_mapping or QConfigMapping().set_global(plan.qconfigs[name]),
        entry.prepare_custom_config or PrepareCustomConfig(),
        entry.backend_config or backend_config,
    )
