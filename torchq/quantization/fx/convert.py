"""Turning a calibrated model into a quantized one, or into a reference model."""

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.fx import Graph, Node
from torch.fx.node import map_arg

from torchq.dtypes import per_tensor_affine, per_tensor_symmetric, qint8, qint32, quint8
from torchq.nn.qat import QATModule
from torchq.nn.quantized.conversion import output_qparams
from torchq.qtensor import dequantize
from torchq.qtensor_creation import quantize_per_channel, quantize_per_tensor, quantize_per_tensor_dynamic
from torchq.quantization.fx.constants import show_constant
from torchq.quantization.fx.custom_config import ConvertCustomConfig
from torchq.quantization.fx.graph_module import OUTPUT_QPARAMS, ObservedGraphModule, QuantizedGraphModule
from torchq.quantization.fx.parts import dequantize_parts
from torchq.quantization.fx.plan import Plan, Planned
from torchq.quantization.fx.prepare import is_observer
from torchq.quantization.fx.support import asks, nodes_in
from torchq.quantization.fx.tables import runs_on_integers
from torchq.quantization.qconfig import QConfigAny


@dataclass
class Value:
    """What a node of the prepared model is in the new graph: float, quantized, or both, made when it is asked for.

    Attributes:
        float: the node with its float values.
        quantized: the node with its quantized ones.
        observer: the call of the observer that chose the qparams, where the quantized ones are yet to be made.
    """

    float: Node | None = None
    quantized: Node | None = None
    observer: Node | None = None


