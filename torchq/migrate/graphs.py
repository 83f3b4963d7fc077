"""Graphs of torch.ao's graph mode."""

import copy
import functools
from typing import Any

import torch
from torch import nn
from torch._ops import OpOverload, OpOverloadPacket
from torch.fx import Graph, GraphModule, Node
from torch.fx.graph_module import _USER_PRESERVED_ATTRIBUTES_KEY

import torchq
from torchq.dtypes import from_torch
from torchq.migrate.names import found_for
from torchq.migrate.values import convolution_parameters, is_packed, linear_parameters
from torchq.nn import quantized
from torchq.nn.intrinsic import quantized as intrinsic_quantized
from torchq.nn.quantized import dynamic
from torchq.nn.quantized.state import QuantizedOutputModule
from torchq.quantization.fx.graph_module import QuantizedGraphModule

# Functions that take packed parameters -> the modules that do what they do, by the dimensions of an image.
_LINEAR: dict[str, type[nn.Module]] = {
    "linear": quantized.Linear,
    "linear_relu": intrinsic_quantized.LinearReLU,
    "linear_dynamic": dynamic.Linear,
    "linear_relu_dynamic": intrinsic_quantized.dynamic.LinearReLU,
}
_CONVOLUTIONS: dict[str, type[nn.Module]] = {
    **{f"conv{dims}d": getattr(quantized, f"Conv{dims}d") for dims in (1, 2, 3)},
    **{f"conv{dims}d_relu": getattr(intrinsic_quantized, f"ConvReLU{dims}d") for dims in (1, 2, 3)},
    **{f"conv{dims}d_dynamic": getattr(dynamic, f"Conv{dims}d") for dims in (1, 2, 3)},
    **{f"conv_transpose{dims}d": getattr(quantized, f"ConvTranspose{dims}d") for dims in (1, 2, 3)},
}
_TORCH_FUNCTIONS = {
    getattr(torch, name): getattr(torchq, name)
    for name in ("quantize_per_tensor", "quantize_per_channel", "quantize_per_tensor_dynamic")
    if hasattr(torch, name)
}


def convert_graph(model: GraphModule, children: dict[str, nn.Module]) -> QuantizedGraphModule:
    """Returns the graph module that does with torchq what one of torch.ao does with torch's quantized functions.

    Layers whose packed weight was an attribute become modules of that name, as ``torchq``'s own ``convert_fx`` makes
    them; scales and zero points become numbers.

    Args:
        model: quantized; is left as it is.
        children: its modules, converted.

    Raises:
        ValueError: if torchq has no function for one of the graph's.
    """
    converting = _Converting(model, children)
    for node in model.graph.nodes:
        converting.convert(node)
    return converting.finish()


