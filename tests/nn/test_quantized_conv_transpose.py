import pytest
import torch
from torch import nn
from torch.nn import functional as F

import torchq
from torchq.nn import quantized
from torchq.nn.quantized import ConvTranspose2d
from torchq.quantization import convert, default_per_channel_qconfig, default_qconfig, prepare

SIZES = {1: (2, 6, 7), 2: (2, 6, 5, 6), 3: (2, 6, 3, 5, 4)}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
CASES = {
    "plain": {},
    "stride": {"stride": 2, "output_padding": 1},
    "groups": {"groups": 3, "padding": 1},
    "dilation": {"dilation": 2, "padding": 1, "stride": 2},
}


def generator():
    return torch.Generator().manual_seed(0)


def random_input(size):
    return torchq.quantize_per_tensor(torch.randn(size, generator=generator()), 0.02, 60, torchq.quint8)


def random_weight(size, per_channel):
    integers = torch.randint(-128, 128, size, dtype=torch.int8, generator=generator())
    if not per_channel:
        return torchq.QTensor(integers, 1 / 256, 3)
    scales = (torch.rand(size[1], generator=generator()) * 0.01 + 0.001).double()  # of float32, which is kept
    return torchq.QTensor(integers, scales, torch.arange(size[1]) - 1, 1)


@pytest.mark.parametrize("per_channel", [False, True], ids=["per-tensor", "per-channel"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dims", SIZES)
def test_is_the_float_one_rounded_once(dims, case, per_channel):
    conv = getattr(quantized, f"ConvTranspose{dims}d")(6, 9, 3, **CASES[case])
    weight, bias = random_weight(tuple(conv.weight().shape), per_channel), torch.randn(9, generator=generator())
    conv.set_weight_bias(weight, bias)
    conv.set_output_qparams(0.05, 120)
    x = random_input(SIZES[dims])
    result = conv(x)
    values = (x.dequantize().double(), weight.dequantize().double(), bias.double())
    expected = TRANSPOSED[dims](*values, **CASES[case]).clamp((0 - 120) * 0.05, (255 - 120) * 0.05)
    assert result.shape == expected.shape
    # Half a step, and the roundings of scales and sums to float32, some 1e-6 of sums below 50 steps.
    assert (result.dequantize() - expected).abs().max() <= 0.5001 * 0.05


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("per_channel", [False, True], ids=["per-tensor", "per-channel"])
def test_gives_back_its_weight(per_channel, groups):
    conv = ConvTranspose2d(6, 9, (3, 2), groups=groups)
    weight = random_weight((6, 9 // groups, 3, 2), per_channel)
    conv.set_weight_bias(weight, None)
    assert torch.equal(conv.weight(), weight)
    assert conv.state_dict()["weight"].shape == (6, 9 // groups, 3, 2)
    assert conv.state_dict()["weight_scale"].shape == ((9 // groups,) if per_channel else ())


@pytest.mark.parametrize("qconfig", [default_qconfig, default_per_channel_qconfig], ids=["per-tensor", "per-channel"])
def test_conversion_has_a_scale_per_output_channel_or_one(qconfig):
    float_conv = nn.ConvTranspose2d(4, 6, 3, groups=2)
    with torch.no_grad():
        float_conv.weight.mul_(torch.tensor([1.0, 2.0, 4.0]).view(1, 3, 1, 1))
    model = nn.Sequential(float_conv).eval()
    model.qconfig = qconfig
    prepared = prepare(model)
    x = random_input((2, 4, 5, 6))
    prepared(x.dequantize())
    weight = convert(prepared)[0].weight()
    if qconfig is default_qconfig:
        assert weight.qscheme() is torchq.per_tensor_affine
    else:
        expected = float_conv.weight.abs().amax((0, 2, 3)) / 127.5
        assert weight.q_per_channel_axis() == 1
        assert torch.allclose(weight.q_per_channel_scales(), expected.double(), rtol=1e-6)


def test_prints_what_differs_from_the_defaults():
    conv = ConvTranspose2d(4, 6, 3, stride=2, output_padding=1, bias=False)
    assert repr(conv) == (
        "QuantizedConvTranspose2d(4, 6, kernel_size=(3, 3), stride=(2, 2), scale=1.0, zero_point=0, "
        "output_padding=(1, 1), bias=False)"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"padding_mode": "reflect"}, "takes a padding_mode of zeros, got 'reflect'"),
        ({"padding": "same"}, "padding must be an integer >= 0, or a tuple of 2, got 'same'"),
        ({"output_padding": -1}, "output_padding must be an integer >= 0"),
        ({"groups": 4}, "divisible by groups, got 6, 9 and 4"),
    ],
    ids=["padding-mode", "padding", "output-padding", "groups"],
)
def test_refuses_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        ConvTranspose2d(6, 9, 3, **arguments)


@pytest.mark.parametrize(
    ("weight", "bias", "message"),
    [
        (random_weight((9, 6, 3, 3), False), None, r"weight of shape \(6, 9, 3, 3\), got \(9, 6, 3, 3\)"),
        (random_weight((6, 9, 3, 3), False), torch.zeros(6), r"bias of shape \(9,\), got \(6,\)"),
        (
            torchq.QTensor(torch.zeros(6, 9, 3, 3, dtype=torch.int8), torch.ones(6).double(), torch.zeros(6).long(), 0),
            None,
            "one scale per index of axis 1, got axis 0",
        ),
    ],
    ids=["shape", "bias", "axis"],
)
def test_refuses_weights_that_do_not_fit(weight, bias, message):
    with pytest.raises(ValueError, match=message):
        ConvTranspose2d(6, 9, 3).set_weight_bias(weight, bias)
