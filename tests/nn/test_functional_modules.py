import pytest
import torch

import torchq
from torchq import reference
from torchq.nn.quantized import DeQuantize, FloatFunctional, FXFloatFunctional, QFunctional, Quantize
from torchq.quantization import DeQuantStub, MinMaxObserver, QuantStub, convert, get_default_qconfig, prepare


def quantized(seed, *size, scale=0.03, zero_point=100, dtype=torchq.quint8):
    x = torch.randn(*size, generator=torch.Generator().manual_seed(seed))
    return torchq.quantize_per_tensor(x, scale, zero_point, dtype)


def functional(scale=0.05, zero_point=120):
    module = QFunctional()
    module.set_output_qparams(scale, zero_point)
    return module


@pytest.mark.parametrize("name", ["add", "add_relu"])
def test_sum_gives_the_integers_of_the_contract(name):
    x, y = quantized(0, 3, 40), quantized(1, 3, 40, scale=0.02, zero_point=90)
    expected = reference.add(x.int_repr(), 0.03, 100, y.int_repr(), 0.02, 90, 0.05, 120, name == "add_relu")
    assert torch.equal(getattr(functional(), name)(x, y).int_repr(), expected)


def test_sum_broadcasts():
    x, y = quantized(0, 3, 4), quantized(1, 4)
    result = functional().add(x, y)
    assert torch.equal(result.int_repr()[1], functional().add(x[1], y).int_repr())


@pytest.mark.parametrize("name", ["mul", "matmul"])
def test_product_gives_the_integers_of_the_contract(name):
    x, y = quantized(0, 5, 5), quantized(1, 5, 5, scale=0.02, zero_point=90)
    expected = getattr(reference, name)(x.int_repr(), 0.03, 100, y.int_repr(), 0.02, 90, 0.05, 120)
    assert torch.equal(getattr(functional(), name)(x, y).int_repr(), expected)


def test_product_broadcasts():
    x, y = quantized(0, 3, 4, 5), quantized(1, 4, 1)
    expected = functional().mul(x, torchq.QTensor(y.int_repr().expand(3, 4, 5), 0.03, 100))
    assert torch.equal(functional().mul(x, y), expected)


@pytest.mark.parametrize(
    ("first", "second"),
    [((4, 5), (5,)), ((5,), (5, 3)), ((5,), (5,)), ((2, 1, 4, 5), (3, 5, 6)), ((2, 4, 5), (5,)), ((5,), (2, 5, 4))],
    ids=str,
)
def test_matrix_product_takes_the_shapes_of_torchs(first, second):
    x, y = quantized(0, *first), quantized(1, *second)
    # In a scale so coarse that no sum of five products comes near a tie of float32.
    exact = torch.matmul(x.dequantize().double(), y.dequantize().double())
    result = functional(0.05, 120).matmul(x, y)
    assert result.shape == exact.shape
    assert (result.dequantize() - exact.clamp(-120 * 0.05, 135 * 0.05)).abs().max() <= 0.5001 * 0.05


def test_matrix_product_of_a_number_is_an_error():
    with pytest.raises(ValueError, match=r"takes vectors and matrices, got \(\) and \(3,\)"):
        functional().matmul(quantized(0, 3)[0], quantized(1, 3))


@pytest.mark.parametrize("name", ["add", "mul", "cat", "add_relu", "matmul", "add_scalar", "mul_scalar"])
def test_nothing_is_computed_in_float(name):
    x, y = quantized(0, 4, 4), quantized(1, 4, 4)
    arguments = {"cat": ([x, y],), "add_scalar": (x, 3.0), "mul_scalar": (x, -2.0)}.get(name, (x, y))
    with torchq.no_float_fallback():
        assert isinstance(getattr(functional(), name)(*arguments), torchq.QTensor)


def test_cat_copies_equal_qparams_and_requantizes_others():
    x, y = quantized(0, 3, 4), quantized(1, 3, 2, scale=0.011)
    result = functional(0.03, 100).cat([x, y], dim=1).int_repr()
    assert torch.equal(result[:, :4], x.int_repr())
    assert torch.equal(result[:, 4:], reference.quantize_per_tensor(y.dequantize(), 0.03, 100, torch.uint8))


