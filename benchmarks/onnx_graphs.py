"""Graphs of one quantized layer, for the libraries that read ONNX: integers in and out, scales around the operator."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass
class Layer:
    """A linear layer or convolution with everything that its integers depend on.

    Attributes:
        x: uint8 input.
        weight: int8, ``[N, K]`` or ``[O, C / groups, *kernel]``.
        scales: float32, one for each output channel.
        bias: float32, in real units.
        convolution: stride, padding, dilation and groups of a convolution; None for a linear layer.
    """

    x: torch.Tensor
    weight: torch.Tensor
    scales: torch.Tensor
    bias: torch.Tensor
    convolution: dict[str, Any] | None = None
    input_scale: float = 0.05
    input_zero_point: int = 113
    output_scale: float = 4.0
    output_zero_point: int = 101


def static(layer: Layer) -> bytes:
    """The layer with uint8 input and output."""
    from onnx import TensorProto, helper, numpy_helper

    def constant(name: str, value: Any) -> Any:
        return numpy_helper.from_array(np.ascontiguousarray(value), name)

    bias_scale = (np.float32(layer.input_scale) * layer.scales.numpy()).astype(np.float32)
    bias = np.rint(layer.bias.numpy() / bias_scale).astype(np.int32)
    channels = len(bias)
    constants = [
        constant("x_scale", np.float32(layer.input_scale)),
        constant("x_zero", np.uint8(layer.input_zero_point)),
        constant("w", layer.weight.numpy()),
        constant("w_scale", layer.scales.numpy()),
        constant("w_zero", np.zeros(channels, np.int8)),
        constant("b", bias),
        constant("b_scale", bias_scale),
        constant("b_zero", np.zeros(channels, np.int32)),
        constant("y_scale", np.float32(layer.output_scale)),
        constant("y_zero", np.uint8(layer.output_zero_point)),
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "x_scale", "x_zero"], ["xf"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["wf"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "b_scale", "b_zero"], ["bf"], axis=0),
        helper.make_node("QuantizeLinear", ["yf", "y_scale", "y_zero"], ["y"]),
    ]
    if layer.convolution is None:
        product = helper.make_node("Gemm", ["xf", "wf", "bf"], ["yf"], transB=1)
        output_dims = [layer.x.shape[0], channels]
    else:
        window = layer.convolution
        padding = list(window["padding"])
        product = helper.make_node(
            "Conv",
            ["xf", "wf", "bf"],
            ["yf"],
            strides=list(window["stride"]),
            pads=padding + padding,
            dilations=list(window["dilation"]),
            group=window["groups"],
        )
        output_dims = [None] * layer.x.dim()
    nodes.insert(3, product)
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, list(layer.x.shape))],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, output_dims)],
        constants,
    )
    return _model(graph)


def dynamic(x: torch.Tensor, weight: torch.Tensor, scales: torch.Tensor, bias: torch.Tensor) -> bytes:
    """A linear layer with float32 input and output, the input quantized on the fly."""
    from onnx import TensorProto, helper, numpy_helper

    constants = [
        numpy_helper.from_array(np.ascontiguousarray(weight.numpy().T), "w"),
        numpy_helper.from_array(np.zeros(len(scales), np.int8), "w_zero"),
        numpy_helper.from_array(scales.numpy(), "w_scale"),
        numpy_helper.from_array(bias.numpy(), "b"),
    ]
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["xq", "x_scale", "x_zero"]),
        helper.make_node("MatMulInteger", ["xq", "w", "x_zero", "w_zero"], ["sums"]),
        helper.make_node("Cast", ["sums"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["x_scale", "w_scale"], ["scale"]),
        helper.make_node("Mul", ["floats", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "b"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(x.shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [x.shape[0], weight.shape[0]])],
        constants,
    )
    return _model(graph)


def _model(graph: Any) -> bytes:
    from onnx import checker, helper

    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    checker.check_model(model)
    return model.SerializeToString()
