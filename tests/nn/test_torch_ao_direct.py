"""Modules that torch.ao's convert does not make, or whose input may be signed, beside torch.ao's: made by hand."""

import pytest
import torch

import torchq
from torchq.nn import quantized

pytestmark = pytest.mark.usefixtures("one_thread", "torch_ao")
ZERO_POINTS = {"quint8": 120, "qint8": -10}
# A power of two: some modules of torch.ao hold their scale in float32.
SCALE, ZERO_POINT = 1 / 32, 3
FLOATS = torch.Generator().manual_seed(0)


def inputs(dtype, *size, seed=0, scale=0.05):
    """The same quantized tensor of torch and of torchq."""
    x = torch.randn(size, generator=torch.Generator().manual_seed(seed)) * 2
    zero_point = ZERO_POINTS[dtype]
    return tuple(lib.quantize_per_tensor(x, scale, zero_point, getattr(lib, dtype)) for lib in (torch, torchq))


def assert_close(given, expected, share):
    """The same qparams, and integers that are one apart at no more than a share of the places."""
    assert (given.q_scale(), given.q_zero_point()) == (expected.q_scale(), expected.q_zero_point())
    difference = (given.int_repr().int() - expected.int_repr().int()).abs()
    assert difference.max() <= (1 if share else 0)
    assert (difference > 0).sum() <= max(1, share * difference.numel()) * (share > 0)


C = 6
AFFINE = tuple(torch.nn.Parameter(torch.rand(C, generator=FLOATS) + 0.5) for _ in range(2))
MODULES = {
    "Hardswish": lambda nnq: nnq.Hardswish(SCALE, ZERO_POINT),
    "ELU": lambda nnq: nnq.ELU(SCALE, ZERO_POINT, 0.7),
    "LeakyReLU": lambda nnq: nnq.LeakyReLU(SCALE, ZERO_POINT, 0.2),
    "Sigmoid": lambda nnq: nnq.Sigmoid(1 / 128, ZERO_POINT),
    "Softmax": lambda nnq: nnq.Softmax(1, 1 / 256, ZERO_POINT),
    "Softmax-first": lambda nnq: nnq.Softmax(0, 1 / 256, ZERO_POINT),
    "Softmax-last": lambda nnq: nnq.Softmax(-1, 1 / 256, ZERO_POINT),
    "LayerNorm": lambda nnq: nnq.LayerNorm([5, 7], None, None, SCALE, ZERO_POINT),
    "GroupNorm": lambda nnq: nnq.GroupNorm(3, C, *AFFINE, SCALE, ZERO_POINT),
    "InstanceNorm2d": lambda nnq: nnq.InstanceNorm2d(C, None, None, SCALE, ZERO_POINT),
    "ReLU6": lambda nnq: nnq.ReLU6(),
    "Dropout": lambda nnq: nnq.Dropout(),
}
EXACT = ("LeakyReLU", "ReLU6", "Dropout")


@pytest.mark.parametrize("dtype", ZERO_POINTS)
@pytest.mark.parametrize("name", MODULES)
def test_gives_the_integers_of_torch_ao(name, dtype):
    theirs, ours = (MODULES[name](nnq) for nnq in (torch.ao.nn.quantized, quantized))
    x, q = inputs(dtype, 4, C, 5, 7)
    # docs/numerics.md, Beside torch.ao, has the shares that were measured.
    assert_close(ours(q), theirs(x), 0 if name in EXACT else 1e-3)


@pytest.mark.parametrize("parameters", [1, C])
def test_prelu_gives_the_integers_of_torch_ao(parameters):
    # torch.ao's kernel has the slope 1 in the scale of the weight, so that needs room for it.
    slopes = torch.rand(parameters, generator=FLOATS)
    x, q = inputs("quint8", 4, C, 5, 7)
    theirs, ours = (nnq.PReLU(SCALE, ZERO_POINT, parameters) for nnq in (torch.ao.nn.quantized, quantized))
    theirs.set_weight(torch.quantize_per_tensor(slopes, 0.01, 0, torch.quint8))
    ours.set_weight(torchq.quantize_per_tensor(slopes, 0.01, 0, torchq.quint8))
    assert_close(ours(q), theirs(x), 1e-3)


