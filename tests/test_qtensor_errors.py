"""Quantizing to a QTensor refuses wrong parameters by value; a QTensor refuses what it cannot do."""

import math
import re

import pytest
import torch
import torch.nn.functional as F

import torchq

X = torch.ones(2, 3)


@pytest.fixture
def q():
    return torchq.quantize_per_tensor(torch.tensor([-1.0, 0.0, 1.0, 2.0]), 0.1, 10, torchq.quint8)


@pytest.fixture
def channels():
    return torchq.quantize_per_channel(X, torch.tensor([0.1, 0.2]), torch.tensor([1, 2]), 0, torchq.quint8)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf, 1e39, 1e-40, 1e-300], ids=str)
def test_scale_has_to_be_finite_and_positive(scale):
    message = re.escape(f"got {scale}")
    with pytest.raises(ValueError, match=message):
        torchq.quantize_per_tensor(X, scale, 0, torchq.quint8)
    scales = torch.tensor([0.1, scale], dtype=torch.float64)
    with pytest.raises(ValueError, match=message):
        torchq.quantize_per_channel(X, scales, torch.zeros(2).long(), 0, torchq.quint8)


@pytest.mark.parametrize(
    ("dtype", "zero_point"),
    [("quint8", -1), ("quint8", 256), ("qint8", -129), ("qint8", 128), ("qint32", 2**31)],
    ids=str,
)
def test_zero_point_has_to_lie_in_the_range(dtype, zero_point):
    dtype = getattr(torchq, dtype)
    message = rf"zero_point must lie in \[{dtype.qmin}, {dtype.qmax}\].*got {zero_point}"
    with pytest.raises(ValueError, match=message):
        torchq.quantize_per_tensor(X, 0.1, zero_point, dtype)
    with pytest.raises(ValueError, match=message):
        torchq.quantize_per_channel(X, torch.ones(2), torch.tensor([0, zero_point]), 0, dtype)


@pytest.mark.parametrize("zero_point", [2.5, torch.tensor(2.0)], ids=["number", "tensor"])
def test_zero_point_is_an_integer(zero_point):
    with pytest.raises(TypeError):
        torchq.quantize_per_tensor(X, 0.1, zero_point, torchq.quint8)
    with pytest.raises(
        TypeError, match=r"qint32 per channel takes no zero points that are floating, got torch\.float32"
    ):
        torchq.quantize_per_channel(X, torch.ones(2), torch.ones(2), 0, torchq.qint32)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, "quint8", None, int], ids=str)
def test_dtype_is_a_quantized_one(dtype):
    message = r"expected one of torchq\.quint8, torchq\.qint8, torchq\.qint32, torchq\.quint4x2, got"
    with pytest.raises(TypeError, match=message):
        torchq.quantize_per_tensor(X, 0.1, 0, dtype)
    with pytest.raises(TypeError, match=message):
        torchq.quantize_per_channel(X, torch.ones(2), torch.zeros(2).long(), 0, dtype)


def test_input_is_floating():
    with pytest.raises(RuntimeError, match="input must be float32, float64, float16 or bfloat16, got int64"):
        torchq.quantize_per_tensor(torch.ones(2).long(), 0.1, 0, torchq.quint8)


@pytest.mark.parametrize("axis", [2, -3], ids=str)
def test_axis_is_a_dimension_of_the_input(axis):
    with pytest.raises(IndexError, match=rf"axis must lie in \[-2, 1\], got {axis}"):
        torchq.quantize_per_channel(X, torch.ones(2), torch.zeros(2).long(), axis, torchq.quint8)


@pytest.mark.parametrize(
    ("scales", "zero_points"), [(3, 2), (2, 3), (1, 1)], ids=["scales", "zero-points", "not-repeated"]
)
def test_channels_need_a_scale_and_zero_point_each(scales, zero_points):
    with pytest.raises(ValueError, match=rf"shape \(2,\).*got \({scales},\) and \({zero_points},\)"):
        torchq.quantize_per_channel(X, torch.ones(scales), torch.zeros(zero_points).long(), 0, torchq.quint8)


@pytest.mark.parametrize("name", ["q_per_channel_scales", "q_per_channel_zero_points", "q_per_channel_axis"])
def test_per_tensor_has_no_parameters_per_channel(q, name):
    with pytest.raises(RuntimeError, match=rf"{name} is for per channel QTensors, got torchq\.per_tensor_affine"):
        getattr(q, name)()


