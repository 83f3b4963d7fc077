"""Names of modules that torch.ao has: all here, with arguments in its order."""

import importlib
import inspect

import pytest
from torch import nn

from torchq.dtypes import from_torch

PACKAGES = {
    "quantizable": set(),
    "quantized": set(),
    "quantized.dynamic": set(),
    "intrinsic.quantized": set(),
    "intrinsic.quantized.dynamic": set(),
}
# Arguments that mean nothing in torch.ao, or are for buffers that torchq does not have.
MEANINGLESS = {("quantized", "Quantize"): {"factory_kwargs"}, ("quantized.dynamic", "Conv1d"): {"reduce_range"}}


def package(library, name):
    return importlib.import_module(f"{library}.nn.{name}")


def modules(package):
    return {name for name, kind in vars(package).items() if inspect.isclass(kind) and issubclass(kind, nn.Module)}


def parameters(kind):
    """The arguments, those of the base class where torch.ao hands them on; there they have a mode or gates as well."""
    given = list(inspect.signature(kind).parameters.values())
    if [p.name for p in given] != ["args", "kwargs"]:
        return given
    return [p for p in inspect.signature(kind.__base__).parameters.values() if p.name not in ("mode", "num_chunks")]


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
        expected, given = (parameters(getattr(library, kind)) for library in (theirs, ours))
        left = MEANINGLESS.get((name, kind), ())
        expected = [(p.name, from_torch(p.default)) for p in expected if p.name not in left]
        given = [(p.name, p.default) for p in given]
        if given[: len(expected)] != expected:
            different[kind] = (given, expected)
    assert different == {}