@pytest.mark.parametrize("dtype", ZERO_POINTS)
@pytest.mark.parametrize(
    ("name", "sizes", "share"),
    [
        ("add", [(3, 33), (3, 33)], 0),
        ("add_relu", [(3, 33), (3, 33)], 0),
        ("add", [(3, 4, 33), (4, 1)], 0),
        ("mul", [(30, 33), (30, 33)], 1e-3),
        ("mul", [(3, 4, 33), (4, 1)], 1e-3),
        ("cat", [(3, 33), (5, 33)], 0),
        ("matmul", [(2, 7, 33), (2, 33, 5)], 1e-3),
    ],
)
def test_operation_gives_the_integers_of_torch_ao(name, sizes, share, dtype):
    (x, q), (y, p) = inputs(dtype, *sizes[0]), inputs(dtype, *sizes[1], seed=1, scale=0.021)
    theirs, ours = torch.ao.nn.quantized.QFunctional(), quantized.QFunctional()
    theirs.scale, theirs.zero_point = SCALE, ZERO_POINT
    ours.set_output_qparams(SCALE, ZERO_POINT, getattr(torchq, dtype))
    (expected, given) = (
        f.cat(list(operands)) if name == "cat" else getattr(f, name)(*operands)
        for f, operands in ((theirs, (x, y)), (ours, (q, p)))
    )
    assert_close(given, expected, share)


@pytest.mark.parametrize("relu", [False, True])
def test_convolution_with_a_sum_gives_the_integers_of_torch_ao(relu):
    if "onednn" not in torch.backends.quantized.supported_engines:
        pytest.skip("torch.ao has sums behind convolutions with its onednn engine only")
    torch.backends.quantized.engine = "onednn"
    name = "ConvAddReLU2d" if relu else "ConvAdd2d"
    theirs = getattr(torch.ao.nn.intrinsic.quantized, name)(16, 24, 3, padding=1)
    ours = getattr(torchq.nn.intrinsic.quantized, name)(16, 24, 3, padding=1)
    weight, bias = torch.randn(24, 16, 3, 3, generator=FLOATS) * 0.1, torch.randn(24, generator=FLOATS)
    theirs.set_weight_bias(torch.quantize_per_tensor(weight, 0.004, 0, torch.qint8), bias)
    ours.set_weight_bias(torchq.quantize_per_tensor(weight, 0.004, 0, torchq.qint8), bias)
    theirs.scale, theirs.zero_point = 0.05, 60
    ours.set_output_qparams(0.05, 60)
    # 7 bits: without VNNI instructions torch.ao's sums saturate beyond.
    x = torch.randint(0, 128, (2, 16, 6, 6), generator=FLOATS).to(torch.uint8)
    y = torch.randint(0, 256, (2, 24, 6, 6), generator=FLOATS).to(torch.uint8)
    x, y = (t.contiguous(memory_format=torch.channels_last) for t in (x, y))
    # torch.ao writes the result over the tensor that is added.
    expected = theirs(
        torch._make_per_tensor_quantized_tensor(x, 0.03, 40),
        torch._make_per_tensor_quantized_tensor(y.clone(), 0.04, 50),
    )
    given = ours(torchq.QTensor(x, 0.03, 40), torchq.QTensor(y, 0.04, 50))
    assert_close(given, expected, 1e-3)


@pytest.mark.parametrize("name", ["LinearTanh", "LinearLeakyReLU"])
def test_linear_with_an_activation_gives_the_integers_of_torch_ao(name):
    if "onednn" not in torch.backends.quantized.supported_engines:
        pytest.skip("torch.ao has activations behind linear layers with its onednn engine only")
    torch.backends.quantized.engine = "onednn"
    arguments = (32, 24, 0.1) if name == "LinearLeakyReLU" else (32, 24)
    theirs = getattr(torch.ao.nn.intrinsic.quantized, name)(*arguments)
    ours = getattr(torchq.nn.intrinsic.quantized, name)(*arguments)
    weight, bias = torch.randn(24, 32, generator=FLOATS) * 0.1, torch.randn(24, generator=FLOATS)
    theirs.set_weight_bias(torch.quantize_per_tensor(weight, 0.004, 0, torch.qint8), bias)
    ours.set_weight_bias(torchq.quantize_per_tensor(weight, 0.004, 0, torchq.qint8), bias)
    theirs.scale, theirs.zero_point = 0.01, 120
    ours.set_output_qparams(0.01, 120)
    x = torch.randint(0, 128, (40, 32), generator=FLOATS).to(torch.uint8)
    expected = theirs(torch._make_per_tensor_quantized_tensor(x, 0.03, 40))
    assert_close(ours(torchq.QTensor(x, 0.03, 40)), expected, 1e-3)
