import pytest
import torch
from torch import nn
from torch.nn import functional as F

import torchq
from torchq import ops, reference
from torchq.nn import quantized
from torchq.nn.intrinsic import quantized as intrinsic_quantized
from torchq.nn.quantized import Conv2d
from torchq.quantization import convert, default_per_channel_qconfig, prepare

SIZES = {1: (2, 6, 11), 2: (2, 6, 9, 8), 3: (2, 6, 7, 5, 6)}


def generator():
    return torch.Generator().manual_seed(0)


def random_input(size=(2, 6, 9, 8)):
    return torchq.quantize_per_tensor(torch.randn(size, generator=generator()), 0.02, 60, torchq.quint8)


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 1},
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)},
        {"kernel_size": 3, "groups": 3, "bias": False},
        {"kernel_size": 5, "padding": "same"},
        {"kernel_size": 3, "padding": "valid"},
    ],
    ids=["1x1", "3x3", "uneven", "groups", "same", "valid"],
)
@pytest.mark.parametrize("module", [Conv2d, intrinsic_quantized.ConvReLU2d])
def test_gives_the_integers_of_the_contract(module, arguments):
    conv = module(6, 9, **arguments)
    kernel = conv.weight().shape
    integers = torch.randint(-128, 128, kernel, dtype=torch.int8, generator=generator())
    scales = torch.rand(9, generator=generator()) * 0.01 + 0.001
    bias = None if conv.bias() is None else torch.randn(9, generator=generator())
    conv.set_weight_bias(torchq.QTensor(integers, scales.double(), torch.zeros(9, dtype=torch.int64), 0), bias)
    conv.set_output_qparams(0.06, 110)
    x = random_input()
    window = ops.window(conv.kernel_size, conv.stride, conv.padding, conv.dilation)
    output = (0.06, 110, torch.uint8, module is not Conv2d)
    expected = reference.convolution(
        x.int_repr(), 0.02, 60, integers, scales, bias, window, False, *output, groups=conv.groups
    )
    result = conv(x)
    assert torch.equal(result.int_repr(), expected)
    assert (result.q_scale(), result.q_zero_point()) == (0.06, 110)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("dims", SIZES)
def test_gives_the_integers_of_the_contract_in_every_dimension(dims, relu):
    kind = getattr(intrinsic_quantized, f"ConvReLU{dims}d") if relu else getattr(quantized, f"Conv{dims}d")
    conv = kind(6, 9, 3, stride=2, padding=1, dilation=1, groups=3)
    integers = torch.randint(-128, 128, conv.weight().shape, dtype=torch.int8, generator=generator())
    scales, bias = torch.rand(9, generator=generator()) * 0.01 + 0.001, torch.randn(9, generator=generator())
    conv.set_weight_bias(torchq.QTensor(integers, scales.double(), torch.zeros(9, dtype=torch.int64), 0), bias)
    conv.set_output_qparams(0.06, 110)
    x = random_input(SIZES[dims])
    window = ops.window(*[(number,) * dims for number in (3, 2, 1, 1)])
    arguments = (x.int_repr(), 0.02, 60, integers, scales, bias, window, False, 0.06, 110, torch.uint8, relu)
    assert torch.equal(conv(x).int_repr(), reference.convolution(*arguments, groups=3))


@pytest.mark.parametrize("dims", SIZES)
def test_reflects_at_the_edges(dims):
    reflecting = getattr(quantized, f"Conv{dims}d")(6, 4, 3, padding=2, padding_mode="reflect")
    valid = getattr(quantized, f"Conv{dims}d")(6, 4, 3)
    weight = torchq.quantize_per_tensor(torch.randn(valid.weight().shape, generator=generator()), 0.03, 0, torchq.qint8)
    for conv in (reflecting, valid):
        conv.set_weight_bias(weight, None)
        conv.set_output_qparams(0.1, 100)
    x = random_input(SIZES[dims])
    padded = torchq.QTensor(F.pad(x.int_repr(), (2, 2) * dims, mode="reflect"), x.q_scale(), x.q_zero_point())
    for _ in range(2):
        assert torch.equal(reflecting(x), valid(padded))


