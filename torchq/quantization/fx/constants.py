"""What a part of a traced model computes that does not depend on its input."""

from typing import Any

import torch
from torch import nn
from torch.fx import Node
from torch.fx.node import map_arg

from torchq.quantization.fake_quantize_base import FakeQuantizeBase
from torchq.quantization.observer import ObserverBase
from torchq.quantization.utils import getattr_from_fqn


class NotConstantError(ValueError):
    """A value depends on the model's input."""


@torch.no_grad()
def constant(model: nn.Module, argument: Any) -> Any:
    """Returns an argument of a call with the values of the nodes in it; what observers saw is as it was.

    Args:
        model: whose graph the nodes are in.
        argument: a node, a number, or a list or other container of them.

    Raises:
        NotConstantError: if a value depends on the model's input.
    """
    return map_arg(argument, lambda node: _value(model, node))


def show_constant(model: nn.Module, observer: nn.Module, source: Node) -> None:
    """Shows a value to its observer, if that saw no data and the value does not depend on the model's input.

    So weights need no calibration.
    """
    inner = observer.activation_post_process if isinstance(observer, FakeQuantizeBase) else observer
    if not getattr(inner, "has_data", True):
        try:
            observer(constant(model, source))
        except NotConstantError:
            return


def _value(model: nn.Module, node: Node) -> Any:
    if node.op == "placeholder":
        raise NotConstantError(f"{node.name} is an input")
    if node.op == "get_attr":
        return getattr_from_fqn(model, node.target)
    args, kwargs = constant(model, (node.args, node.kwargs))
    if node.op == "call_function":
        return node.target(*args, **kwargs)
    if node.op == "call_method":
        return getattr(args[0], node.target)(*args[1:], **kwargs)
    module = model.get_submodule(node.target)
    return args[0] if isinstance(module, ObserverBase | FakeQuantizeBase) else module(*args, **kwargs)
