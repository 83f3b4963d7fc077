"""Graph modules that are saved with their graph, and the quantized one, whose qparams are Python numbers."""

import pickle
import pkgutil
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.fx import Graph, GraphModule, Node
from torch.fx.graph_module import _USER_PRESERVED_ATTRIBUTES_KEY
from torch.fx.node import _get_qualified_name, map_aggregate

from torchq.nn.quantized.state import PlainStateModule

__all__ = ["ObservedGraphModule", "QuantizedGraphModule"]

# In a quantized model's meta: for each layer that was a function, the names that its output's scale and zero point
# would have as attributes, which is where torch.ao has them.
OUTPUT_QPARAMS = "output_qparams"


class _Named:
    """Stands for a node in what is pickled."""

    def __init__(self, name: str) -> None:
        self.name = name


class SavedGraphModule(GraphModule):
    """A graph module whose graph is pickled node by node.

    torch's own pickles code, and traces it when it is loaded: that loses ``meta``, and follows torchq's functions
    inside.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        body = {name: value for name, value in self.__dict__.items() if name != "_graph"}
        return _restored, (type(self).__mro__[1], body, [_as_tuple(node) for node in self.graph.nodes])

    def preserve(self, attributes: dict[str, Any]) -> None:
        """Keeps attributes that the graph does not use, in copies of the module too."""
        self.meta[_USER_PRESERVED_ATTRIBUTES_KEY] = attributes
        for name, value in attributes.items():
            setattr(self, name, value)


def _as_tuple(node: Node) -> tuple[Any, ...]:
    target = _function_name(node.target) if node.op == "call_function" else node.target
    args, kwargs = map_aggregate(
        (node.args, node.kwargs), lambda value: _Named(value.name) if isinstance(value, Node) else value
    )
    return node.op, target, args, kwargs, node.name, node.type


def _function_name(function: Callable[..., Any]) -> str:
    # torchq's own by their public name, which does not depend on the file that they are in.
    for name in (f"torchq.{getattr(function, '__name__', '')}", _get_qualified_name(function)):
        try:
            if pkgutil.resolve_name(name) is function:
                return name
        except (AttributeError, ImportError, ValueError):
            continue
    raise pickle.PicklingError(f"cannot save a call of {function!r}: it is not found under the name {name!r}")


def _restored(cls: type[SavedGraphModule], body: dict[str, Any], nodes: list[tuple[Any, ...]]) -> SavedGraphModule:
    graph, made = Graph(), {}
    for op, target, args, kwargs, name, annotation in nodes:
        args, kwargs = map_aggregate(
            (args, kwargs), lambda value: made[value.name] if isinstance(value, _Named) else value
        )
        target = pkgutil.resolve_name(target) if op == "call_function" else target
        made[name] = graph.create_node(op, target, args, kwargs, name, annotation)
    root = nn.Module()
    root.__dict__.update(body)
    module = cls(root, graph)
    module.__dict__.update(body)
    return module


class ObservedGraphModule(SavedGraphModule):
    """What ``prepare_fx`` and ``prepare_qat_fx`` return: a model with observers in its graph."""


class QuantizedGraphModule(PlainStateModule, SavedGraphModule):
    """What ``convert_fx`` returns: a model whose graph has quantized modules and functions.

    The qparams of functions are attributes: ``scale_0``, a float, and ``zero_point_0``, an int, each with the name of
    the module that the function is in before it. State: these too, as float32 and int64.
    """

    def _qparams(self) -> dict[str, float | int]:
        """Returns the attributes of the graph that are numbers."""
        names = dict.fromkeys(node.target for node in self.graph.nodes if node.op == "get_attr")
        values = {name: self.__dict__.get(name) for name in names}
        return {name: value for name, value in values.items() if isinstance(value, float | int)}

    def _state(self) -> dict[str, torch.Tensor]:
        return {name: _tensor(value) for name, value in self._qparams().items()}

    def _set_state(self, state: dict[str, torch.Tensor]) -> None:
        for name, value in state.items():
            given, whole = value.item(), isinstance(getattr(self, name), int)
            if whole and value.is_floating_point():
                raise TypeError(f"{name} must be an integer, got {value.dtype}")
            if not whole and not (0 < given < float("inf")):
                raise ValueError(f"{name} must be finite and > 0, got {given}")
            setattr(self, name, given if whole else float(given))


def _tensor(value: float | int) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.int64 if isinstance(value, int) else torch.float32)