class Converting:
    """Walks through a prepared graph and makes the quantized one.

    Every value of the old graph has a float and a quantized form in the new one, and each is made where it is first
    asked for. So nothing is quantized that no one takes quantized, and nothing is dequantized to be quantized again.

    Args:
        model: prepared; is changed.
        plan: what ``prepare_fx`` decided.
        qconfigs: the qconfig of each node; what has none stays in float.
        custom: the caller's settings.
        lower: makes the new node for planned calls, or None where they have no other form than the float one.
        convert_standalone: converts a module that was prepared by itself.
        reference: whether float functions stay where there is a quantized form.
    """

    def __init__(
        self,
        model: ObservedGraphModule,
        plan: Plan,
        qconfigs: dict[str, QConfigAny],
        custom: ConvertCustomConfig,
        lower: Callable[["Converting", Planned], Value | None],
        convert_standalone: Callable[[nn.Module], nn.Module],
        reference: bool,
    ) -> None:
        self.model = model
        self.plan = plan
        self.qconfigs = qconfigs
        self.custom = custom
        self.lower = lower
        self.convert_standalone = convert_standalone
        self.reference = reference
        self.modules = dict(model.named_modules(remove_duplicate=False))
        self.nodes = {node.name: node for node in model.graph.nodes}
        self.graph = Graph()
        self.values: dict[Node, Value] = {}
        # Calls that are quantized, by each of their nodes.
        self.planned = {
            name: planned
            for planned in plan.planned.values()
            if all(qconfigs.get(part) is not None for part in planned.nodes)
            for name in planned.nodes
        }
        self.names: dict[Node, tuple[str, str]] = {}
        self.counts: Counter[str] = Counter()
        # Layer that was a function -> the names that its output's qparams would have.
        self.output_qparams: dict[str, tuple[str, str]] = {}
        # Name of a submodule -> the module that the new model has there.
        self.placed: dict[str, nn.Module] = {}
        # A module and the observer of its result -> what stands for both.
        self.swapped: dict[tuple[nn.Module, nn.Module | None], nn.Module] = {}

    def run(self) -> QuantizedGraphModule:
        """Returns the new model."""
        for node in self.model.graph.nodes:
            self._visit(node)
        self._drop_folded()
        self.graph.lint()
        made = QuantizedGraphModule(self.model, self.graph)
        made.meta[OUTPUT_QPARAMS] = self.output_qparams
        return made

    def _drop_folded(self) -> None:
        """Removes what computes a weight that a module holds now."""
        constants = set()
        for node in self.graph.nodes:
            sources = node.all_input_nodes
            if node.op == "get_attr" or (sources and constants.issuperset(sources)):
                constants.add(node)
        for node in reversed(self.graph.nodes):
            if node in constants and not node.users:
                self.graph.erase_node(node)

    def _visit(self, node: Node) -> None:
        planned = self.planned.get(node.name)
        if node.op == "placeholder":
            made = self.graph.node_copy(node)
            quantized = node.name in self.plan.quantized_inputs
            self.values[node] = Value(quantized=made) if quantized else Value(float=made)
        elif node.op == "get_attr":
            self.values[node] = Value(float=self.graph.node_copy(node))
        elif node.op == "output":
            self.graph.output(self._output(node.args[0]))
        elif is_observer(node, self.modules):
            self.values[node] = self._observed(node)
        elif node.name in self.plan.passing:
            self.values[node] = self._passed(node)
        elif node.name in self.plan.standalone:
            self.values[node] = self._standalone(node)
        elif planned is None:
            self.values[node] = Value(float=self.copy(node, self.as_float))
        elif node.name == planned.last:
            self._visit_planned(planned)

    def _visit_planned(self, planned: Planned) -> None:
        value = self.lower(self, planned)
        if value is None:
            for name in planned.nodes:
                part = self.nodes[name]
                self.values[part] = Value(float=self.copy(part, self.as_float))
            return
        self.values[self.nodes[planned.last]] = value

    def as_float(self, node: Node) -> Node:
        """Returns the new node with the float values of an old one."""
        value = self.values[node]
        if value.float is None:
            function = dequantize_parts if node.name in self.plan.parts else dequantize
            value.float = self.graph.create_node(
                "call_function", function, (self.as_quantized(node),), name="dequantize"
            )
        return value.float

    def as_quantized(self, node: Node) -> Node:
        """Returns the new node with the quantized values of an old one, which ``is_quantizable``."""
        value = self.values[node]
        if value.quantized is None:
            value.quantized = self._quantize(value.observer)
        return value.quantized

    def is_quantizable(self, node: Node) -> bool:
        """Whether an old node has quantized values with one scale."""
        value = self.values[node]
        if value.quantized is not None or value.observer is None:
            return value.quantized is not None
        return self.observer(value.observer).qscheme in (per_tensor_affine, per_tensor_symmetric)

    def as_it_is(self, node: Node) -> Node:
        """Returns the new node of an old one in a form that there is already."""
        value = self.values[node]
        if value.quantized is None and value.float is None:
            return self.as_it_is(value.observer.args[0])
        return value.float if value.quantized is None else value.quantized

    def observer(self, node: Node) -> nn.Module:
        """Returns the observer that a node calls."""
        return self.modules[node.target]

    def observer_of(self, planned: Planned) -> nn.Module:
        """Returns the observer of what planned calls result in."""
        return self.observer(self.nodes[planned.observer])

    def set_output_qparams(self, module: nn.Module, planned: Planned) -> None:
        """Gives a quantized module the qparams that the observer of planned calls chose."""
        observed = nn.Module()
        observed.activation_post_process = self.observer_of(planned)
        module.set_output_qparams(*output_qparams(observed))

    def is_tensor(self, argument: Any) -> bool:
        """Whether an argument is a node with a float tensor."""
        return isinstance(argument, Node) and argument.name not in self.plan.unobservable

    def _quantize(self, node: Node) -> Node:
        observer, source = self.observer(node), self.as_float(node.args[0])
        if observer.is_dynamic:
            # In 7 bits, as torch.ao's and torchq's dynamic layers per tensor.
            return self.graph.call_function(quantize_per_tensor_dynamic, (source, observer.dtype, True))
        show_constant(self.model, observer, node.args[0])
        scale, zero_point = observer.calculate_qparams()
        names = self.qparam_names(node)
        if observer.qscheme in (per_tensor_affine, per_tensor_symmetric):
            qparams = self.qparams(node)
            return self.graph.call_function(quantize_per_tensor, (source, *qparams, observer.dtype))
        for name, value in zip(names, (scale, zero_point), strict=True):
            self.model.register_buffer(name, value.detach().clone())
        qparams = [self.graph.create_node("get_attr", name) for name in names]
        return self.graph.call_function(quantize_per_channel, (source, *qparams, observer.ch_axis, observer.dtype))

    def qparams(self, node: Node) -> tuple[Node, Node]:
        """Returns the new nodes with the scale and the zero point that an observer chose for a whole tensor."""
        scale, zero_point = self.observer(node).calculate_qparams()
        values = (scale.item(), int(zero_point.item()))
        for name, value in zip(self.qparam_names(node), values, strict=True):
            setattr(self.model, name, value)
        return tuple(self.graph.create_node("get_attr", name) for name in self.qparam_names(node))

    def copy(self, node: Node, form: Callable[[Node], Node]) -> Node:
        """Copies a call, its arguments in one form."""
        args, kwargs = map_arg((node.args, node.kwargs), form)
        target = node.target
        if node.op == "call_module":
            module = self.modules[target]
            if isinstance(module, QATModule):
                module = self.modules[target] = module.to_float()
            target = self.place(target, module)
        return self.graph.create_node(node.op, target, args, kwargs, node.name, node.type)

    def call_module(
        self,
        node: Node,
        target: str,
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any] | None = None,
    ) -> Node:
        """Calls a module in the place of an old node; ``target`` is the name that it should have."""
        return self.graph.create_node("call_module", self.place(target, module), args, kwargs, node.name)

    def place(self, target: str, module: nn.Module) -> str:
        """Puts a module into the new model, under the old name unless another one has that; returns the name."""
        names = itertools.chain([target], (f"{target}_{index}" for index in itertools.count(1)))
        for name in names:
            if name not in self.placed and (name == target or name not in self.modules):
                self.placed[name] = module
                self.model.set_submodule(name, module)
            if self.placed.get(name) is module:
                return name
        raise AssertionError("names do not end")

    def new_name(self, prefix: str) -> str:
        """Returns a name for an attribute that the model does not have: the prefix and a number."""
        prefix = prefix.replace(".", "_")
        while hasattr(self.model, f"{prefix}{self.counts[prefix]}"):
            self.counts[prefix] += 1
        self.counts[prefix] += 1
        return f"{prefix}{self.counts[prefix] - 1}"

    def _observed(self, node: Node) -> Value:
        """What was observed: as it is, if the observer has no part in the new model; or with the qparams it chose."""
        source, observer = node.args[0], self.observer(node)
        value = self.values[source]
        if all(self._stays_float(part) for part in (source, *node.users)):
            return value
        if observer.dtype not in (quint8, qint8, qint32):
            return value
        if getattr(observer, "is_dynamic", False):
            return Value(observer=node) if self.reference else value
        self.qparam_names(node)  # every observer counts in them, in the order of the graph
        planned = self.plan.planned.get(source.name)
        if planned is not None and planned.observer == node.name and value.quantized is not None:
            return value
        return Value(observer=node)

    def _stays_float(self, node: Node) -> bool:
        return node.name in self.qconfigs and self.qconfigs[node.name] is None

    def qparam_names(self, node: Node) -> tuple[str, str]:
        """Returns the names of the attributes that hold the scale and the zero point of an observer."""
        if node not in self.names:
            prefix = self._prefix(node)
            self.names[node] = (self.new_name(f"{prefix}_scale_"), self.new_name(f"{prefix}_zero_point_"))
        return self.names[node]

    def _prefix(self, node: Node) -> str:
        """The name of the module that an observed value is from; or that it is an input of, if it comes in float."""
        source, suffix = node.args[0], ""
        if self._stays_float(source):
            users = [user for user in node.users if user.name in self.plan.scopes]
            linear = [user for user in users if user.target is nn.functional.linear]
            source, suffix = next(iter((*linear, *users)), source), "_input"
        path, _ = self.plan.scopes.get(source.name, ("", None))
        return path + suffix

    def _passed(self, node: Node) -> Value:
        """A call that is run on its first argument as that is."""
        first = next(nodes_in(node.args), None)
        if asks(node):
            return Value(float=self.copy(node, self.as_it_is))
        module = self.modules[node.target] if node.op == "call_module" else None
        if self.reference or first is None or not self.is_quantizable(first) or not runs_on_integers(node, module):
            return Value(float=self.copy(node, self.as_float))
        made = self.copy(node, lambda part: self.as_quantized(part) if part is first else self.as_float(part))
        return Value(float=made) if node.name in self.plan.unobservable else Value(quantized=made)

    def _standalone(self, node: Node) -> Value:
        inner: Plan = self.modules[node.target].meta["plan"]
        indexes = inner.custom_config.input_quantized_indexes
        args = []
        for index, argument in enumerate(node.args):
            quantized = index in indexes
            if quantized and not (isinstance(argument, Node) and self.is_quantizable(argument)):
                raise ValueError(f"argument {index} of the standalone module {node.target!r} is not quantized")
            args.append(map_arg(argument, self.as_quantized if quantized else self.as_float))
        module = self.modules[node.target]
        if (module, None) not in self.swapped:
            self.swapped[module, None] = self.convert_standalone(module)
        kwargs = map_arg(node.kwargs, self.as_float)
        made = self.call_module(node, node.target, self.swapped[module, None], tuple(args), kwargs)
        return Value(quantized=made) if inner.custom_config.output_quantized_indexes else Value(float=made)

    def _output(self, result: Any) -> Any:
        indexes = self.plan.custom_config.output_quantized_indexes

        def made(part: Any, index: int) -> Any:
            if index not in indexes:
                return map_arg(part, self.as_float)
            for node in nodes_in(part):
                if not self.is_quantizable(node):
                    raise ValueError(f"output {index} was to be quantized, but {node.name!r} is computed in float")
            return map_arg(part, self.as_quantized)

        if isinstance(result, list | tuple):
            return type(result)(made(part, index) for index, part in enumerate(result))
        return made(result, 0)
