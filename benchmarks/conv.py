"""Convolutions, int8 to int8, against the machine's limits and the other libraries."""

from math import prod
from typing import NamedTuple

import torch
import torch.ao.nn.quantized as nnq

import torchq.nn.quantized
from benchmarks import machine
from benchmarks.comparison import BEST, compare
from benchmarks.harness import Measured
from benchmarks.layers import peer_calls, torchq_call
from benchmarks.onnx_graphs import Layer
from torchq import ops, reference


class Shape(NamedTuple):
    """A convolution of a square image with a square kernel and "same" padding."""

    channels: int
    outputs: int
    size: int
    kernel: int
    stride: int = 1
    groups: int = 1
    dilation: int = 1


SHAPES = {
    "1 x 1": [Shape(64, 256, 56, 1), Shape(256, 64, 56, 1), Shape(512, 128, 28, 1), Shape(1024, 256, 14, 1)],
    "1 x 1 stride 2": [Shape(256, 512, 56, 1, 2), Shape(1024, 2048, 14, 1, 2)],
    "3 x 3": [Shape(64, 64, 56, 3), Shape(128, 128, 28, 3), Shape(256, 256, 14, 3), Shape(512, 512, 7, 3)],
    "3 x 3 stride 2": [Shape(64, 128, 56, 3, 2), Shape(256, 512, 14, 3, 2)],
    "first layer": [Shape(3, 64, 224, 7, 2), Shape(3, 32, 224, 3, 2)],
    "depthwise": [
        Shape(32, 32, 112, 3, 1, 32),
        Shape(144, 144, 56, 3, 1, 144),
        Shape(576, 576, 14, 3, 1, 576),
        Shape(96, 96, 112, 3, 2, 96),
        Shape(120, 120, 28, 5, 1, 120),
        Shape(144, 144, 56, 3, 1, 144, 2),
    ],
    "groups": [Shape(128, 128, 56, 3, 1, 32), Shape(256, 256, 28, 3, 1, 32), Shape(512, 512, 14, 3, 1, 32)],
}


def layer_of(shape: Shape) -> Layer:
    """The convolution on random integers of the whole range."""
    generator = torch.Generator().manual_seed(sum(shape))
    image, kernel = (1, shape.channels, shape.size, shape.size), (shape.kernel, shape.kernel)
    x = torch.randint(0, 256, image, dtype=torch.uint8, generator=generator)
    weight_shape = (shape.outputs, shape.channels // shape.groups, *kernel)
    weight = torch.randint(-128, 128, weight_shape, dtype=torch.int8, generator=generator)
    scales = torch.rand(shape.outputs, generator=generator) * 0.01 + 0.001
    bias = torch.randn(shape.outputs, generator=generator)
    window = {
        "stride": (shape.stride,) * 2,
        "padding": (shape.dilation * (shape.kernel // 2),) * 2,
        "dilation": (shape.dilation,) * 2,
        "groups": shape.groups,
    }
    # torchq and torch.ao keep images with their channels innermost.
    x = x.contiguous(memory_format=torch.channels_last)
    return Layer(x, weight, scales, bias, window, output_scale=0.02 * prod(weight_shape[1:]) ** 0.5)


def _row(kind: str, shape: Shape) -> dict[str, object]:
    layer, multiplies = layer_of(shape), machine.multiplies()
    window = layer.convolution
    arguments = (shape.channels, shape.outputs, shape.kernel, *window.values())
    expected = reference.convolution(
        layer.x,
        layer.input_scale,
        layer.input_zero_point,
        layer.weight,
        layer.scales,
        layer.bias,
        ops.window((shape.kernel,) * 2, window["stride"], window["padding"], window["dilation"]),
        False,
        layer.output_scale,
        layer.output_zero_point,
        torch.uint8,
        groups=shape.groups,
    )
    text = f"{kind}: {shape.channels} to {shape.outputs} of {shape.size} x {shape.size}"
    return compare(
        text + (", dilated" if shape.dilation > 1 else ""),
        torchq_call(torchq.nn.quantized.Conv2d(*arguments), layer),
        peer_calls(nnq.Conv2d, arguments, layer),
        expected=expected,
        limits={"of peak": (multiplies.run, multiplies.amount)},
        work=expected.numel() * layer.weight[0].numel(),
    )


def run() -> list[Measured]:
    """Measures every shape."""
    rows = [_row(kind, shape) for kind, shapes in SHAPES.items() for shape in shapes]
    # One that has next to nothing to multiply: what a call costs.
    smallest = _row("1 x 1", Shape(16, 16, 4, 1))
    return [
        Measured("convolution", rows, ["x ao fbgemm", "x ao x86", BEST, "of peak"]),
        Measured("convolution, the call", [smallest], ["x ao fbgemm", "x ao x86", BEST]),
    ]
