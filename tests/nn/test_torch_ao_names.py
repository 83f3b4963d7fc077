"""Names of modules that torch.ao has: all here, with arguments in its order."""

import importlib
import inspect

import pytest
from torch import nn

from torchq.dtypes import from_torch

# Recurrent and attention modules have tests of their own, or none of them is here.
PACKAGES = {
    "quantized": {"LSTM", "MultiheadAttention"},
    "quantized.dynamic": {"GRU", "GRUCell", "LSTM", "LSTMCell", "RNNCell"},
    "intrinsic.quantized": set(),
    "intrinsic.quantized.dynamic": set(),
}
# Arguments that mean nothing in torch.ao, or are for buffers that torchq does not have.
MEANINGLESS = {("quantized", "Quantize"): {"factory_kwargs"}, ("quantized.dynamic", "Conv1d"): {"reduce_range"}}


def package(library, name):
    return importlib.import_module(f"{library}.nn.{name}")


def modules(package):
    return {name for name, kind in vars(package).items() if inspect.isclass(kind) and issubclass(kind, nn.Module)}


@pytest.mark.parametrize("name", PACKAGES)
def test_every_module_is_here(torch_ao, name):
    theirs, ours = package("torch.ao", name), package("torchq", name)
    assert modules(theirs) - modules(ours) <= PACKAGES[name]
    assert modules(ours) <= set(ours.__all__)


@pytest.mark.parametrize("name", PACKAGES)
def test_arguments_have_the_order_and_defaults_of_torch_ao(torch_ao, name):
    theirs, ours = package("torch.ao", name), package("torchq", name)
    different = {}
    for kind in modules(theirs) & modules(ours):
        expected, given = (inspect.signature(getattr(library, kind)).parameters for library in (theirs, ours))
        left = MEANINGLESS.get((name, kind), ())
        expected = [(p.name, from_torch(p.default)) for p in expected.values() if p.name not in left]
        given = [(p.name, p.default) for p in given.values()]
        if given[: len(expected)] != expected:
            different[kind] = (given, expected)
    assert different == {}