class _Converting:
    def __init__(self, model: GraphModule, children: dict[str, nn.Module]) -> None:
        self.model = model
        self.root = nn.Module()
        self.root._modules.update(children)
        for name, parameter in model.named_parameters(recurse=False):
            self.root.register_parameter(name, copy.deepcopy(parameter))
        for name, buffer in model.named_buffers(recurse=False):
            self.root.register_buffer(name, buffer.clone())
        self.graph = Graph()
        self.made: dict[Node, Any] = {}

    def convert(self, node: Node) -> None:
        """Puts what becomes of a node into the new graph."""
        name = _quantized_function(node)
        if node.op == "get_attr" and is_packed(_attribute(self.model, node.target)):
            return  # what takes it becomes a module
        if node.op == "get_attr" and all(_takes_qparams(user) for user in node.users):
            self._set_number(node.target)
        if name in _LINEAR or name in _CONVOLUTIONS:
            self.made[node] = self._call_module(node, name)
            return
        self.made[node] = made = self.graph.node_copy(node, self.made.__getitem__)
        if name is not None:
            function = found_for(f"torch.ops.quantized.{name}")
            if function is None:
                raise ValueError(f"cannot migrate {node.name!r}: torchq has no function for torch.ops.quantized.{name}")
            made.target = function
        elif node.op == "call_function" and node.target in _TORCH_FUNCTIONS:
            made.target = _TORCH_FUNCTIONS[node.target]
            made.args = tuple(map(from_torch, made.args))
            made.kwargs = {name: from_torch(value) for name, value in made.kwargs.items()}

    def finish(self) -> QuantizedGraphModule:
        """Returns the new model."""
        for node in reversed(self.graph.nodes):
            if node.op == "get_attr" and not node.users:
                self.graph.erase_node(node)
        self.graph.lint()
        made = QuantizedGraphModule(self.root, self.graph).train(self.model.training)
        preserved = self.model.meta.get(_USER_PRESERVED_ATTRIBUTES_KEY, {})
        made.preserve(preserved)
        return made

    def _set_number(self, target: str) -> None:
        """Makes a buffer with one scale or zero point a number, as the graph's functions take it."""
        value = self.root._buffers.get(target)
        if value is not None and value.numel() == 1:
            del self.root._buffers[target]
            setattr(self.root, target, value.item())

    def _call_module(self, node: Node, name: str) -> Node:
        if node.kwargs:
            raise ValueError(f"cannot migrate {node.name!r}: it names arguments: {', '.join(node.kwargs)}")
        x, packed, *rest = node.args
        module = _linear(name, self._value(packed)) if name in _LINEAR else _convolution(name, self._value(packed))
        if isinstance(module, QuantizedOutputModule):
            module.set_output_qparams(*map(self._value, rest))
        elif not (rest and self._value(rest[0])):
            raise ValueError(f"cannot migrate {node.name!r}: torchq's dynamic layers quantize in 7 bits, this one in 8")
        target = packed.target
        while target in self.root._modules:
            target += "_"
        self.root.add_module(target, module)
        return self.graph.create_node("call_module", target, (self.made[x],), name=node.name)

    def _value(self, argument: Any) -> Any:
        """Returns the value of an argument that does not depend on the model's input."""
        value = _attribute(self.model, argument.target) if isinstance(argument, Node) else argument
        return value.item() if isinstance(value, torch.Tensor) else value


def _attribute(model: nn.Module, path: str) -> Any:
    return functools.reduce(getattr, path.split("."), model)


def _quantized_function(node: Node) -> str | None:
    """Returns the name that a called function has in ``torch.ops.quantized``, if it is one of these."""
    if node.op != "call_function" or not isinstance(node.target, OpOverload | OpOverloadPacket):
        return None
    packet = node.target.overloadpacket if isinstance(node.target, OpOverload) else node.target
    namespace, _, name = packet._qualified_op_name.partition("::")
    return name if namespace == "quantized" else None


def _takes_qparams(node: Node) -> bool:
    return _quantized_function(node) is not None or node.target is getattr(torch, "quantize_per_tensor", None)


def _linear(name: str, packed: Any) -> nn.Module:
    weight, bias = linear_parameters(packed)
    out_features, in_features = weight.shape
    module = _LINEAR[name](in_features, out_features, bias is not None)
    module.set_weight_bias(weight, bias)
    return module


def _convolution(name: str, packed: Any) -> nn.Module:
    weight, bias, window = convolution_parameters(packed)
    cls, groups = _CONVOLUTIONS[name], window.pop("groups")
    if cls.dims == 1:
        weight = weight.squeeze(2)
    window = {key: sizes[-cls.dims :] for key, sizes in window.items()}
    first, second = weight.shape[0], weight.shape[1] * groups
    if cls._transposed:
        channels = (first, second)
    else:
        channels = (second, first)
        del window["output_padding"]
    module = cls(*channels, tuple(weight.shape[2:]), **window, groups=groups, bias=bias is not None)
    module.set_weight_bias(weight, bias)
    return module