@pytest.mark.parametrize("name", ["q_scale", "q_zero_point"])
def test_per_channel_has_no_parameters_of_the_whole(channels, name):
    with pytest.raises(RuntimeError, match=rf"{name} is for per tensor QTensors, got torchq\.per_channel_affine"):
        getattr(channels, name)()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda q: q.add_(1.0), "add_"),
        (lambda q: q.mul_(2.0), "mul_"),
        (lambda q: torch.sigmoid_(q), "sigmoid_"),
        (lambda q: F.elu_(q), "elu_"),
        (lambda q: torch.sigmoid_(input=q), "sigmoid_"),
        (lambda q: torch.nn.init.constant_(q, 1.0), "constant_"),
        (lambda q: q.set_(torch.ones(4)), "set_"),
        (lambda q: torch._foreach_add_([q], 1.0), "_foreach_add_"),
        (lambda q: torch._foreach_neg_((torch.ones(4), q)), "_foreach_neg_"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_changing_in_place_is_refused_where_integers_cannot(q, change, name):
    before = q.int_repr()
    with pytest.raises(RuntimeError, match=rf"{name} .*would change a QTensor in place"):
        change(q)
    assert torch.equal(q.int_repr(), before)


def test_requiring_a_gradient_is_refused(q):
    with pytest.raises(RuntimeError, match="a QTensor cannot require a gradient"):
        q.requires_grad_()


def test_refusal_names_no_function_that_torch_has_not(q):
    with pytest.raises(RuntimeError, match=r"uniform_ .*has no integer form; dequantize it first"):
        q.uniform_()


WIDE = torchq.quantize_per_tensor(X, 0.1, 0, torchq.qint32)


@pytest.mark.parametrize(
    "change",
    [
        lambda q, channels: F.elu(q, 0.1, True),
        lambda q, channels: F.elu(input=q, inplace=True),
        lambda q, channels: F.dropout(q, 0.5, training=True, inplace=True),
        lambda q, channels: F.relu(WIDE, inplace=True),
        lambda q, channels: F.relu6(channels, inplace=True),
        lambda q, channels: torch.nn.Hardtanh(inplace=True)(channels),
    ],
    ids=["position", "name", "dropout", "qint32", "per-channel", "module"],
)
def test_inplace_is_refused_where_integers_cannot(q, channels, change):
    with pytest.raises(RuntimeError, match=r"with inplace=True would change a QTensor in place.*use inplace=False"):
        change(q, channels)


def test_integers_have_no_address_of_floats(q):
    with pytest.raises(RuntimeError, match="data_ptr: a QTensor has no float32 values in memory"):
        q.data_ptr()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda q: F.max_pool2d(q, (2, 2, 2)), r"kernel_size must be an integer or 2 of them, got \(2, 2, 2\)"),
        (lambda q: F.max_pool2d(q, 2, [1, 1, 1]), r"stride .* got \[1, 1, 1\]"),
        (lambda q: F.max_pool2d(q, 2, 1, ()), r"padding .* got \(\)"),
        (lambda q: F.max_pool2d(q, 2, 1, 0, 1.5), r"dilation .* got 1\.5"),
        (lambda q: F.avg_pool2d(q, (2, 3, 2)), r"kernel_size .* got \(2, 3, 2\)"),
        (lambda q: F.adaptive_avg_pool2d(q, (2, 3, 4)), r"output_size .* got \(2, 3, 4\)"),
        (lambda q: F.adaptive_avg_pool2d(q, [1]), r"output_size .* got \[1\]"),
    ],
    ids=["kernel", "stride", "padding", "dilation", "avg-kernel", "three-sizes", "one-size"],
)
def test_windows_have_two_sizes(call, message):
    with pytest.raises(ValueError, match=message):
        call(torchq.quantize_per_tensor(torch.ones(1, 1, 6, 6), 0.1, 0, torchq.quint8))


@pytest.mark.parametrize("pool", [F.max_pool2d, F.avg_pool2d], ids=["max", "avg"])
def test_stride_of_a_window_is_not_zero(pool):
    with pytest.raises(RuntimeError, match="stride"):
        pool(torchq.quantize_per_tensor(torch.ones(1, 1, 6, 6), 0.1, 0, torchq.quint8), 2, 0)


def test_mean_is_over_dimensions_of_the_input():
    with pytest.raises(IndexError, match="got 7"):
        torchq.quantize_per_tensor(torch.ones(1, 1, 6, 6), 0.1, 0, torchq.quint8).mean((2, 7))


@pytest.mark.parametrize("value", [1.0, None, "q"], ids=str)
def test_tensors_are_dequantized_and_nothing_else(value):
    with pytest.raises(TypeError, match=rf"list or tuple of tensors, got {value!r}"):
        torchq.dequantize(value)


def test_augmented_assignment_is_refused(q):
    with pytest.raises(RuntimeError, match=r"add_ \(or the operator that stands for it, as \+= for add_\)"):
        q += 1.0


def test_results_are_not_written_to_a_qtensor(q):
    with pytest.raises(RuntimeError, match=r"torch\.add cannot write its result to a QTensor with out="):
        torch.add(torch.ones(4), 1.0, out=q)


def test_attributes_cannot_be_set(q):
    with pytest.raises(RuntimeError, match="data of a QTensor cannot be set"):
        q.data = torch.ones(4)
    with pytest.raises(RuntimeError, match="requires_grad of a QTensor cannot be set"):
        q.requires_grad = True


def test_elements_of_channels_are_not_set_by_tensors(channels):
    with pytest.raises(RuntimeError, match="elements of a per channel QTensor are set by integers and slices"):
        channels[torch.tensor([0])] = 1.0


def test_an_autograd_leaf_it_is_not(q):
    with pytest.raises(RuntimeError):
        q.dequantize().sum().backward()
