"""Whole models."""

import copy
from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule

from torchq.dtypes import FROM_TORCH
from torchq.migrate.graphs import convert_graph
from torchq.migrate.modules import converted, converted_container, is_container
from torchq.migrate.values import as_qtensor


def convert_model(model: nn.Module) -> nn.Module:
    """Returns a model that torch.ao quantized, in eager or graph mode, as one of torchq.

    Each of torch.ao's modules becomes torchq's of that name, with the same integers, scales and zero points; each call
    of ``torch.ops.quantized`` in a graph that of torchq. Other modules are copied, with their code, their
    quantized tensors as QTensors: where that code calls torch.ao itself, ``python -m torchq.migrate`` rewrites it.

    Args:
        model: what torch.ao's ``convert``, ``quantize_dynamic`` or ``convert_fx`` returned; is left as it is.

    Raises:
        ValueError: if torchq has no module or function for one of the model's; it is named.
    """
    done: dict[int, Any] = {id(theirs): ours for theirs, ours in FROM_TORCH.items()}
    _convert(model, "", done)
    return copy.deepcopy(model, done)


def _convert(module: nn.Module, name: str, done: dict[int, Any]) -> None:
    """Puts what becomes of a module, and of those in it, into a memo for ``copy.deepcopy``."""
    if id(module) in done:
        return
    made = converted(module, name)
    if made is None:
        for child_name, child in module.named_children():
            _convert(child, f"{name}.{child_name}" if name else child_name, done)
        for value in (*vars(module).values(), *module._buffers.values()):
            if isinstance(value, torch.Tensor) and value.is_quantized:
                done[id(value)] = as_qtensor(value)
        # Not named_children: a child may have two names.
        children = copy.deepcopy(module._modules, done)
        if isinstance(module, GraphModule):
            made = convert_graph(module, children)
        elif is_container(module):
            made = converted_container(module, children)
        else:
            return
    done[id(module)] = made
