"""Modules for quantization-aware training beside those of torch.ao: names, outputs, gradients, statistics."""

import inspect

import pytest
import torch

import torchq.quantization
from nn.qat_modules import MODULES, float_module, qconfig_for
from torchq.nn import intrinsic

ROUNDINGS = 54 * 4 * 2**-23  # of sums over at most 54 products of a few units, in another order


def both(torch_ao, key):
    """torch.ao's module and torchq's, of the same float module."""
    their_class = torch.ao.nn
    for part in key.split("."):
        their_class = getattr(their_class, part)
    module = float_module(key, qconfig_for(key, torch_ao))
    if isinstance(module, intrinsic.FusedModule):
        container = getattr(torch.ao.nn.intrinsic, type(module).__name__)(*module)
        container.qconfig, module = module.qconfig, container
    theirs = their_class.from_float(module)
    return theirs, MODULES[key][0].from_float(float_module(key, qconfig_for(key, torchq.quantization)))


def gradients(module):
    return {name: parameter.grad for name, parameter in module.named_parameters()}


@pytest.mark.parametrize("key", MODULES)
def test_trains_as_torch_ao(torch_ao, key):
    theirs, ours = both(torch_ao, key)
    x = MODULES[key][2]
    for _ in range(3):
        expected, output = theirs(x), ours(x)
        torch.testing.assert_close(output, expected, rtol=0, atol=ROUNDINGS)
        expected.square().sum().backward()
        output.square().sum().backward()
    for name, gradient in gradients(theirs).items():
        # Sums over at most 8 * 125 positions, of terms that may be larger than the sum.
        torch.testing.assert_close(gradients(ours)[name], gradient, rtol=0, atol=1000 * 2**-23 * gradient.abs().max())
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=0, atol=ROUNDINGS, check_dtype=False)


@pytest.mark.parametrize("key", MODULES)
def test_state_of_torch_ao_loads_and_gives_its_outputs(torch_ao, key):
    theirs, ours = both(torch_ao, key)
    x = MODULES[key][2]
    for parameter in theirs.parameters():
        parameter.data.mul_(1.5)
    theirs(x)
    missing, unexpected = ours.load_state_dict(theirs.state_dict())
    assert missing == unexpected == []
    theirs.eval().apply(torch_ao.disable_observer)
    ours.eval()
    assert ours.weight_fake_quant.observer_enabled == 1
    ours.weight_fake_quant.disable_observer()
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=2 * ROUNDINGS)


@pytest.mark.parametrize("key", MODULES)
def test_takes_the_arguments_of_torch_ao_first(torch_ao, key):
    theirs, ours = both(torch_ao, key)
    expected = [(p.name, p.default) for p in inspect.signature(type(theirs)).parameters.values()]
    given = [(p.name, p.default) for p in inspect.signature(type(ours)).parameters.values()]
    assert given[: len(expected)] == expected


@pytest.mark.parametrize("key", ["qat", "intrinsic.qat", "qat.dynamic"])
def test_every_name_of_torch_ao_is_there(torch_ao, key):
    theirs, ours = torch.ao.nn, torchq.nn
    for part in key.split("."):
        theirs, ours = getattr(theirs, part), getattr(ours, part)
    names = {name for name in vars(theirs) if not name.startswith("_")} - {"modules"}
    assert len(names) > 0
    assert names <= set(ours.__all__)
