"""Single layers as torchq and as the other libraries run them."""

from functools import partial

import torch
from torch import nn

import torchq
from benchmarks import onnx_graphs
from benchmarks.comparison import Call
from benchmarks.onnx_graphs import Layer
from benchmarks.runtimes import onnx_calls

ENGINES = ("fbgemm", "x86")


def _weight(layer: Layer) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, int]:
    return layer.weight, layer.scales.double(), torch.zeros(len(layer.scales), dtype=torch.int64), 0


def torchq_call(module: nn.Module, layer: Layer) -> Call:
    """A call of torchq's module with the layer's numbers."""
    module.set_weight_bias(torchq.QTensor(*_weight(layer)), layer.bias)
    module.scale, module.zero_point = layer.output_scale, layer.output_zero_point
    return partial(module, torchq.QTensor(layer.x, layer.input_scale, layer.input_zero_point))


def torch_ao_calls(make: type[nn.Module], arguments: tuple, layer: Layer) -> dict[str, Call]:
    """Calls of torch.ao's module, its weight packed by each engine."""
    calls = {}
    x = torch._make_per_tensor_quantized_tensor(layer.x, layer.input_scale, layer.input_zero_point)
    before = torch.backends.quantized.engine
    for engine in ENGINES:
        torch.backends.quantized.engine = engine
        module = make(*arguments)
        module.set_weight_bias(torch._make_per_channel_quantized_tensor(*_weight(layer)), layer.bias)
        module.scale, module.zero_point = layer.output_scale, layer.output_zero_point
        calls[f"ao {engine}"] = partial(module, x)
    torch.backends.quantized.engine = before
    return calls


def peer_calls(make: type[nn.Module], arguments: tuple, layer: Layer) -> dict[str, Call]:
    """Calls of a static layer by torch.ao and by the libraries that read ONNX."""
    return torch_ao_calls(make, arguments, layer) | onnx_calls(partial(onnx_graphs.static, layer), layer.x)
