import pytest
import torch
from torch import nn

import torchq
from torchq import reference
from torchq.nn.intrinsic import quantized as intrinsic_quantized
from torchq.nn.quantized import Linear, dynamic
from torchq.quantization import MinMaxObserver, PerChannelMinMaxObserver, QConfig


def generator():
    return torch.Generator().manual_seed(0)


def random_weight(per_channel, zero_points, out=7, features=12):
    integers = torch.randint(-128, 128, (out, features), dtype=torch.int8, generator=generator())
    if not per_channel:
        return torchq.QTensor(integers, 0.03, 5 if zero_points else 0)
    scales = torch.rand(out, dtype=torch.float64, generator=generator()) + 0.01
    points = torch.arange(out) - 3 if zero_points else torch.zeros(out, dtype=torch.int64)
    return torchq.QTensor(integers, scales.float().double(), points, 0)


def random_input(dtype=torchq.quint8, features=12):
    return torchq.quantize_per_tensor(torch.randn(2, 3, features, generator=generator()), 0.02, 60, dtype)


def expected_integers(x, weight, bias, scale, zero_point, relu=False):
    per_channel = weight.qscheme() is torchq.per_channel_affine
    out = weight.shape[0]
    return reference.linear(
        x.int_repr(),
        x.q_scale(),
        x.q_zero_point(),
        weight.int_repr(),
        weight.q_per_channel_scales().float() if per_channel else torch.full((out,), weight.q_scale()),
        bias,
        scale,
        zero_point,
        torch.uint8,
        relu,
        weight_zero_points=weight.q_per_channel_zero_points() if per_channel else weight.q_zero_point(),
    )


@pytest.mark.parametrize("zero_points", [False, True], ids=["symmetric", "affine"])
@pytest.mark.parametrize("per_channel", [False, True], ids=["per-tensor", "per-channel"])
@pytest.mark.parametrize("dtype", [torchq.quint8, torchq.qint8], ids=str)
@pytest.mark.parametrize("module", [Linear, intrinsic_quantized.LinearReLU])
def test_gives_the_integers_of_the_contract(module, dtype, per_channel, zero_points):
    linear = module(12, 7)
    weight, bias = random_weight(per_channel, zero_points), torch.randn(7, generator=generator())
    linear.set_weight_bias(weight, bias)
    linear.set_output_qparams(0.4, 100)
    x = random_input(dtype)
    result = linear(x)
    assert (result.q_scale(), result.q_zero_point(), result.qdtype) == (0.4, 100, torchq.quint8)
    relu = module is not Linear
    assert torch.equal(result.int_repr(), expected_integers(x, weight, bias, 0.4, 100, relu))


@pytest.mark.parametrize("zero_points", [False, True], ids=["symmetric", "affine"])
@pytest.mark.parametrize("per_channel", [False, True], ids=["per-tensor", "per-channel"])
def test_gives_back_its_weight(per_channel, zero_points):
    linear = Linear(12, 7)
    weight = random_weight(per_channel, zero_points)
    linear.set_weight_bias(weight, None)
    back = linear.weight()
    assert torch.equal(back.int_repr(), weight.int_repr())
    assert torch.equal(back.dequantize(), weight.dequantize())
    assert back.qscheme() is weight.qscheme()
    assert linear.bias() is None


def test_copies_the_bias():
    linear, bias = Linear(12, 7), torch.zeros(7)
    linear.set_weight_bias(random_weight(False, False), bias)
    bias.fill_(1.0)
    assert torch.equal(linear.bias(), torch.zeros(7))


def test_weight_observer_range_is_kept():
    qconfig = QConfig(MinMaxObserver, PerChannelMinMaxObserver.with_args(dtype=torchq.qint8, quant_min=-8, quant_max=7))
    linear = nn.Linear(12, 7)
    linear.qconfig, linear.activation_post_process = qconfig, MinMaxObserver()
    linear.activation_post_process(torch.ones(3))
    integers = Linear.from_float(linear).weight().int_repr()
    assert (integers.min(), integers.max()) == (-8, 7)


