import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import torchq
from torchq import reference
from torchq.nn.quantized import ELU, Dropout, Hardswish, LeakyReLU, MaxPool2d, PReLU, ReLU6, Sigmoid, Softmax
from torchq.quantization import (
    MinMaxObserver,
    QConfig,
    convert,
    default_quint8_weight_qconfig,
    get_default_qconfig,
    prepare,
)

pytestmark = pytest.mark.usefixtures("one_thread")
SCALE, ZERO_POINT = 0.011, 20
FUNCTIONS = {
    "Hardswish": (lambda: Hardswish(SCALE, ZERO_POINT), lambda x: x * (x + 3).clamp(0, 6) / 6),
    "ELU": (lambda: ELU(SCALE, ZERO_POINT, 0.7), lambda x: torch.where(x > 0, x, 0.7 * torch.expm1(x))),
    "LeakyReLU": (lambda: LeakyReLU(SCALE, ZERO_POINT, 0.3), lambda x: torch.where(x > 0, x, 0.3 * x)),
    "Sigmoid": (lambda: Sigmoid(SCALE, ZERO_POINT), lambda x: 1 / (1 + torch.exp(-x))),
}


def every_value(dtype, scale=0.047, zero_point=23):
    integers = torch.arange(dtype.qmin, dtype.qmax + 1).to(dtype.storage_dtype)
    return torchq.QTensor(integers, scale, zero_point)


@pytest.mark.parametrize("dtype", [torchq.quint8, torchq.qint8], ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_of_each_value_is_rounded_once(name, dtype):
    make, function = FUNCTIONS[name]
    x = every_value(dtype)
    values = function(reference.dequantize_per_tensor(x.int_repr(), x.q_scale(), x.q_zero_point()).double())
    expected = reference.quantize_per_tensor(values.float(), SCALE, ZERO_POINT, dtype.storage_dtype)
    result = make()(x)
    assert torch.equal(result.int_repr(), expected)
    assert (result.q_scale(), result.q_zero_point(), result.qdtype) == (SCALE, ZERO_POINT, dtype)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_input_qparams_may_change_at_each_call(name):
    make, function = FUNCTIONS[name]
    module = make()
    for scale, zero_point in ((0.01, 20), (0.05, 20), (0.05, 99), (0.01, 20)):
        x = every_value(torchq.quint8, scale, zero_point)
        values = x.dequantize()
        inside = (values >= 0) & (values < 1)
        assert (module(x).dequantize() - function(values))[inside].abs().max() <= 0.501 * SCALE


@pytest.mark.parametrize("dtype", [torchq.quint8, torchq.qint8], ids=str)
@pytest.mark.parametrize("dim", [0, 1, 2, -1, -3])
def test_softmax_along_a_dimension(dim, dtype):
    generator = torch.Generator().manual_seed(0)
    q = torchq.quantize_per_tensor(torch.randn(5, 6, 7, generator=generator), 0.05, 3, dtype)
    result = Softmax(dim, 1 / 256, dtype.qmin)(q)
    moved = q.int_repr().movedim(dim, -1).contiguous()
    expected = reference.softmax(moved, 0.05, 1 / 256, dtype.qmin).movedim(-1, dim)
    assert torch.equal(result.int_repr(), expected)


def test_softmax_without_a_dimension_is_an_error():
    with pytest.raises(ValueError, match="got dim=None"):
        Softmax(scale=1 / 256)


@pytest.mark.parametrize("slopes", [1, 4])
@pytest.mark.parametrize("dtype", [torchq.quint8, torchq.qint8], ids=str)
def test_prelu_gives_the_integers_of_the_contract(dtype, slopes):
    generator = torch.Generator().manual_seed(0)
    q = torchq.quantize_per_tensor(torch.randn(2, 4, 5, generator=generator), 0.03, 5, dtype)
    weight = torchq.quantize_per_tensor(torch.rand(slopes, generator=generator) - 0.3, 0.005, 60, torchq.quint8)
    module = PReLU(0.02, 9, slopes)
    module.set_weight(weight)
    expected = reference.prelu(q.int_repr(), 0.03, 5, weight.dequantize(), 0.02, 9)
    assert torch.equal(module(q).int_repr(), expected)


@pytest.mark.parametrize(
    "qconfig",
    [default_quint8_weight_qconfig, get_default_qconfig(), QConfig(MinMaxObserver, MinMaxObserver)],
    ids=["quint8", "default", "affine"],
)
def test_prelu_is_converted_with_its_slopes(qconfig):
    model = nn.Sequential(nn.PReLU(3)).eval()
    model[0].weight.data.copy_(torch.tensor([-0.5, 0.25, 1.5]))
    model.qconfig = qconfig
    prepared = prepare(model)
    prepared(torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0)))
    slopes = convert(prepared)[0].weight.dequantize()
    # Each within half a step, of the range [-0.5, 1.5] or [-1.5, 1.5].
    assert (slopes - model[0].weight).abs().max() <= 0.5001 * 3 / 255


