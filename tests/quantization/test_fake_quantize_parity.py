"""Fake quantizers beside those of torch.ao: settings, qparams, values and gradients."""

import pytest
import torch

from ops.samples.values import near_ties
from quantization.fake_quantizers import backward
from torchq.dtypes import as_qdtype, as_qscheme
from torchq.quantization import fake_quantize as fq

FACTORIES = sorted(name for name in fq.__all__ if name.startswith(("default_", "fused_")))
FUSED = [name for name in FACTORIES if "fused" in name]


def batches():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(6, 20, generator=generator) * (1 + i) for i in range(3)]


def both(torch_ao, name):
    return getattr(torch_ao.fake_quantize, name)(), getattr(fq, name)()


@pytest.mark.parametrize("name", FACTORIES)
def test_attributes_are_those_of_torch_ao(torch_ao, name):
    theirs, ours = both(torch_ao, name)
    for attribute in ("quant_min", "quant_max", "is_dynamic", "ch_axis", "is_per_channel"):
        assert getattr(ours, attribute) == getattr(theirs, attribute), attribute
    assert (ours.dtype, ours.qscheme) == (as_qdtype(theirs.dtype), as_qscheme(theirs.qscheme))
    assert ours.state_dict().keys() == theirs.state_dict().keys()


@pytest.mark.parametrize("name", sorted(set(FACTORIES) - set(FUSED)))
def test_qparams_are_those_of_torch_ao(torch_ao, name):
    theirs, ours = both(torch_ao, name)
    for batch in batches():
        theirs(batch), ours(batch)
        assert torch.equal(ours.scale, theirs.scale)
        assert torch.equal(ours.zero_point, theirs.zero_point)


@pytest.mark.parametrize("name", FUSED)
def test_fused_qparams_are_those_that_torch_ao_converts_with(torch_ao, name):
    theirs, ours = both(torch_ao, name)
    for batch in batches():
        theirs(batch), ours(batch)
    scale, zero_point = theirs.calculate_qparams()
    # torch.ao's kernel updates the range with a product and a sum that may be fused: one rounding of three each.
    torch.testing.assert_close(ours.scale, scale, rtol=3 * 2**-23, atol=0)
    assert torch.equal(ours.zero_point.long(), zero_point.long())
    # Its kernel takes max(-min / 128, max / 127) for symmetric qint8, in place of max(-min, max) / 127.5.
    torch.testing.assert_close(ours.scale, theirs.scale, rtol=1 / 254, atol=0)


def test_values_and_gradients_are_those_of_torch_where_the_integers_agree():
    scale, zero_point = 0.0371, 7
    x = near_ties((20000,), scale, zero_point)
    made = fq.FakeQuantize(quant_min=0, quant_max=255)
    ranged = torch.tensor([(0 - zero_point) * scale, (255 - zero_point) * scale])
    made(ranged)
    made.disable_observer()
    scale = made.scale.item()
    assert made.zero_point.item() == zero_point
    output, gradient, weights = backward(made, x)
    other = x.clone().requires_grad_()
    expected = torch.fake_quantize_per_tensor_affine(other, scale, zero_point, 0, 255)
    (expected * weights).sum().backward()
    scaled = x * (1 / made.scale)
    agree = torch.round(scaled) + zero_point == torch.round(scaled + zero_point)
    assert 0.5 < agree.float().mean() < 0.95
    assert torch.equal(output[agree], expected.detach()[agree])
    assert torch.equal(gradient[agree], other.grad[agree])


def test_channel_values_and_gradients_are_those_of_torch_where_the_integers_agree():
    scales, zero_points = torch.tensor([0.0371, 0.5, 3.1e-3]), torch.tensor([0, 7, -3])
    x = near_ties((3, 5000), scales[:, None], zero_points[:, None])
    made = fq.FakeQuantize(
        fq.MovingAveragePerChannelMinMaxObserver, -128, 127, dtype=torch.qint8, qscheme=torch.per_channel_affine
    )
    made(torch.stack([(-128 - zero_points) * scales, (127 - zero_points) * scales], 1))
    made.disable_observer()
    assert torch.equal(made.zero_point.long(), zero_points)
    output, gradient, weights = backward(made, x)
    other = x.clone().requires_grad_()
    expected = torch.fake_quantize_per_channel_affine(other, made.scale, made.zero_point, 0, -128, 127)
    (expected * weights).sum().backward()
    scaled = x * (1 / made.scale)[:, None]
    agree = torch.round(scaled) + zero_points[:, None] == torch.round(scaled + zero_points[:, None])
    assert 0.5 < agree.float().mean() < 0.95
    # torch's product is of the integer as a float32 with the scale; here it is taken in float64, and rounded once too.
    assert torch.equal(output[agree], expected.detach()[agree])
    assert torch.equal(gradient[agree], other.grad[agree])


@pytest.mark.parametrize("name", FACTORIES)
def test_state_of_torch_ao_loads_and_goes_back(torch_ao, name):
    theirs, ours = both(torch_ao, name)
    for batch in batches():
        theirs(batch)
    ours.load_state_dict(theirs.state_dict())
    assert torch.equal(ours.calculate_qparams()[0], theirs.scale)
    assert torch.equal(ours.calculate_qparams()[1], theirs.zero_point)
    fresh, _ = both(torch_ao, name)
    fresh.load_state_dict(ours.state_dict())
    assert all(torch.equal(value, fresh.state_dict()[key]) for key, value in theirs.state_dict().items())