@pytest.mark.parametrize(
    ("observer", "message"),
    [
        (MinMaxObserver, r"dtype torchq\.qint8, got torchq\.quint8"),
        (PerChannelMinMaxObserver.with_args(dtype=torchq.qint8, ch_axis=1), "ch_axis is 1"),
    ],
    ids=["unsigned", "input-channels"],
)
def test_refuses_weight_observers_that_do_not_fit(observer, message):
    linear = nn.Linear(12, 7)
    linear.qconfig = QConfig(MinMaxObserver, observer)
    with pytest.raises(ValueError, match=message):
        dynamic.Linear.from_float(linear)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (
            torch.zeros(2, 12),
            TypeError,
            "QuantizedLinear takes a quantized tensor, got a float tensor",
        ),
        ((1,), TypeError, "got a tuple"),
        (random_input(features=11), ValueError, r"shape \[\.\.\., 12\], got \(2, 3, 11\)"),
        (torchq.quantize_per_tensor(torch.tensor(1.0), 1.0, 0, torchq.quint8), ValueError, r", 12\], got \(\)"),
        (random_weight(True, False, 2, 12), ValueError, "one scale, got one quantized per channel"),
    ],
    ids=["float", "tuple", "features", "no-dimension", "per-channel"],
)
def test_refuses_inputs_that_do_not_fit(x, error, message):
    with pytest.raises(error, match=message):
        Linear(12, 7)(x)


@pytest.mark.parametrize(
    ("weight", "bias", "error", "message"),
    [
        (torch.zeros(7, 12), None, TypeError, "takes a QTensor as weight, got Tensor"),
        (random_input(), None, ValueError, r"takes a torchq\.qint8 weight, got torchq\.quint8"),
        (random_weight(False, False, 8), None, ValueError, r"shape \(7, 12\), got \(8, 12\)"),
        (random_weight(False, False), torch.zeros(8), ValueError, r"bias of shape \(7,\), got \(8,\)"),
        (torchq.QTensor(torch.zeros(7, 12, dtype=torch.int8), 0.0, 0), None, ValueError, "finite and > 0"),
    ],
    ids=["float", "unsigned", "shape", "bias", "scale"],
)
def test_refuses_weights_that_do_not_fit(weight, bias, error, message):
    with pytest.raises(error, match=message):
        Linear(12, 7).set_weight_bias(weight, bias)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0.0, 0), ValueError, "scale must be finite and above 0, .* got 0.0"),
        ((1e-45, 0), ValueError, "within float32's range, got 1e-45"),
        ((float("nan"), 0), ValueError, "got nan"),
        ((1.0, 256), ValueError, r"zero_point must lie in \[0, 255\], the range of torch\.uint8, got 256"),
        ((1.0, 2.5), TypeError, "zero_point must be an integer, got 2.5"),
        ((1.0, 0, torchq.qint32), ValueError, r"is torchq\.quint8 or torchq\.qint8, got torchq\.qint32"),
    ],
    ids=["zero-scale", "small-scale", "nan-scale", "zero-point", "fraction", "dtype"],
)
def test_refuses_output_qparams_that_do_not_fit(arguments, error, message):
    with pytest.raises(error, match=message):
        Linear(12, 7).set_output_qparams(*arguments)


def test_output_qparams_become_python_numbers():
    linear = Linear(12, 7)
    linear.set_output_qparams(torch.tensor(0.5), torch.tensor(3))
    assert [(type(number), number) for number in (linear.scale, linear.zero_point)] == [(float, 0.5), (int, 3)]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_dynamic_computes_in_float32_and_keeps_the_dtype(dtype):
    linear = dynamic.Linear(12, 7)
    linear.set_weight_bias(random_weight(True, False), torch.ones(7))
    x = torch.randn(2, 12, generator=generator()).to(dtype)
    assert torch.equal(linear(x), linear(x.float()).to(dtype))


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (random_input(), TypeError, "takes a float tensor, got a quantized one: put a DeQuantStub before it"),
        (torch.zeros(2, 12, dtype=torch.int64), TypeError, "takes a float tensor, got torch.int64"),
        ([0.0] * 12, TypeError, "takes a float tensor, got a list"),
        (torch.zeros(2, 11), ValueError, r"shape \[\.\.\., 12\], got \(2, 11\)"),
        (torch.tensor(1.0), ValueError, r"shape \[\.\.\., 12\], got \(\)"),
    ],
    ids=["quantized", "integer", "list", "features", "no-dimension"],
)
def test_dynamic_refuses_inputs_that_do_not_fit(x, error, message):
    with pytest.raises(error, match=message):
        dynamic.Linear(12, 7)(x)