@pytest.mark.parametrize("relu", [False, True])
def test_sum_is_between_convolution_and_rounding(relu):
    conv = intrinsic_quantized.ConvAddReLU2d(6, 4, 3) if relu else intrinsic_quantized.ConvAdd2d(6, 4, 3)
    integers = torch.randint(-128, 128, (4, 6, 3, 3), dtype=torch.int8, generator=generator())
    conv.set_weight_bias(torchq.QTensor(integers, 0.004, 0), None)
    conv.set_output_qparams(0.06, 110)
    x, y = random_input(), random_input((2, 4, 7, 6))
    window = ops.window((3, 3), (1, 1), (0, 0), (1, 1))
    output = (0.06, 110, torch.uint8, relu, y.int_repr(), 0.02, 60)
    weight = (integers, torch.full((4,), 0.004), None)
    expected = reference.convolution(x.int_repr(), 0.02, 60, *weight, window, False, *output)
    for _ in range(2):  # the second call runs a prepared layer
        assert torch.equal(conv(x, y).int_repr(), expected)


@pytest.mark.parametrize("calls", [0, 1], ids=["at-once", "after-a-call"])
@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (torch.zeros(2, 4, 7, 6), TypeError, "takes a quantized tensor, got a float tensor"),
        (random_input((2, 4, 7, 5)), RuntimeError, "residual must have the output's shape"),
        (
            torchq.quantize_per_tensor(torch.zeros(2, 4, 7, 6), 0.1, 0, torchq.qint8),
            ValueError,
            r"gives torchq\.quint8, got an extra_input of torchq\.qint8",
        ),
    ],
    ids=["float", "shape", "dtype"],
)
def test_sum_refuses_what_does_not_fit(y, error, message, calls):
    conv, fits = intrinsic_quantized.ConvAdd2d(6, 4, 3), random_input((2, 4, 7, 6))
    for _ in range(calls):
        conv(random_input(), fits)
    with pytest.raises(error, match=message):
        conv(random_input(), y)
    conv(random_input(), fits)


def test_sum_refuses_a_depthwise_convolution():
    with pytest.raises(ValueError, match="QuantizedConvAdd2d takes no depthwise convolution, got 6 groups"):
        intrinsic_quantized.ConvAdd2d(6, 6, 3, groups=6)


@pytest.mark.parametrize(
    "float_conv", [nn.Conv2d(6, 4, 3, padding="same"), nn.Conv2d(6, 4, (3, 1), stride=2, groups=2)], ids=repr
)
def test_converted_conv_has_the_float_ones_output_shape(float_conv):
    model = nn.Sequential(float_conv).eval()
    model.qconfig = default_per_channel_qconfig
    prepared = prepare(model)
    x = random_input()
    prepared(x.dequantize())
    assert convert(prepared)(x).shape == float_conv(x.dequantize()).shape


def test_moves_to_channels_last():
    conv = Conv2d(6, 4, 3).to(memory_format=torch.channels_last)
    assert conv(random_input()).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.zeros(1, 6, 4, 4), TypeError, "QuantizedConv2d takes a quantized tensor, got a float tensor"),
        (random_input((6, 4, 4)), ValueError, r"shape \[N, 6, H, W\], got \(6, 4, 4\)"),
        (random_input((1, 5, 4, 4)), ValueError, r"shape \[N, 6, H, W\], got \(1, 5, 4, 4\)"),
    ],
    ids=["float", "unbatched", "channels"],
)
def test_refuses_inputs_that_do_not_fit(x, error, message):
    with pytest.raises(error, match=message):
        Conv2d(6, 4, 3)(x)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"padding_mode": "circular"}, "QuantizedConv2d takes a padding_mode of zeros or reflect, got 'circular'"),
        ({"padding": "same", "kernel_size": 2}, "pads the sides unequally"),
        ({"groups": 4}, "at least 1 and divisible by groups, got 6, 4 and 4"),
        ({"dtype": torch.float32}, "takes no dtype"),
        ({"kernel_size": (1, 2, 3)}, r"kernel_size must be an integer >= 1, or a tuple of 2, got \(1, 2, 3\)"),
        ({"stride": -1}, "stride must be an integer >= 1, or a tuple of 2, got -1"),
        ({"dilation": 0}, "dilation must be an integer >= 1, or a tuple of 2, got 0"),
        ({"padding": "full"}, "padding must be numbers, 'valid' or 'same', got 'full'"),
        ({"padding": (0, 0.5)}, r"padding must be an integer >= 0, or a tuple of 2, got \(0, 0\.5\)"),
    ],
    ids=[
        "padding-mode",
        "unequal-same",
        "groups",
        "dtype",
        "kernel-size",
        "stride",
        "dilation",
        "padding-name",
        "padding",
    ],
)
def test_refuses_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        Conv2d(6, 4, **{"kernel_size": 3, **arguments})
