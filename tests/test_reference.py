"""Properties of the reference, and its live parity with torch's quantized operators where torch has them."""

import math
import random
import runpy
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from golden.calls import as_torchq
from torchq import ops, reference
from torchq.reference import recurrent

FIXTURES = runpy.run_path(str(Path(__file__).with_name("golden") / "make_fixtures.py"))
DTYPES = [torch.uint8, torch.int8, torch.int32]
EIGHT_BITS = [torch.uint8, torch.int8]

# Without VNNI, FBGEMM's own kernels saturate 16-bit sums, and the golden fixtures alone hold the parity.
torch_has_exact_kernels = pytest.mark.skipif(
    not hasattr(torch, "quint8")
    or "fbgemm" not in torch.backends.quantized.supported_engines
    or torch.backends.cpu.get_cpu_capability() != "AVX512",
    reason="this torch has no quantized dtypes, or no exact FBGEMM kernels for this CPU",
)


@pytest.fixture
def fbgemm_engine():
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = "fbgemm"
    yield
    torch.backends.quantized.engine = before


@torch_has_exact_kernels
@pytest.mark.usefixtures("fbgemm_engine")
@pytest.mark.parametrize("seed", [101, 102, 103, 104])
@pytest.mark.parametrize("family", FIXTURES["FAMILIES"])
def test_gives_torchs_integers(family, seed):
    for case in FIXTURES["FAMILIES"][family](FIXTURES["Source"](seed)):
        op, arguments = as_torchq(case.op, case.arguments)
        result = getattr(reference, op)(**arguments)
        assert torch.equal(result, case.expected), f"{case.op} {case.name}"


def test_fma_rounds_once():
    draw = random.Random(0)

    def float32(value: float) -> float:
        return float(torch.tensor(value, dtype=torch.float32))

    a = [float32(draw.uniform(-2, 2) * 2.0 ** draw.randint(-20, 20)) for _ in range(3000)]
    b = [float32(draw.uniform(-2, 2) * 2.0 ** draw.randint(-20, 20)) for _ in range(3000)]
    # A third cancels to leave the product's rounding error, a third meets a tie of float32 give or take a product.
    c = [float32(draw.uniform(-2, 2) * 2.0 ** draw.randint(-40, 60)) for _ in a]
    c[1::3] = [-float32(x * y) for x, y in zip(a[1::3], b[1::3], strict=True)]
    a[2::3] = [2.0 ** draw.randint(-3, 3) * draw.choice([1, 3, 5, 7]) for _ in a[2::3]]
    b[2::3] = [float32(2.0**-24 * (1 + draw.choice([-1, 0, 1]) * 2.0**-23)) for _ in a[2::3]]
    c[2::3] = [draw.choice([-1, 1]) * (1 + draw.randint(0, 7) * 2.0**-23) for _ in a[2::3]]
    results = reference.fma(torch.tensor(a), torch.tensor(b), torch.tensor(c))
    for x, y, z, result in zip(a, b, c, results, strict=True):
        exact = Fraction(x) * Fraction(y) + Fraction(z)
        error = abs(Fraction(float(result)) - exact)
        for direction in (-math.inf, math.inf):
            neighbour = torch.nextafter(result, torch.tensor(direction))
            other = abs(Fraction(float(neighbour)) - exact)
            assert error < other or (error == other and int(result.view(torch.int32)) % 2 == 0)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_nan_quantizes_to_qmax(dtype):
    qmax = torch.iinfo(dtype).max
    x, one, zero = torch.full((2, 3), math.nan), torch.ones(2), torch.zeros(2, dtype=torch.int64)
    assert reference.quantize_per_tensor(x, 1.0, 0, dtype).eq(qmax).all()
    assert reference.quantize_per_channel(x, one, zero, 0, dtype).eq(qmax).all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("value", [math.inf, 3.4e38, 2147483648.0], ids=["inf", "huge", "above-int32"])
def test_saturates_beyond_the_dtype(value, dtype):
    info = torch.iinfo(dtype)
    x = torch.tensor([value, -value])
    assert reference.quantize_per_tensor(x, 1.0, 0, dtype).tolist() == [info.max, info.min]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_ties_go_to_the_even_integer_after_adding_the_zero_point(dtype):
    x = torch.tensor([-0.5, 0.5, 1.5, 2.5])
    assert reference.quantize_per_tensor(x, 1.0, 5, dtype).tolist() == [4, 6, 6, 8]
    assert reference.quantize_per_tensor(x, 1.0, 4, dtype).tolist() == [4, 4, 6, 6]


