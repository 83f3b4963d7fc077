import pytest
import torch
from torch import nn

import torchq
from torchq import ops, reference
from torchq.nn.intrinsic import quantized as intrinsic_quantized
from torchq.nn.quantized import Conv2d
from torchq.quantization import convert, default_per_channel_qconfig, prepare


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
        ({"padding_mode": "reflect"}, "QuantizedConv2d pads with zeros, got padding_mode='reflect'"),
        ({"padding": "same", "kernel_size": 2}, "pads the sides unequally"),
        ({"groups": 4}, "groups must divide in_channels 6 and out_channels 4, got 4"),
        ({"dtype": torch.float32}, "takes no dtype"),
        ({"kernel_size": (1, 2, 3)}, r"kernel_size must be one or two integers >= 1, got \(1, 2, 3\)"),
        ({"stride": -1}, "stride must be one or two integers >= 1, got -1"),
        ({"dilation": 0}, "dilation must be one or two integers >= 1, got 0"),
        ({"padding": (0, 0.5)}, r"padding must be one or two integers >= 0, got \(0, 0\.5\)"),
    ],
    ids=["padding-mode", "unequal-same", "groups", "dtype", "kernel-size", "stride", "dilation", "padding"],
)
def test_refuses_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        Conv2d(6, 4, **{"kernel_size": 3, **arguments})
