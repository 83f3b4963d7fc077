"""Programs written for torch.ao, rewritten, give what they gave before."""

import importlib.util
import shutil
from pathlib import Path

import pytest
import torch

from migrate.compare import assert_same_states
from torchq.migrate import __main__ as command
from torchq.migrate.values import as_qtensor
from torchq.nn.quantized.weighted import WeightedQuantizedModule

pytestmark = pytest.mark.usefixtures("one_thread")
PROGRAMS = Path(__file__).parents[2] / "examples" / "torch_ao"
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.py"))


def loaded(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=NAMES)
def programs(request, torch_ao, tmp_path):
    """The name of a program, and the program as it was and rewritten."""
    path = shutil.copy(PROGRAMS / f"{request.param}.py", tmp_path)
    assert command.main([path, "--yes"]) == 0
    assert "torch.ao." not in Path(path).read_text().replace("torch.ao's", "")
    return request.param, loaded(PROGRAMS / f"{request.param}.py", "before"), loaded(path, "after")


def test_there_is_one_for_each_style():
    assert NAMES == ["dynamic_lstm", "eager_residual", "graph_dense"]


def test_results_are_the_same(programs):
    name, before, after = programs
    theirs, ours = before.quantized(), after.quantized()
    for seed in (7, 8):
        given, expected = ours(after.inputs(seed, 2)), theirs(before.inputs(seed, 2))
        if name == "dynamic_lstm":
            assert_same_states(given, expected)
        else:  # in steps of one scale: the same values are the same integers
            assert torch.equal(given, expected)


def test_weights_have_the_same_integers(programs):
    name, before, after = programs
    theirs, ours = before.quantized(), after.quantized()
    expected = dict(theirs.named_modules())
    compared = 0
    for path, module in ours.named_modules():
        if isinstance(module, WeightedQuantizedModule) and hasattr(expected.get(path), "weight"):
            other = as_qtensor(expected[path].weight())
            assert torch.equal(module.weight().int_repr(), other.int_repr()), path
            compared += 1
    assert compared == {"dynamic_lstm": 1, "eager_residual": 22, "graph_dense": 25}[name]
