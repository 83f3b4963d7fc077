"""Each static module, by prepare and convert of both libraries: the same qparams, and the same integers."""

import pytest
import torch
from torch import nn

import torchq
import torchq.quantization
from nn.float_modules import CASES, randomized, values
from torchq.nn import intrinsic

pytestmark = pytest.mark.usefixtures("one_thread")

# Where torch.ao rounds on its way, torchq does not, or elsewhere: docs/numerics.md, Beside torch.ao.
ROUNDED_ELSEWHERE = ("BatchNorm", "InstanceNorm", "LayerNorm", "GroupNorm", "BNReLU", "ELU", "Hardswish")


def converted(quantization, intrinsics, name):
    """The calibrated and the quantized model."""
    make, size = CASES[name]
    torch.manual_seed(0)
    model = nn.Sequential(quantization.QuantStub(), randomized(make(intrinsics)), quantization.DeQuantStub()).eval()
    model.qconfig = quantization.get_default_qconfig("fbgemm")
    if "Transpose" in name:
        # What torch.ao's own QConfigMapping gives them: a scale per channel is not for these, in torch.ao.
        model[1].qconfig = quantization.default_qconfig
    prepared = quantization.prepare(model)
    for seed in range(3):
        prepared(values(size, seed))
    return prepared, quantization.convert(prepared)


@pytest.fixture(params=CASES)
def models(request, torch_ao):
    theirs = converted(torch_ao, torch.ao.nn.intrinsic, request.param)
    return request.param, theirs, converted(torchq.quantization, intrinsic, request.param)


def test_gives_the_integers_of_torch_ao(models):
    name, (_, theirs), (_, ours) = models
    x = values(CASES[name][1], 9)
    (expected, given) = (model[1](model[0](x)) for model in (theirs, ours))
    assert (given.q_scale(), given.q_zero_point()) == (expected.q_scale(), expected.q_zero_point())
    difference = (given.int_repr().int() - expected.int_repr().int()).abs()
    if name.startswith(ROUNDED_ELSEWHERE):
        assert difference.max() <= 1
        assert (difference > 0).sum() <= max(1, 1e-3 * difference.numel())
    else:
        assert difference.max() == 0


def test_prints_what_torch_ao_prints(models):
    _, (_, theirs), (_, ours) = models
    # Since torch 2.13 norms say whether they have a bias.
    expected = repr(theirs[1]).replace(", bias=True", "").replace(", bias=False", "")
    # torch.ao takes an instance norm's affine for its momentum.
    expected = expected.replace("momentum=True, affine=False", "momentum=0.1, affine=True")
    assert repr(ours[1]) == expected.replace("torch.per_", "torchq.per_")


def test_observers_see_the_same(models):
    _, (theirs, _), (ours, _) = models
    expected = {key: value for key, value in theirs.state_dict().items() if "activation_post_process" in key}
    given = {key: value for key, value in ours.state_dict().items() if "activation_post_process" in key}
    assert given.keys() == expected.keys()
    assert all(torch.equal(given[key], value) for key, value in expected.items())


def test_state_has_the_names_of_torch_ao(models):
    _, (_, theirs), (_, ours) = models
    expected, given = ({*model[1].state_dict()} for model in (theirs, ours))
    # A weight that torch.ao keeps packed is saved plainly, and modules that forget their scale in torch.ao keep it.
    plain = {"weight", "weight_scale", "weight_zero_point", "bias"}
    assert {key for key in expected if not key.startswith("_packed_params")} <= given | {"bias"}
    assert given - expected <= plain | {"scale", "zero_point"}