def test_per_tensor_keeps_the_low_bits_that_per_channel_drops():
    x, scale, zero_point = torch.tensor([-9.95, -9.85]), torch.tensor([0.1]), torch.tensor([100])
    assert reference.quantize_per_tensor(x, 0.1, 100, torch.uint8).tolist() == [1, 1]
    assert reference.quantize_per_channel(x[None], scale, zero_point, 0, torch.uint8).tolist() == [[0, 2]]


def test_quantizes_the_examples_of_the_documentation():
    x = torch.tensor([-1.0, 0.0, 1.0, 2.0])
    assert reference.quantize_per_tensor(x, 0.1, 10, torch.uint8).tolist() == [0, 10, 20, 30]
    scales, zero_points = torch.tensor([0.1, 0.01]), torch.tensor([10, 0])
    q = reference.quantize_per_channel(x.reshape(2, 2), scales, zero_points, 0, torch.uint8)
    assert q.tolist() == [[0, 10], [100, 200]]


def test_int32_dequantize_does_not_wrap():
    q = torch.tensor([2**31 - 1, -(2**31)], dtype=torch.int32)
    assert reference.dequantize_per_tensor(q, 1.0, -(2**31)).tolist() == [2.0**32, 0.0]


def test_linear_sums_beyond_int32_exactly():
    x, weight = torch.full((1, 70_000), 255, dtype=torch.uint8), torch.full((1, 70_000), -128, dtype=torch.int8)
    y = reference.linear_dequantize(x, 1.0, 0, weight, torch.ones(1), None)
    assert y.item() == -255 * 128 * 70_000


def test_linear_saturates_sums_far_beyond_the_output():
    x, weight = torch.full((1, 20), 255, dtype=torch.uint8), torch.tensor([[127] * 20, [-128] * 20], dtype=torch.int8)
    y = reference.linear(x, 1.0, 0, weight, torch.ones(2), None, 1e-30, 7, torch.uint8)
    assert y.tolist() == [[255, 0]]


def test_linear_relu_floors_at_the_zero_point():
    x, weight = torch.tensor([[3]], dtype=torch.uint8), torch.tensor([[-1], [1]], dtype=torch.int8)
    y = reference.linear(x, 1.0, 0, weight, torch.ones(2), None, 1.0, 9, torch.int8, relu=True)
    assert y.tolist() == [[9, 12]]


@pytest.mark.parametrize("dtype", EIGHT_BITS, ids=str)
def test_pointwise_convolution_is_linear(dtype):
    source = FIXTURES["Source"](1)
    x, weight = source.full_range((2, 7, 3, 4), dtype), source.full_range((5, 7, 1, 1), torch.int8)
    zero_point, scales, bias = source.zero_point(dtype), source.scales(5), source.scales(5) * 1000
    window = ops.window((1, 1), (1, 1), (0, 0), (1, 1))
    output = (9.0, 3, dtype, True)
    y = reference.convolution(x, 0.05, zero_point, weight, scales, bias, window, False, *output)
    rows = x.permute(0, 2, 3, 1).reshape(-1, 7)
    expected = reference.linear(rows, 0.05, zero_point, weight.flatten(1), scales, bias, *output)
    assert torch.equal(y.permute(0, 2, 3, 1).reshape(-1, 5), expected)


def test_convolution_pads_with_the_zero_point():
    source = FIXTURES["Source"](2)
    x, weight = source.full_range((1, 4, 5, 5), torch.uint8), source.full_range((6, 2, 3, 3), torch.int8)
    arguments = (0.05, 77, weight, source.scales(6), None)
    options = {"groups": 2, "weight_zero_points": source.integers((6,), -128, 127)}
    padded = torch.nn.functional.pad(x.int(), (2, 2, 1, 1), value=77).to(torch.uint8)
    y = reference.convolution_dequantize(x, *arguments, ops.window((3, 3), (2, 1), (1, 2), (1, 1)), False, **options)
    expected = reference.convolution_dequantize(
        padded, *arguments, ops.window((3, 3), (2, 1), (0, 0), (1, 1)), False, **options
    )
    assert torch.equal(y, expected)


def dynamic_linear(x, per_token, relu=False, bias=None):
    source = FIXTURES["Source"](3)
    weight, scales = source.full_range((6, x.shape[-1]), torch.int8), source.scales(6)
    return reference.linear_dynamic(x, weight, scales, bias, per_token, False, relu)


