"""The examples in torchq's docstrings run and print what they say."""

import doctest
import importlib
import pkgutil

import pytest
import torch

import torchq
import torchq.quantization as quantization

MODULES = [
    "torchq",
    *(module.name for module in pkgutil.walk_packages(torchq.__path__, "torchq.") if module.name != "torchq._C"),
]
# What an example may use without saying where it is from.
NAMES = {"torch": torch, "torchq": torchq, **{name: getattr(quantization, name) for name in quantization.__all__}}


@pytest.mark.parametrize("name", MODULES)
def test_examples_print_what_they_say(name):
    torch.manual_seed(0)
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, extraglobs=NAMES, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0