@pytest.mark.parametrize("name", ["add", "mul", "cat", "add_relu", "matmul"])
def test_float_form_observes_its_result(name):
    module = FloatFunctional()
    module.activation_post_process = MinMaxObserver()
    x, y = torch.randn(4, 4), torch.randn(4, 4)
    result = module.cat([x, y]) if name == "cat" else getattr(module, name)(x, y)
    assert torch.equal(module.activation_post_process.max_val, result.max())


@pytest.mark.parametrize("name", ["add_scalar", "mul_scalar"])
def test_float_form_does_not_observe_operations_with_a_number(name):
    module = FloatFunctional()
    module.activation_post_process = MinMaxObserver()
    getattr(module, name)(torch.ones(3), 2.0)
    assert not module.activation_post_process.has_data


class Doubles(torch.nn.Module):
    def forward(self, x):
        self.seen = x
        return torchq.QTensor(x.int_repr(), 2 * x.q_scale(), x.q_zero_point())


@pytest.mark.parametrize("name", ["add", "mul", "cat", "add_relu", "matmul"])
def test_module_set_as_observer_sees_the_result_and_gives_what_is_returned(name):
    module, x, y = functional(), quantized(0, 4, 4), quantized(1, 4, 4)
    arguments = ([x, y],) if name == "cat" else (x, y)
    plain = getattr(module, name)(*arguments)
    module.activation_post_process = Doubles()
    result = getattr(module, name)(*arguments)
    assert module.activation_post_process.seen.has_qparams_of(plain)
    assert torch.equal(module.activation_post_process.seen.int_repr(), plain.int_repr())
    assert result.q_scale() == 2 * plain.q_scale()


@pytest.mark.parametrize("name", ["add_scalar", "mul_scalar"])
def test_module_set_as_observer_does_not_see_operations_with_a_number(name):
    module = functional()
    module.activation_post_process = Doubles()
    getattr(module, name)(quantized(0, 3), 2.0)
    assert not hasattr(module.activation_post_process, "seen")


def test_has_no_observer_to_begin_with():
    assert not list(functional().children())


@pytest.mark.parametrize("name", ["add_scalar", "mul_scalar"])
def test_result_with_a_number_does_not_share_the_inputs_integers(name):
    x = quantized(0, 30)
    before = x.int_repr()
    torch.nn.functional.relu(getattr(functional(), name)(x, 1.0), inplace=True)
    assert torch.equal(x.int_repr(), before)


@pytest.mark.parametrize("name", ["add_scalar", "mul_scalar"])
def test_scale_stays_a_python_number(name):
    assert type(getattr(functional(), name)(quantized(0, 3), torch.tensor(2.0)).q_scale()) is float


@pytest.mark.parametrize("y", [float("nan"), float("inf"), float("-inf"), 1e300], ids=str)
@pytest.mark.parametrize(
    ("name", "allowed"),
    [("add_scalar", r"below 2\*\*62 times the scale 0\.03"), ("mul_scalar", "within float32's range")],
    ids=["add_scalar", "mul_scalar"],
)
def test_refuses_a_number_that_leaves_no_scale(name, allowed, y):
    with pytest.raises(ValueError, match=f"{allowed}, got"):
        getattr(functional(), name)(quantized(0, 3), y)


def test_refuses_a_sum_whose_scale_would_be_too_large():
    x = torchq.QTensor(torch.zeros(3, dtype=torch.uint8), 3e38, 0)
    with pytest.raises(ValueError, match="scale must be finite and above 0"):
        functional().add_scalar(x, 1e41)


@pytest.mark.parametrize("name", ["add", "mul", "cat", "add_relu", "matmul", "add_scalar", "mul_scalar"])
def test_form_for_graphs_computes_the_same_and_observes_nothing(name):
    x, y = torch.randn(4, 4), torch.randn(4, 4)
    arguments = {"cat": ([x, y], 1), "add_scalar": (x, 3.0), "mul_scalar": (x, -2.0)}.get(name, (x, y))
    assert torch.equal(getattr(FXFloatFunctional(), name)(*arguments), getattr(FloatFunctional(), name)(*arguments))
    assert not list(FXFloatFunctional().children())


