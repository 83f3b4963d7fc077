"""Each pattern that is quantized: what stands for it in the graph, and that it computes with integers."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import torchq
from torchq.quantization import get_default_qconfig_mapping
from torchq.quantization.quantize_fx import convert_fx, convert_to_reference_fx, prepare_fx


class Calls(nn.Module):
    """Calls a function with the input and with parameters of given sizes."""

    def __init__(self, function, *sizes):
        super().__init__()
        self.function = function
        for index, size in enumerate(sizes):
            setattr(self, f"p{index}", nn.Parameter(torch.randn(size) / 2))
        self.names = [f"p{index}" for index in range(len(sizes))]

    def forward(self, x):
        return self.function(x, *(getattr(self, name) for name in self.names))


SEQUENCE, IMAGE, VOLUME = (2, 4, 9), (2, 4, 6, 6), (1, 4, 4, 4, 4)
MODULES = {
    "linear": (nn.Linear(9, 3), SEQUENCE, ["QuantizedLinear"]),
    "linear-relu": (nn.Sequential(nn.Linear(9, 3), nn.ReLU()), SEQUENCE, ["QuantizedLinearReLU"]),
    "linear-bn": (nn.Sequential(nn.Linear(9, 3), nn.BatchNorm1d(3)), (4, 9), ["QuantizedLinear"]),
    "conv1d": (nn.Conv1d(4, 3, 3), SEQUENCE, ["QuantizedConv1d"]),
    "conv1d-bn-relu": (
        nn.Sequential(nn.Conv1d(4, 3, 3), nn.BatchNorm1d(3), nn.ReLU()),
        SEQUENCE,
        ["QuantizedConvReLU1d"],
    ),
    "conv2d": (nn.Conv2d(4, 3, 3), IMAGE, ["QuantizedConv2d"]),
    "conv2d-bn-relu": (nn.Sequential(nn.Conv2d(4, 3, 3), nn.BatchNorm2d(3), nn.ReLU()), IMAGE, ["QuantizedConvReLU2d"]),
    "conv3d": (nn.Conv3d(4, 3, 3), VOLUME, ["QuantizedConv3d"]),
    "conv3d-relu": (nn.Sequential(nn.Conv3d(4, 3, 3), nn.ReLU()), VOLUME, ["QuantizedConvReLU3d"]),
    "transposed1d": (nn.ConvTranspose1d(4, 3, 3), SEQUENCE, ["QuantizedConvTranspose1d"]),
    "transposed2d-bn": (
        nn.Sequential(nn.ConvTranspose2d(4, 3, 2), nn.BatchNorm2d(3)),
        IMAGE,
        ["QuantizedConvTranspose2d"],
    ),
    "transposed3d": (nn.ConvTranspose3d(4, 3, 2), VOLUME, ["QuantizedConvTranspose3d"]),
    "batch-norm2d": (nn.BatchNorm2d(4), IMAGE, ["QuantizedBatchNorm2d"]),
    "batch-norm2d-relu": (nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()), IMAGE, ["QuantizedBNReLU2d"]),
    "batch-norm3d": (nn.BatchNorm3d(4), VOLUME, ["QuantizedBatchNorm3d"]),
    "layer-norm": (nn.LayerNorm(9), SEQUENCE, ["QuantizedLayerNorm"]),
    "group-norm": (nn.GroupNorm(2, 4), IMAGE, ["QuantizedGroupNorm"]),
    "instance-norm1d": (nn.InstanceNorm1d(4), SEQUENCE, ["QuantizedInstanceNorm1d"]),
    "instance-norm2d": (nn.InstanceNorm2d(4, affine=True), IMAGE, ["QuantizedInstanceNorm2d"]),
    "instance-norm3d": (nn.InstanceNorm3d(4), VOLUME, ["QuantizedInstanceNorm3d"]),
    "elu": (nn.ELU(0.5), SEQUENCE, ["QuantizedELU"]),
    "leaky-relu": (nn.LeakyReLU(0.2), SEQUENCE, ["QuantizedLeakyReLU"]),
    "hardswish": (nn.Hardswish(), SEQUENCE, ["QuantizedHardswish"]),
    "prelu": (nn.PReLU(4), SEQUENCE, ["QuantizedPReLU"]),
    "sigmoid": (nn.Sigmoid(), SEQUENCE, ["Sigmoid"]),
    "hardsigmoid": (nn.Hardsigmoid(), SEQUENCE, ["hardsigmoid"]),
    "tanh": (nn.Tanh(), SEQUENCE, ["tanh"]),
    "softmax": (nn.Softmax(1), SEQUENCE, ["QuantizedSoftmax"]),
    "gelu": (nn.GELU("tanh"), SEQUENCE, ["gelu"]),
    "silu": (nn.SiLU(), SEQUENCE, ["silu"]),
    "dropout": (nn.Dropout(), SEQUENCE, ["QuantizedDropout"]),
    "relu": (nn.ReLU(), SEQUENCE, ["ReLU"]),
    "relu6": (nn.ReLU6(), SEQUENCE, ["ReLU6"]),
    "hardtanh": (nn.Hardtanh(-0.5, 0.7), SEQUENCE, ["Hardtanh"]),
    "identity": (nn.Identity(), SEQUENCE, ["Identity"]),
    "max-pool1d": (nn.MaxPool1d(2), SEQUENCE, ["MaxPool1d"]),
    "max-pool2d": (nn.MaxPool2d(2), IMAGE, ["MaxPool2d"]),
    "max-pool3d": (nn.MaxPool3d(2), VOLUME, ["MaxPool3d"]),
    "avg-pool1d": (nn.AvgPool1d(2), SEQUENCE, ["AvgPool1d"]),
    "avg-pool2d": (nn.AvgPool2d(2), IMAGE, ["AvgPool2d"]),
    "avg-pool3d": (nn.AvgPool3d(2), VOLUME, ["AvgPool3d"]),
    "adaptive-pool1d": (nn.AdaptiveAvgPool1d(2), SEQUENCE, ["AdaptiveAvgPool1d"]),
    "adaptive-pool2d": (nn.AdaptiveAvgPool2d(2), IMAGE, ["AdaptiveAvgPool2d"]),
    "adaptive-pool3d": (nn.AdaptiveAvgPool3d(2), VOLUME, ["AdaptiveAvgPool3d"]),
    "pixel-shuffle": (nn.PixelShuffle(2), IMAGE, ["PixelShuffle"]),
    "pixel-unshuffle": (nn.PixelUnshuffle(2), IMAGE, ["PixelUnshuffle"]),
    "channel-shuffle": (nn.Sequential(nn.ReLU(), nn.ChannelShuffle(2)), IMAGE, ["ReLU", "ChannelShuffle"]),
    "flatten": (nn.Sequential(nn.ReLU(), nn.Flatten()), IMAGE, ["ReLU", "Flatten"]),
    "upsample": (nn.Upsample(scale_factor=2), IMAGE, ["Upsample"]),
    "upsample-bilinear": (nn.UpsamplingBilinear2d(scale_factor=2), IMAGE, ["UpsamplingBilinear2d"]),
}

FUNCTIONS = {
    "linear": (lambda x, w, b: F.linear(x, w, b), SEQUENCE, [(3, 9), (3,)], ["QuantizedLinear"]),
    "linear-keywords": (lambda x, w, b: F.linear(x, weight=w, bias=b), SEQUENCE, [(3, 9), (3,)], ["QuantizedLinear"]),
    "linear-relu": (lambda x, w: F.relu(F.linear(x, w)), SEQUENCE, [(3, 9)], ["QuantizedLinearReLU"]),
    "linear-transposed": (lambda x, w: F.linear(x, w.t()), SEQUENCE, [(9, 3)], ["QuantizedLinear"]),
    "conv1d": (lambda x, w, b: F.conv1d(x, w, b, 2, 1), SEQUENCE, [(3, 4, 3), (3,)], ["QuantizedConv1d"]),
    "conv2d": (lambda x, w: F.conv2d(x, w, padding=1, groups=2), IMAGE, [(6, 2, 3, 3)], ["QuantizedConv2d"]),
    "conv2d-relu": (
        lambda x, w, b: F.relu(F.conv2d(x, w, bias=b)),
        IMAGE,
        [(3, 4, 3, 3), (3,)],
        ["QuantizedConvReLU2d"],
    ),
    "conv3d": (lambda x, w: F.conv3d(x, w), VOLUME, [(3, 4, 2, 2, 2)], ["QuantizedConv3d"]),
    "transposed1d": (
        lambda x, w: F.conv_transpose1d(x, w, stride=2),
        SEQUENCE,
        [(4, 3, 3)],
        ["QuantizedConvTranspose1d"],
    ),
    "transposed2d": (
        *(lambda x, w, b: F.conv_transpose2d(x, w, b, 2, 1, 1, 2), IMAGE, [(4, 3, 3, 3), (6,)]),
        ["QuantizedConvTranspose2d"],
    ),
    "transposed3d": (lambda x, w: F.conv_transpose3d(x, w), VOLUME, [(4, 3, 2, 2, 2)], ["QuantizedConvTranspose3d"]),
    "add": (lambda x, p: x + p, SEQUENCE, [(4, 9)], ["quantize_per_tensor", "add"]),
    "add-function": (lambda x, p: torch.add(x, p), SEQUENCE, [(4, 9)], ["quantize_per_tensor", "add"]),
    "add-method": (lambda x: x.add(x), SEQUENCE, [], ["add"]),
    "add-in-place": (lambda x: F.relu(x).add_(x), SEQUENCE, [], ["relu", "add"]),
    "add-relu": (lambda x: F.relu(x + x), SEQUENCE, [], ["add_relu"]),
    "add-number": (lambda x: x + 0.7, SEQUENCE, [], ["add_scalar"]),
    "number-add-relu": (lambda x: F.relu(0.2 + x), SEQUENCE, [], ["add_scalar", "relu"]),
    "mul": (lambda x: x * x, SEQUENCE, [], ["mul"]),
    "mul-broadcast": (lambda x: x * torch.mean(x, (1, 2), keepdim=True), SEQUENCE, [], ["mean", "mul"]),
    "mul-relu": (lambda x: torch.relu(torch.mul(x, x)), SEQUENCE, [], ["mul_relu"]),
    "mul-number": (lambda x: -1.5 * x, SEQUENCE, [], ["mul_scalar"]),
    "matmul": (lambda x: torch.matmul(x, x.transpose(1, 2)), SEQUENCE, [], ["transpose", "matmul"]),
    "matmul-operator": (lambda x: x @ x.transpose(1, 2), SEQUENCE, [], ["transpose", "matmul"]),
    "bmm": (lambda x: torch.bmm(x, x.transpose(1, 2)), SEQUENCE, [], ["transpose", "matmul"]),
    "cat": (lambda x: torch.cat([x, F.relu(x), x], 1), SEQUENCE, [], ["relu", "cat"]),
    "stack": (lambda x: torch.stack([x, F.relu(x)]), SEQUENCE, [], ["relu", "stack"]),
    "relu": (lambda x: F.relu(x), SEQUENCE, [], ["relu"]),
    "relu-in-place": (lambda x: F.relu(F.relu6(x), inplace=True), SEQUENCE, [], ["relu6", "relu"]),
    "relu-method": (lambda x: x.relu(), SEQUENCE, [], ["relu"]),
    "clamp": (lambda x: torch.clamp(x, -0.3, 0.5), SEQUENCE, [], ["clamp"]),
    "hardtanh": (lambda x: F.hardtanh(x), SEQUENCE, [], ["hardtanh"]),
    "sigmoid": (lambda x: torch.sigmoid(x), SEQUENCE, [], ["sigmoid"]),
    "sigmoid-method": (lambda x: x.sigmoid(), SEQUENCE, [], ["sigmoid"]),
    "hardsigmoid": (lambda x: F.hardsigmoid(x), SEQUENCE, [], ["hardsigmoid"]),
    "tanh": (lambda x: torch.tanh(x), SEQUENCE, [], ["tanh"]),
    "softmax": (lambda x: F.softmax(F.relu(x), dim=1), SEQUENCE, [], ["relu", "softmax"]),
    "softmax-method": (lambda x: x.relu().softmax(-1), SEQUENCE, [], ["relu", "softmax"]),
    "hardswish": (lambda x: F.hardswish(x, inplace=True), SEQUENCE, [], ["hardswish"]),
    "elu": (lambda x: F.elu(x, 0.5), SEQUENCE, [], ["elu"]),
    "leaky-relu": (lambda x: F.leaky_relu(x, 0.2), SEQUENCE, [], ["leaky_relu"]),
    "gelu": (lambda x: F.gelu(x), SEQUENCE, [], ["gelu"]),
    "silu": (lambda x: F.silu(x), SEQUENCE, [], ["silu"]),
    "dropout": (lambda x: F.relu(F.dropout(x, 0.5, training=False)), SEQUENCE, [], ["relu"]),
    "layer-norm": (lambda x, w, b: F.layer_norm(x, (9,), w, b), SEQUENCE, [(9,), (9,)], ["layer_norm"]),
    "layer-norm-plain": (lambda x: F.layer_norm(x, (4, 9)), SEQUENCE, [], ["layer_norm"]),
    "group-norm": (lambda x, w: F.group_norm(x, 2, w), IMAGE, [(4,)], ["group_norm"]),
    "instance-norm": (lambda x, w, b: F.instance_norm(x, weight=w, bias=b), IMAGE, [(4,), (4,)], ["instance_norm"]),
    "max-pool2d": (lambda x: F.max_pool2d(x, 2, 1), IMAGE, [], ["max_pool2d"]),
    "avg-pool2d": (lambda x: F.avg_pool2d(x, 2), IMAGE, [], ["avg_pool2d"]),
    "adaptive-pool": (lambda x: F.adaptive_avg_pool2d(x, 1), IMAGE, [], ["adaptive_avg_pool2d"]),
    "mean": (lambda x: x.mean((2, 3)), IMAGE, [], ["mean"]),
    "nearest": (lambda x: F.interpolate(x, scale_factor=2.0), IMAGE, [], ["interpolate"]),
    "bilinear": (lambda x: F.interpolate(x, (9, 9), mode="bilinear"), IMAGE, [], ["interpolate"]),
    "moves": (
        *(lambda x: torch.flatten(F.relu(x).permute(0, 2, 1).unsqueeze(1).squeeze(1).contiguous(), 1), SEQUENCE, []),
        ["relu", "permute", "unsqueeze", "squeeze", "contiguous", "flatten"],
    ),
    "view": (lambda x: F.relu(x).view(x.size(0), -1), SEQUENCE, [], ["relu", "size", "view"]),
    "reshape": (lambda x: F.relu(x).reshape(-1), SEQUENCE, [], ["relu", "reshape"]),
    "chunks": (
        *(lambda x: (lambda parts: parts[0] + parts[1])(F.relu(x).chunk(2, 1)), SEQUENCE, []),
        ["relu", "chunk", "getitem", "getitem_1", "add"],
    ),
    "slice": (lambda x: F.relu(x)[:, 1:3], SEQUENCE, [], ["relu", "getitem"]),
}
# Patterns whose result is that of a float function, rounded: to the bit, whatever the order of sums.
EXACT = {"elu", "leaky-relu", "hardswish", "sigmoid", "hardsigmoid", "tanh", "gelu", "silu", "relu", "identity"}


def calls(model):
    """The calls of a graph: modules by the name that they print, functions and methods by that of the node."""
    return [
        model.get_submodule(node.target)._get_name() if node.op == "call_module" else node.name
        for node in model.graph.nodes
        if node.op.startswith("call_")
    ]


def calibrated(model, shape, **config):
    torch.manual_seed(1)
    for module in model.modules():
        if getattr(module, "running_var", None) is not None:
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    x = torch.randn(shape)
    prepared = prepare_fx(model.eval(), get_default_qconfig_mapping(), (x,), **config)
    prepared(x)
    return prepared, x


def check(name, model, shape, expected, **config):
    prepared, x = calibrated(model, shape, **config)
    converted = convert_fx(prepared)
    assert calls(converted) == ["quantize_per_tensor", *expected, "dequantize"]
    with torchq.no_float_fallback(), torch.no_grad():
        result = converted(x)
    reference = convert_to_reference_fx(prepared)(x)
    # Where float sums round another way than exact ones, a rounded result is one step off.
    step = (result - reference).abs().max() if name in EXACT else 0
    assert step == 0
    last = [node for node in prepared.graph.nodes if "activation_post" in node.name][-1]
    scale = prepared.get_submodule(last.target).calculate_qparams()[0].item()
    assert (result - reference).abs().max() < 1.5 * scale


@pytest.mark.parametrize("name", MODULES)
def test_module_runs_on_integers(name):
    module, shape, expected = MODULES[name]
    # The outermost module is traced into, whatever it is.
    check(name, module if type(module) is nn.Sequential else nn.Sequential(module), shape, expected)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_runs_on_integers(name):
    function, shape, sizes, expected = FUNCTIONS[name]
    torch.manual_seed(0)
    renamed = [f"{call}_1" if call == "quantize_per_tensor" else call for call in expected]
    check(name, Calls(function, *sizes), shape, renamed)


def test_softmax_of_what_was_masked_in_float_stays_in_float():
    def masked(x):
        scores = torch.matmul(x, x.transpose(1, 2))
        return torch.matmul(F.softmax(scores.masked_fill(scores > 1, float("-inf")), -1), x)

    prepared, x = calibrated(Calls(masked), SEQUENCE)
    converted = convert_fx(prepared)
    assert calls(converted) == [
        *("quantize_per_tensor", "transpose", "matmul", "dequantize", "gt", "masked_fill", "softmax"),
        *("quantize_per_tensor_1", "matmul_1", "dequantize_1"),
    ]
    assert (converted(x) - prepared(x)).abs().max() < 0.1


@pytest.mark.parametrize(
    "resized",
    [lambda x: F.interpolate(x, (9, 9), mode="bicubic"), lambda x: F.interpolate(x, (9, 9), None, "bicubic")],
    ids=["named", "by-position"],
)
def test_mode_without_integers_is_computed_in_float_between(resized):
    prepared, x = calibrated(Calls(lambda x: F.relu(resized(F.relu(x)))), IMAGE)
    converted = convert_fx(prepared)
    assert calls(converted) == [
        *("quantize_per_tensor", "relu", "dequantize", "interpolate", "quantize_per_tensor_1", "relu_1", "dequantize_1")
    ]
    with torchq.no_float_fallback():
        assert torch.equal(converted(x), convert_to_reference_fx(prepared)(x))


def test_weight_that_depends_on_the_input_is_multiplied_in_float():
    prepared, _ = calibrated(Calls(lambda x: F.linear(x, F.relu(x[0]))), SEQUENCE)
    assert "linear" in calls(convert_fx(prepared))


def test_sum_with_a_factor_is_computed_in_float():
    prepared, x = calibrated(Calls(lambda x: torch.add(x, x, alpha=2)), SEQUENCE)
    converted = convert_fx(prepared)
    assert calls(converted) == ["quantize_per_tensor", "dequantize", "add", "quantize_per_tensor_1", "dequantize_1"]
    assert (converted(x) - 3 * x).abs().max() < 0.1
