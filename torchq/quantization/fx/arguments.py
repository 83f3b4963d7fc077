"""The arguments of calls: by position, whether or not the model's code names them."""

import inspect
from collections.abc import Iterator
from itertools import takewhile
from typing import Any

import torch
from torch import nn
from torch.fx import Graph, Node
from torch.fx.operator_schemas import get_signature_for_torch_op

from torchq.quantization.fx.match import Modules
from torchq.quantization.fx.support import nodes_in


def give_by_position(graph: Graph, modules: Modules) -> None:
    """Gives calls their tensors by position where they are named, in place.

    All that follows then knows one form of a call: what it takes first, and where its weights and indexes are. Numbers
    stay named, unless they stand before a tensor.

    Args:
        graph: a traced model's.
        modules: the model's, by name.
    """
    for node in graph.nodes:
        if any(nodes_in(node.kwargs)):
            names = _positional(node, modules)[len(node.args) :]
            moved = list(takewhile(node.kwargs.__contains__, names))
            while moved and not any(nodes_in(node.kwargs[moved[-1]])):
                moved.pop()
            node.args = (*node.args, *(node.kwargs[name] for name in moved))
            node.kwargs = {name: value for name, value in node.kwargs.items() if name not in moved}


def argument(node: Node, name: str, modules: Modules) -> Any:
    """Returns what a call has for a parameter; None if nothing, or if there is no such parameter."""
    names = _positional(node, modules)
    given = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
    return given.get(name)


def renamed(kwargs: dict[str, Any], module: nn.Module, other: nn.Module) -> dict[str, Any]:
    """Returns a module's named arguments under the names that another one has in their place.

    Raises:
        ValueError: if it has neither the name nor the place.
    """
    given, taken = (list(inspect.signature(part.forward).parameters) for part in (module, other))

    def name_of(name: str) -> str:
        if name in taken:
            return name
        if name not in given[: len(taken)]:
            raise ValueError(f"{type(other).__name__} does not take the argument {name!r} of {type(module).__name__}")
        return taken[given.index(name)]

    return {name_of(name): value for name, value in kwargs.items()}


def _positional(node: Node, modules: Modules) -> list[str]:
    """The names of the parameters that a call can give by position, in order; none if they are not known."""
    for signature in _signatures(node, modules):
        try:
            signature.bind(*node.args, **node.kwargs)
        except TypeError:
            continue
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        names = [parameter.name for parameter in signature.parameters.values() if parameter.kind in positional]
        # Pools, which choose by an argument whether to return indexes, hide their parameters.
        hidden = not names and getattr(node.target, "__module__", None) == "torch.nn.functional"
        return ["input"] if hidden else names
    return []


def _signatures(node: Node, modules: Modules) -> Iterator[inspect.Signature]:
    """What a call may be a call of; a tensor's method has the parameters of torch's function of that name."""
    if node.op == "call_module":
        yield inspect.signature(modules[node.target].forward)
        return
    function = getattr(torch, node.target, None) if node.op == "call_method" else node.target
    if not callable(function):
        return
    try:
        yield inspect.signature(function)
    except ValueError:  # is built in
        yield from get_signature_for_torch_op(function) or ()