@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        (torch.zeros(4), TypeError, "takes a QTensor as weight, got Tensor"),
        (torchq.quantize_per_tensor(torch.zeros(3), 0.1, 0, torchq.quint8), ValueError, r"shape \(4,\), got .*\(3,\)"),
        (torchq.quantize_per_tensor(torch.zeros(4), 0.1, 0, torchq.qint32), ValueError, r"got torchq\.qint32"),
    ],
    ids=["float", "shape", "dtype"],
)
def test_prelu_refuses_weights_that_do_not_fit(weight, error, message):
    with pytest.raises(error, match=message):
        PReLU(0.1, 0, 4).set_weight(weight)


def test_relu6_keeps_scale_and_zero_point():
    x = every_value(torchq.quint8)
    result = ReLU6()(x)
    assert (result.q_scale(), result.q_zero_point()) == (x.q_scale(), x.q_zero_point())
    assert torch.equal(result.int_repr(), x.int_repr().clamp(23, 23 + round(6 / 0.047)))


def test_relu6_writes_to_its_input_in_place():
    x = every_value(torchq.quint8)
    assert ReLU6(inplace=True)(x) is x
    assert x.int_repr().min() == 23


def test_dropout_passes_its_input_in_training_too():
    x = every_value(torchq.quint8)
    assert Dropout(0.9).train()(x) is x


def test_max_pool_is_torchs_and_works_on_integers():
    x = torchq.QTensor(torch.arange(16, dtype=torch.uint8).view(1, 1, 4, 4), 0.1, 3)
    with torchq.no_float_fallback():
        assert torch.equal(MaxPool2d(2)(x).int_repr(), torch.tensor([[[[5, 7], [13, 15]]]], dtype=torch.uint8))


@pytest.mark.parametrize("make", [lambda s, z: Hardswish(s, z), lambda s, z: Sigmoid(s, z), lambda s, z: PReLU(s, z)])
@pytest.mark.parametrize(
    ("scale", "zero_point", "error", "message"),
    [
        (0.0, 0, ValueError, "scale must be finite and above 0, .* got 0.0"),
        (math.nan, 0, ValueError, "got nan"),
        (0.1, 256, ValueError, "got 256"),
        (0.1, -129, ValueError, "got -129"),
        (0.1, 1.5, TypeError, "zero_point must be an integer, got 1.5"),
    ],
)
def test_refuses_output_qparams_that_do_not_fit(make, scale, zero_point, error, message):
    with pytest.raises(error, match=message):
        make(scale, zero_point)


def test_sigmoid_has_torch_aos_names_for_scale_and_zero_point():
    module = Sigmoid(1 / 256, 3)
    assert (module.output_scale, module.output_zero_point) == (module.scale, module.zero_point) == (1 / 256, 3)


def test_refuses_to_be_made_of_another_module():
    with pytest.raises(TypeError, match=r"Hardswish\.from_float takes Hardswish, got SiLU"):
        Hardswish.from_float(nn.SiLU())


def test_float_function_of_the_test_is_torchs():
    x = every_value(torchq.quint8).dequantize()
    assert torch.allclose(FUNCTIONS["Hardswish"][1](x), F.hardswish(x), atol=1e-6)