@pytest.mark.parametrize("module", [FloatFunctional, FXFloatFunctional, QFunctional])
def test_has_no_forward(module):
    with pytest.raises(RuntimeError, match=f"{module.__name__} has no forward"):
        module()(torch.zeros(1))


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.zeros(3), TypeError, r"QFunctional\.mul takes quantized tensors, got a float tensor"),
        (quantized(0, 3, dtype=torchq.qint8), ValueError, r"gives torchq\.quint8, got an input of torchq\.qint8"),
    ],
    ids=["float", "dtype"],
)
def test_refuses_inputs_that_do_not_fit(x, error, message):
    with pytest.raises(error, match=message):
        functional().mul(quantized(0, 3), x)


def test_names_the_operation_that_refuses():
    with pytest.raises(TypeError, match=r"QFunctional\.add_relu takes quantized tensors"):
        functional().add_relu(quantized(0, 3), torch.zeros(3))


@pytest.mark.parametrize("dtype", [torchq.quint8, torchq.qint8, torchq.qint32], ids=str)
def test_quantize_is_quantize_per_tensor(dtype):
    x = torch.randn(100, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Quantize(0.02, 3, dtype)(x), torchq.quantize_per_tensor(x, 0.02, 3, dtype))


def test_quantize_refuses_a_quantized_tensor():
    with pytest.raises(TypeError, match="got a quantized tensor, but takes a float one"):
        Quantize(0.1, 0, torchq.quint8)(quantized(0, 3))


def test_quantize_refuses_a_zero_point_outside_its_dtype():
    with pytest.raises(ValueError, match=r"zero_point must lie in \[-128, 127\], the range of torch.int8, got 128"):
        Quantize(0.1, 128, torchq.qint8)


def test_dequantize_undoes_quantize():
    q = quantized(0, 3)
    assert torch.equal(DeQuantize()(q), q.dequantize())


def test_dequantize_passes_a_float_tensor():
    x = torch.ones(3)
    assert DeQuantize()(x) is x


def test_paths_are_those_of_torch_ao():
    assert torchq.nn.quantized.dynamic.Linear.__name__ == "Linear"
    assert torchq.nn.intrinsic.quantized.ConvReLU2d.__name__ == "ConvReLU2d"


class Scales(torch.nn.Module):
    """Uses one functional with a number only, and has one that it does not use."""

    def __init__(self):
        super().__init__()
        self.quant, self.dequant = QuantStub(), DeQuantStub()
        self.scaled, self.unused = FloatFunctional(), FloatFunctional()

    def forward(self, x):
        return self.dequant(self.scaled.mul_scalar(self.quant(x), 0.5))


@pytest.fixture
def scales():
    model = Scales().eval()
    model.qconfig = get_default_qconfig("fbgemm")
    prepared = prepare(model)
    prepared(torch.linspace(-1, 1, 50))
    return convert(prepared)


def test_functional_that_needs_no_scale_is_converted_without_data(scales):
    x = torch.linspace(-1, 1, 50)
    assert (scales(x) - x / 2).abs().max() <= 0.25 * scales.quant.scale * (1 + 2**-20)


@pytest.mark.parametrize("name", ["add", "mul", "cat", "add_relu", "matmul"])
def test_functional_without_data_is_an_error_where_a_scale_is_needed(scales, name):
    x = quantized(0, 4, 4)
    with pytest.raises(RuntimeError, match=f"QFunctional.{name} has no scale: its FloatFunctional never saw data"):
        getattr(scales.unused, name)(*(([x, x],) if name == "cat" else (x, x)))


def test_functional_without_data_is_saved_as_such(scales):
    loaded = functional()
    loaded.load_state_dict(scales.unused.state_dict())
    with pytest.raises(RuntimeError, match="has no scale"):
        loaded.add(quantized(0, 3), quantized(1, 3))
    loaded.load_state_dict(functional(0.5, 3).state_dict())
    assert (loaded.scale, loaded.zero_point) == (0.5, 3)
