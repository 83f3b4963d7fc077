"""Finding the patterns of a backend config in a graph."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.fx import Node
from torch.nn.utils.parametrize import type_before_parametrizations

from torchq.quantization.backend_config import BackendConfig, BackendPatternConfig
from torchq.quantization.utils import MatchAllNode, NodePattern, Pattern

Modules = dict[str, nn.Module]


@dataclass
class Found:
    """Nodes that a pattern matched.

    Attributes:
        config: of the pattern.
        matched: what stands for each part of the pattern, nested as the pattern is: nodes, and where it takes any
            argument, that argument.
        nodes: the nodes of the pattern's operators, from the first that runs to the last.
    """

    config: BackendPatternConfig
    matched: NodePattern
    nodes: list[Node]

    @property
    def root(self) -> Node:
        """The node that takes the pattern's input."""
        getter = self.config._root_node_getter
        return self.nodes[0] if getter is None else getter(self.matched)

    @property
    def last(self) -> Node:
        """The node whose result is the pattern's."""
        return self.nodes[-1]

    @property
    def extra_inputs(self) -> list[Any]:
        """The pattern's inputs that are not the root's."""
        getter = self.config._extra_inputs_getter
        return [] if getter is None else getter(self.matched)


def sorted_configs(backend_config: BackendConfig) -> list[tuple[Pattern, BackendPatternConfig]]:
    """Returns the patterns, in the complex format, and their configs, patterns with more operators first."""
    return sorted(backend_config._pattern_complex_format_to_config.items(), key=lambda item: -_size(item[0]))


def _size(pattern: Pattern) -> int:
    return sum(map(_size, pattern)) if isinstance(pattern, tuple) else 1


def find(node: Node, configs: list[tuple[Pattern, BackendPatternConfig]], modules: Modules) -> Iterator[Found]:
    """Yields what ends with a node, in the order of the patterns.

    Args:
        node: the last node.
        configs: patterns in the complex format.
        modules: the model's, by name.
    """
    for pattern, config in configs:
        nodes: list[Node] = []
        matched = _matched(node, pattern, modules, nodes)
        if matched is not None:
            yield Found(config, matched, nodes)


def _matched(node: Any, pattern: Pattern, modules: Modules, nodes: list[Node], inside: bool = False) -> Any:
    """Returns what stands for the parts of a pattern, or None; adds its operators' nodes to ``nodes``."""
    if pattern is MatchAllNode:
        return node if isinstance(node, Node) else None
    operator, *arguments = pattern if isinstance(pattern, tuple) else (pattern,)
    # What others use as well has to be computed for them, so it is no inner part of a pattern.
    if not isinstance(node, Node) or (inside and len(node.users) > 1) or not _is_call(node, operator, modules):
        return None
    if not arguments:
        nodes.append(node)
        return node
    if len(arguments) != len(node.args):
        return None
    parts = [_matched(arg, part, modules, nodes, True) for arg, part in zip(node.args, arguments, strict=True)]
    if any(part is None for part in parts):
        return None
    nodes.append(node)
    return (node, *parts)


def _is_call(node: Node, operator: Pattern, modules: Modules) -> bool:
    if isinstance(operator, str):
        return node.op == "call_method" and node.target == operator
    if isinstance(operator, type) and issubclass(operator, nn.Module):
        return node.op == "call_module" and type_before_parametrizations(modules[node.target]) is operator
    return node.op == "call_function" and node.target is operator
