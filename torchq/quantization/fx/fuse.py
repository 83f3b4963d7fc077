"""Fusing neighbouring modules of a traced model."""

from collections import Counter
from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule, Node
from torch.nn import functional as F
from torch.nn.utils.parametrize import type_before_parametrizations

from torchq.quantization.backend_config import BackendConfig, BackendPatternConfig
from torchq.quantization.fuse_modules import fuse_known_modules
from torchq.quantization.fx.match import Found, Modules, find, sorted_configs
from torchq.quantization.fx.support import label
from torchq.quantization.hooks import has_user_hooks

# A pattern's config, and the last node of what it matched.
_Refused = set[tuple[BackendPatternConfig, Node]]


def fuse(model: GraphModule, is_qat: bool, backend_config: BackendConfig) -> None:
    """Fuses what a backend fuses, in place.

    The fused module takes the place and the name of the pattern's root. A module that is called several times is
    fused only if all calls are in the same pattern with the same modules. What a fuser method does not join, for which
    it raises NotImplementedError, is tried with shorter patterns.

    Args:
        model: a traced model.
        is_qat: keep batch norm, for training, instead of folding it.
        backend_config: its configs with a fuser method count.

    Raises:
        ValueError: if modules cannot be fused; the message names them.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    configs = [(pattern, config) for pattern, config in sorted_configs(backend_config) if config.fuser_method]
    refused: _Refused = set()
    while True:
        calls = Counter(modules[node.target] for node in model.graph.nodes if node.op == "call_module")
        before = len(refused)
        for parts, matches in _found(model, configs, modules, refused).items():
            together = [
                calls[part] == len(matches) for part in parts if isinstance(part, nn.Module) and _has_state(part)
            ]
            if not (all(together) and _fuse(model, matches, is_qat, modules)):
                refused.update((match.config, match.last) for match in matches)
        if len(refused) == before:
            break
    model.recompile()


def _found(
    model: GraphModule, configs: list[Any], modules: Modules, refused: _Refused
) -> dict[tuple[Any, ...], list[Found]]:
    """The patterns in a graph, each group of them with the same modules and functions, by which it is known."""
    taken: set[Node] = set()
    groups: dict[tuple[Any, ...], list[Found]] = {}
    for node in reversed(model.graph.nodes):
        if node in taken:
            continue
        match = next((one for one in find(node, configs, modules) if (one.config, node) not in refused), None)
        if match is not None:
            taken.update(match.nodes)
            parts = (modules[part.target] if part.op == "call_module" else part.target for part in match.nodes)
            groups.setdefault((match.config, *parts), []).append(match)
    return groups


def _has_state(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None or next(module.buffers(), None) is not None


def _fuse(model: GraphModule, matches: list[Found], is_qat: bool, modules: Modules) -> bool:
    """Fuses matches that have the same modules; returns whether their fuser joins them."""
    names = [label(node) for node in matches[0].nodes]
    try:
        fused = _fused_module(matches[0], is_qat, modules)
    except NotImplementedError:
        return False
    except ValueError as error:
        raise ValueError(f"cannot fuse {names}: {error}") from error
    for match in matches:
        root, last, extra = match.root, match.last, match.extra_inputs
        model.set_submodule(root.target, fused)
        modules[root.target] = fused
        last.prepend(root)
        last.replace_all_uses_with(root)
        root.args = (*root.args, *extra)
        for node in reversed(match.nodes):
            if node is not root:
                model.graph.erase_node(node)
    return True


# Functions -> the modules that compute the same.
_MODULES = {F.relu: nn.ReLU, F.leaky_relu: nn.LeakyReLU, torch.tanh: nn.Tanh}


def _fused_module(match: Found, is_qat: bool, modules: Modules) -> nn.Module:
    """Returns what the pattern's fuser makes of its modules."""
    training = modules[match.root.target].training

    def module(part: Any) -> Any:
        if isinstance(part, tuple):
            return tuple(map(module, part))
        if not isinstance(part, Node):
            return part
        if part.op == "call_module":
            return modules[part.target]
        made = _MODULES.get(part.target)
        return part.target if made is None else made(**part.kwargs).train(training)

    fuser = match.config.fuser_method
    if match.config._pattern_complex_format is None:
        chain = [module(node) for node in match.nodes]
        if all(isinstance(part, nn.Module) for part in chain):
            types = tuple(type_before_parametrizations(part) for part in chain)
            return fuse_known_modules(chain, is_qat, {types: fuser})[0]
        return fuser(is_qat, *chain)
    parts = [modules[node.target] for node in match.nodes if node.op == "call_module"]
    if any(has_user_hooks(part._forward_hooks) or has_user_hooks(part._forward_pre_hooks) for part in parts):
        raise ValueError("hooks of modules that are added to others would be lost: remove them first")
    return fuser(is_qat, *map(module, match.matched))
