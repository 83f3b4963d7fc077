"""Values and gradients of fake quantization, against the contract."""

import pytest
import torch

import torchq
from ops.samples.values import EDGES, layouts, near_ties
from quantization.fake_quantizers import (
    backward,
    expected_per_channel,
    expected_per_tensor,
    per_channel,
    per_tensor,
)

GRIDS = {
    "quint8": (torchq.quint8, 0, 255),
    "quint8-7-bits": (torchq.quint8, 0, 127),
    "quint8-4-bits": (torchq.quint8, 0, 15),
    "qint8": (torchq.qint8, -128, 127),
    "qint8-symmetric": (torchq.qint8, -127, 127),
    "qint8-4-bits": (torchq.qint8, -8, 7),
    "qint32": (torchq.qint32, -(2**31), 2**31 - 1),
}
SCALE = 0.0371
SCALES = torch.tensor([0.0371, 0.5, 3.1e-3, 17.0, 0.1])


def with_edges(x):
    return torch.cat([x.flatten(), torch.tensor(EDGES)])


def same(result, expected):
    """Whether two tensors have the same bits, NaN and the sign of 0 included."""
    return torch.equal(result.view(torch.int32), expected.view(torch.int32))


@pytest.mark.parametrize("zero_point", [0, 1, 7])
@pytest.mark.parametrize(("dtype", "quant_min", "quant_max"), GRIDS.values(), ids=GRIDS)
def test_one_scale_gives_the_values_and_gradients_of_the_contract(dtype, quant_min, quant_max, zero_point):
    x = with_edges(near_ties((5000,), SCALE, zero_point))
    grid = (SCALE, zero_point, dtype, quant_min, quant_max)
    values, inside = expected_per_tensor(x, *grid)
    output, gradient, weights = backward(per_tensor(*grid), x)
    assert same(output, values)
    assert torch.equal(gradient, weights * inside)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize(("dtype", "quant_min", "quant_max"), GRIDS.values(), ids=GRIDS)
def test_a_scale_per_channel_gives_the_values_and_gradients_of_the_contract(dtype, quant_min, quant_max, axis):
    zero_points = torch.tensor([0, 1, 7, quant_max // 2, 3]).clamp(quant_min, quant_max)
    x = near_ties((5, 700), SCALES[:, None], zero_points[:, None])
    x[:, : len(EDGES)] = torch.tensor(EDGES)
    x = x.unsqueeze(-1).movedim(0, axis)
    grid = (SCALES, zero_points, axis, dtype, quant_min, quant_max)
    values, inside = expected_per_channel(x, *grid)
    output, gradient, weights = backward(per_channel(*grid), x)
    assert same(output, values)
    assert torch.equal(gradient, weights * inside)


@pytest.mark.parametrize(("dtype", "quant_max"), [(torchq.quint8, 255), (torchq.quint4x2, 15)], ids=str)
def test_float_zero_points_give_the_float32_formula(dtype, quant_max):
    scales, zero_points = SCALES, torch.tensor([0.5, -3.25, 100.7, 7.0, 12.3])
    x = near_ties((5, 700), SCALES[:, None])
    x[:, : len(EDGES)] = torch.tensor(EDGES)
    made = per_channel(scales, zero_points, 0, dtype, 0, quant_max, torchq.per_channel_affine_float_qparams)
    output, gradient, weights = backward(made, x)
    integers = torch.round(x * (1 / scales[:, None]) + zero_points[:, None])
    clamped = integers.clamp(0, quant_max).where(~x.isnan(), quant_max)
    assert same(output, (clamped - zero_points[:, None]) * scales[:, None])
    assert torch.equal(gradient, weights * ((integers >= 0) & (integers <= quant_max)))


@pytest.mark.parametrize("layout", layouts(torch.zeros(2, 5, 3, 3)))
def test_memory_layout_changes_nothing(layout):
    x = layouts(near_ties((2, 5, 3, 3), SCALE, 7))[layout]
    grid = (SCALE, 7, torchq.quint8, 0, 255)
    values, inside = expected_per_tensor(x, *grid)
    output, gradient, weights = backward(per_tensor(*grid), x)
    assert same(output.contiguous(), values.contiguous())
    assert torch.equal(gradient, weights * inside)
    grid = (SCALES, torch.arange(5), 1, torchq.qint8, -128, 127)
    assert same(per_channel(*grid)(x).contiguous(), expected_per_channel(x, *grid)[0].contiguous())


def test_gradient_is_that_of_the_float64_formula():
    # y = clamp(x, (qmin - 0.5 - z) s, (qmax + 0.5 - z) s) has the derivative that rounding is seen through to; random
    # values lie nowhere near its ends.
    x = 20 * torch.randn(10000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    clamped = x.clone().requires_grad_()
    clamped.clamp((0 - 0.5 - 37) * 0.1, (255 + 0.5 - 37) * 0.1).sum().backward()
    output, gradient, weights = backward(per_tensor(0.1, 37, torchq.quint8, 0, 255), x)
    assert torch.equal(gradient, weights * clamped.grad)
    assert 0 < clamped.grad.mean() < 1
    # Half a step, and float32 rounding of values up to 25.
    inside = clamped.grad.bool()
    assert (output - x)[inside].abs().max() <= 0.05 + 25 * 2**-22


def test_gradient_can_be_differentiated_again():
    made, x = per_tensor(0.1, 37, torchq.quint8, 0, 255), torch.ones(3, requires_grad=True)
    (gradient,) = torch.autograd.grad((made(x) ** 2).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(gradient.sum(), x)
    assert torch.equal(second, torch.full((3,), 2.0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_other_float_dtypes_come_back_as_they_went_in(dtype):
    x = near_ties((5, 100), SCALE, 7).to(dtype)
    for made in (per_tensor(SCALE, 7, torchq.quint8, 0, 255), per_channel(SCALES, torch.arange(5), 0, *GRIDS["qint8"])):
        output, gradient, _ = backward(made, x)
        assert (output.dtype, gradient.dtype) == (dtype, dtype)
        assert torch.equal(output, made(x.float()).to(dtype))


@pytest.mark.parametrize("size", [(0,), (0, 5), (5, 0, 3)], ids=str)
def test_empty_input_passes(size):
    grid = GRIDS["quint8"]
    channels = torch.ones(size[0]), torch.zeros(size[0], dtype=torch.int64)
    for made in (per_tensor(SCALE, 7, *grid), per_channel(*channels, 0, *grid)):
        output, gradient, _ = backward(made, torch.empty(size))
        assert output.shape == gradient.shape == size