def test_per_token_rows_do_not_depend_on_each_other():
    x = FIXTURES["Source"](4).near_ties((3, 5, 16), 0.1, 0)
    rows = torch.stack([dynamic_linear(row[None], per_token=False)[0] for row in x.reshape(15, 16)])
    assert torch.equal(dynamic_linear(x, per_token=True).reshape(15, 6), rows)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf], ids=str)
@pytest.mark.parametrize("relu", [False, True], ids=["plain", "relu"])
def test_dynamic_range_without_end_gives_nan(bad, relu):
    x = torch.ones(3, 8)
    x[1, 4] = bad
    per_token = dynamic_linear(x, per_token=True, relu=relu)
    assert per_token.isnan().all(1).tolist() == [False, True, False]
    assert dynamic_linear(x, per_token=False, relu=relu).isnan().all()


@pytest.mark.parametrize("per_token", [False, True], ids=["per-tensor", "per-token"])
def test_dynamic_linear_of_nothing_has_its_shape(per_token):
    assert dynamic_linear(torch.ones(2, 0, 8), per_token).shape == (2, 0, 6)


@pytest.mark.parametrize("per_token", [False, True], ids=["per-tensor", "per-token"])
def test_dynamic_linear_of_zeros_is_the_bias(per_token):
    bias = torch.arange(6) / 7
    assert torch.equal(dynamic_linear(torch.zeros(1, 8), per_token, bias=bias)[0], bias)


def test_add_rounds_before_adding_the_zero_point():
    a, b = torch.tensor([1, 3], dtype=torch.uint8), torch.tensor([0, 0], dtype=torch.uint8)
    assert reference.add(a, 0.5, 0, b, 0.5, 0, 1.0, 1).tolist() == [1, 3]


@pytest.mark.parametrize("dtype", EIGHT_BITS, ids=str)
def test_add_saturates_and_relu_floors_at_the_zero_point(dtype):
    info = torch.iinfo(dtype)
    a = torch.tensor([info.min, info.max], dtype=dtype)
    middle = info.max - 127
    assert reference.add(a, 1.0, middle, a, 1.0, middle, 1.0, middle).tolist() == [info.min, info.max]
    assert reference.add(a, 1.0, middle, a, 1.0, middle, 1.0, middle, relu=True).tolist() == [middle, info.max]


@pytest.mark.parametrize("dtype", EIGHT_BITS, ids=str)
def test_clamp_and_relu_keep_the_dtype(dtype):
    q = torch.tensor([0, 50, 100], dtype=dtype)
    assert torch.equal(reference.relu(q, 50), torch.tensor([50, 50, 100], dtype=dtype))
    assert torch.equal(reference.clamp(q, 10, 60), torch.tensor([10, 50, 60], dtype=dtype))


def test_pools_round_ties_differently():
    q = torch.tensor([[[[4, 5], [5, 4]]]], dtype=torch.uint8)
    window = ((2, 2), (2, 2), (0, 0), False, True, None)
    assert reference.avg_pool(q, 1, *window).item() == 5
    assert reference.adaptive_avg_pool(q, 1, (1, 1)).item() == 4


def test_average_of_padding_is_the_zero_point():
    q = torch.full((1, 1, 4, 4), 9, dtype=torch.int8)
    assert reference.avg_pool(q, 9, (3, 3), (2, 2), (1, 1), True, True, None).eq(9).all()
    assert reference.avg_pool(q, -3, (3, 3), (2, 2), (1, 1), True, False, None).eq(9).all()


@pytest.mark.parametrize("name", ["exp", "sigmoid", "tanh"])
def test_functions_of_gates_are_close(name):
    """Against float64, over the range in which exp neither overflows nor is clamped."""
    x = torch.cat([torch.linspace(-87, 88, 20_001), torch.linspace(-1, 1, 20_001), torch.logspace(-20, 0, 1001)])
    result = getattr(recurrent, f"_{name}")(x).double()
    expected = getattr(torch, name)(x.double())
    assert ((result - expected).abs() / expected.abs().clamp(min=1e-37)).max() < 2e-7


def test_functions_of_gates_end_where_they_should():
    x = torch.tensor([-math.inf, -1e30, 1e30, math.inf, math.nan])
    assert recurrent._sigmoid(x)[2:4].tolist() == [1.0, 1.0]
    assert (recurrent._sigmoid(x)[:2] < 1e-37).all()
    assert recurrent._tanh(x)[:4].tolist() == [-1.0, -1.0, 1.0, 1.0]
    assert recurrent._tanh(x)[4].isnan()
    assert recurrent._sigmoid(x)[4].isnan()
