"""Linear layers, int8 to int8 and dynamic, against the machine's limits and the other libraries."""

from functools import partial

import torch
import torch.ao.nn.quantized as nnq
import torch.ao.nn.quantized.dynamic as nnqd

import torchq
import torchq.nn.quantized
import torchq.nn.quantized.dynamic
from benchmarks import machine, onnx_graphs
from benchmarks.comparison import BEST, Call, compare
from benchmarks.harness import Measured
from benchmarks.layers import ENGINES, peer_calls, torchq_call
from benchmarks.onnx_graphs import Layer
from benchmarks.runtimes import onnx_calls
from torchq import reference

# M, K, N: from a single row to what fills the tile, and layers of ResNet-50 and BERT.
SHAPES = [
    (1, 64, 64),
    (1, 768, 768),
    (1, 4096, 4096),
    (16, 4096, 4096),
    (128, 768, 768),
    (128, 768, 3072),
    (128, 3072, 768),
    (512, 1024, 1024),
    (1024, 1024, 1024),
    (1024, 4096, 1024),
    (3136, 64, 256),
    (784, 512, 128),
]
# One row and a weight [N, K] that stays in the second-level cache, and one that no cache holds.
ROWS = [("in L2", 256, 1024, machine.IN_L2), ("in memory", 16384, 8192, machine.IN_MEMORY)]


def layer_of(m: int, k: int, n: int) -> Layer:
    """A linear layer on random integers of the whole range."""
    generator = torch.Generator().manual_seed(m + k + n)
    x = torch.randint(0, 256, (m, k), dtype=torch.uint8, generator=generator)
    weight = torch.randint(-128, 128, (n, k), dtype=torch.int8, generator=generator)
    scales = torch.rand(n, generator=generator) * 0.01 + 0.001
    return Layer(x, weight, scales, torch.randn(n, generator=generator), output_scale=0.02 * k**0.5)


def _expected(layer: Layer) -> torch.Tensor:
    arguments = (layer.x, layer.input_scale, layer.input_zero_point, layer.weight, layer.scales, layer.bias)
    return reference.linear(*arguments, layer.output_scale, layer.output_zero_point, torch.uint8)


def _static(m: int, k: int, n: int) -> dict[str, object]:
    layer, multiplies = layer_of(m, k, n), machine.multiplies()
    return compare(
        f"{m} x {k} x {n}",
        torchq_call(torchq.nn.quantized.Linear(k, n), layer),
        peer_calls(nnq.Linear, (k, n), layer),
        expected=_expected(layer),
        limits={"of peak": (multiplies.run, multiplies.amount)},
        work=m * k * n,
    )


def _row(name: str, n: int, k: int, size: int) -> dict[str, object]:
    layer, reads = layer_of(1, k, n), machine.reads(size)
    return compare(
        f"1 x {k} x {n}, weight {name}",
        torchq_call(torchq.nn.quantized.Linear(k, n), layer),
        {},
        expected=_expected(layer),
        limits={"of reading": (reads.run, reads.amount)},
        work=k * n,
    )


def _dynamic_peers(x: torch.Tensor, linear: torch.nn.Linear, layer: Layer) -> dict[str, Call]:
    weight = torch._make_per_channel_quantized_tensor(
        layer.weight, layer.scales.double(), torch.zeros(len(layer.scales), dtype=torch.int64), 0
    )
    calls, before = {}, torch.backends.quantized.engine
    for engine in ENGINES:
        torch.backends.quantized.engine = engine
        module = nnqd.Linear(linear.in_features, linear.out_features)
        module.set_weight_bias(weight, layer.bias)
        calls[f"ao {engine}"] = partial(module, x)
    torch.backends.quantized.engine = before
    model = partial(onnx_graphs.dynamic, x, layer.weight, layer.scales, layer.bias)
    # openvino runs this graph in float.
    return calls | {name: call for name, call in onnx_calls(model, x).items() if name == "onnxruntime"}


def _dynamic(m: int, k: int, n: int) -> dict[str, object]:
    layer = layer_of(m, k, n)
    x = torch.randn(m, k, generator=torch.Generator().manual_seed(m))
    module = torchq.nn.quantized.dynamic.Linear(k, n)
    module.set_weight_bias(
        torchq.QTensor(layer.weight, layer.scales.double(), torch.zeros(n, dtype=torch.int64), 0), layer.bias
    )
    return compare(
        f"{m} x {k} x {n}",
        partial(module, x),
        _dynamic_peers(x, torch.nn.Linear(k, n), layer),
        expected=reference.linear_dynamic(x, layer.weight, layer.scales, layer.bias, False, True),
    )


def run() -> list[Measured]:
    """Measures every shape, static and dynamic, and single rows beside the reading of their weight."""
    return [
        Measured("linear, static", [_static(*shape) for shape in SHAPES], ["x ao x86", BEST, "of peak"]),
        Measured("linear, dynamic", [_dynamic(*shape) for shape in SHAPES], ["x ao x86", BEST]),
        Measured("linear, one row", [_row(*row) for row in ROWS], ["of reading"]),
    ]
