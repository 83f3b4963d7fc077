"""Whole models."""

import copy

from torch import nn
from torch.fx import GraphModule

from torchq.migrate.graphs import convert_graph
from torchq.migrate.modules import converted, converted_container, is_container


def convert_model(model: nn.Module) -> nn.Module:
    """Returns a model that torch.ao quantized, in eager or graph mode, as one of torchq.

    Each of torch.ao's modules becomes torchq's of that name, with the same integers, scales and zero points; each call
    of ``torch.ops.quantized`` in a graph that of torchq. Other modules are copied, with their code: where that calls
    torch.ao itself, ``python -m torchq.migrate`` rewrites it.

    Args:
        model: what torch.ao's ``convert``, ``quantize_dynamic`` or ``convert_fx`` returned; is left as it is.

    Raises:
        ValueError: if torchq has no module or function for one of the model's; it is named.
    """
    done: dict[int, nn.Module] = {}
    _convert(model, "", done)
    return copy.deepcopy(model, done)


def _convert(module: nn.Module, name: str, done: dict[int, nn.Module]) -> None:
    """Puts what becomes of a module, and of those in it, into a memo for ``copy.deepcopy``."""
    if id(module) in done:
        return
    made = converted(module, name)
    if made is None:
        for child_name, child in module.named_children():
            _convert(child, f"{name}.{child_name}" if name else child_name, done)
        # Not named_children: a child may have two names.
        children = copy.deepcopy(module._modules, done)
        if isinstance(module, GraphModule):
            made = convert_graph(module, children)
        elif is_container(module):
            made = converted_container(module, children)
        else:
            return
    done[id(module)] = made
