"""The numeric suite beside torch.ao's: the same names, arguments, keys, integers and floats."""

import inspect

import pytest
import torch
from torch import nn

from ns.nets import dynamic_pair, images, static_pair, trained_pair
from torchq.nn import intrinsic, quantized
from torchq.ns import _numeric_suite as ours

# Of the float networks: up to 72 products of a few units, summed in another order, and a few such layers.
ROUNDINGS = 3 * 72 * 4 * 2**-24


@pytest.fixture
def theirs(torch_ao):
    return pytest.importorskip("torch.ao.ns._numeric_suite")


@pytest.fixture
def static_pairs(torch_ao):
    return static_pair(torch_ao, torch.ao.nn.quantized.FloatFunctional), static_pair()


@pytest.fixture
def dynamic_pairs(torch_ao):
    return dynamic_pair(torch_ao), dynamic_pair()


def same(ours, theirs):
    """Whether a tensor of torchq's is torch.ao's: its integers and qparams, or its floats."""
    if not theirs.is_quantized:
        torch.testing.assert_close(ours, theirs, rtol=0, atol=ROUNDINGS)
        return True
    assert torch.equal(ours.int_repr(), theirs.int_repr())
    if theirs.qscheme() is torch.per_tensor_affine:
        return (ours.q_scale(), ours.q_zero_point()) == (theirs.q_scale(), theirs.q_zero_point())
    assert torch.equal(ours.q_per_channel_zero_points(), theirs.q_per_channel_zero_points())
    return torch.equal(ours.q_per_channel_scales(), theirs.q_per_channel_scales())


def check_outputs(given, expected, one=lambda output: output):
    """Compares dictionaries of outputs; torch.ao logs fused float modules twice."""
    assert list(given) == list(expected)
    for key, pair in expected.items():
        for side, outputs in pair.items():
            (output,) = given[key][side]
            assert same(one(output), outputs[0])


@pytest.mark.parametrize("name", [name for name in ours.__all__ if not name.isupper()])
def test_takes_the_arguments_of_torch_ao(theirs, name):
    parameters, expected = (
        [(p.name, p.kind) for p in inspect.signature(getattr(module, name)).parameters.values()]
        for module in (ours, theirs)
    )
    assert parameters == expected


def test_has_the_names_of_torch_ao(theirs):
    public = {name for name, value in vars(theirs).items() if getattr(value, "__module__", None) == theirs.__name__}
    assert {name for name in public if not name.startswith("_")} <= set(ours.__all__)


def test_default_types_are_those_of_torch_ao(torch_ao):
    ours = {kind.__name__ for kind in __import__("torchq").quantization.get_default_compare_output_module_list()}
    theirs = {kind.__name__ for kind in torch_ao.get_default_compare_output_module_list()}
    assert ours - {"Conv1d"} <= theirs  # torch.ao forgets to quantize what its qat.Conv1d trains


@pytest.mark.parametrize("pairs", ["static_pairs", "dynamic_pairs"])
def test_weights(theirs, pairs, request):
    (float_theirs, int8_theirs), (float_ours, int8_ours) = request.getfixturevalue(pairs)
    expected = theirs.compare_weights(float_theirs.state_dict(), int8_theirs.state_dict())
    given = ours.compare_weights(float_ours.state_dict(), int8_ours.state_dict())
    # A linear layer's state is torch.ao's own packed object there, and plain tensors here.
    assert list(given) == [key.replace("_packed_params._packed_params", "weight") for key in expected]
    for pair, other in zip(given.values(), expected.values(), strict=True):
        assert torch.equal(pair["float"], other["float"])
        assert same(pair["quantized"], other["quantized"])


def test_weights_in_training(theirs, torch_ao):
    models = trained_pair(torch_ao, torch.ao.nn.quantized.FloatFunctional)
    expected = theirs.compare_weights(*(model.state_dict() for model in models))
    given = ours.compare_weights(*(model.state_dict() for model in trained_pair()))
    assert list(given) == list(expected)
    assert all(torch.equal(given[key]["quantized"], pair["quantized"]) for key, pair in expected.items())


def test_outputs_of_a_residual_network(theirs, static_pairs):
    expected, given = (
        suite.compare_model_outputs(*pair, images()) for suite, pair in zip((theirs, ours), static_pairs, strict=True)
    )
    del given["head.0.stats"]  # torch.ao passes over quantized layers with a relu, which are no leaves there
    check_outputs(given, expected)


def test_outputs_of_a_dynamic_network(theirs, dynamic_pairs):
    x = torch.randn(5, 16, generator=torch.Generator().manual_seed(1))
    expected, given = (
        suite.compare_model_outputs(*pair, x) for suite, pair in zip((theirs, ours), dynamic_pairs, strict=True)
    )
    check_outputs(given, expected)


@pytest.mark.parametrize("batch", [1, 4])
def test_shadows_of_a_residual_network(theirs, static_pairs, batch):
    ao = torch.ao.nn
    layers = [
        {nn.Linear, nn.Conv2d, ao.intrinsic.ConvReLU2d, ao.intrinsic.LinearReLU, ao.quantized.FloatFunctional},
        {nn.Linear, nn.Conv2d, intrinsic.ConvReLU2d, intrinsic.LinearReLU, quantized.FloatFunctional},
    ]
    expected, given = (
        suite.compare_model_stub(*pair, types, images(batch))
        for suite, pair, types in zip((theirs, ours), static_pairs, layers, strict=True)
    )
    # Of a batch, torch.ao keeps the first sample.
    check_outputs(given, expected, (lambda output: output[0]) if batch > 1 else lambda output: output)


def test_shadow_of_a_block(theirs, static_pairs):
    expected, given = (
        suite.compare_model_stub(*pair, [nn.Sequential], images(1))
        for suite, pair in zip((theirs, ours), static_pairs, strict=True)
    )
    check_outputs(given, expected)


def test_shadows_of_a_dynamic_network(theirs, dynamic_pairs):
    x = torch.randn(1, 16, generator=torch.Generator().manual_seed(1))
    expected, given = (
        suite.compare_model_stub(*pair, {nn.Linear}, x)
        for suite, pair in zip((theirs, ours), dynamic_pairs, strict=True)
    )
    check_outputs(given, expected)
