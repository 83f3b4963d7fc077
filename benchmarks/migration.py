"""Programs written for torch.ao, before and after ``python -m torchq.migrate``: the same result, in less time."""

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import torch

from benchmarks.harness import Measured
from examples.timing import interleaved_medians

_PROGRAMS = Path(__file__).parents[1] / "examples" / "torch_ao"
_ROUNDS, _TURN_S = 21, 0.05
# torch.ao's sigmoid and tanh differ from torchq's in their last bits; both are within 1e-3 of the float model's states.
_TOLERANCE = {"dynamic_lstm": 5e-3}


def _loaded(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _row(name: str, after: Path) -> dict[str, object]:
    programs = {
        "torch.ao": _loaded(_PROGRAMS / f"{name}.py", f"before_{name}"),
        "torchq": _loaded(after / f"{name}.py", f"after_{name}"),
    }
    models = {who: program.quantized() for who, program in programs.items()}
    x = programs["torchq"].inputs(7)
    calls = {who: lambda model=model: model(x) for who, model in models.items()}
    with torch.inference_mode():
        expected, given = calls["torch.ao"](), calls["torchq"]()
        difference = float((expected - given).abs().max())
        if difference > _TOLERANCE.get(name, 0):
            raise RuntimeError(f"{name}: results differ by {difference}")
        seconds = interleaved_medians(calls, rounds=_ROUNDS, turn_s=_TURN_S)
    row: dict[str, object] = {"": name, "ms": seconds["torchq"] * 1e3, "torch.ao ms": seconds["torch.ao"] * 1e3}
    return row | {"x torch.ao": seconds["torch.ao"] / seconds["torchq"], "largest difference": difference}


def run() -> list[Measured]:
    """Rewrites the programs in a directory of their own, and measures both."""
    torch.backends.quantized.engine = "fbgemm"
    with tempfile.TemporaryDirectory() as directory:
        after = Path(directory) / "torch_ao"
        shutil.copytree(_PROGRAMS, after)
        command = [sys.executable, "-m", "torchq.migrate", str(after), "--yes"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        rows = [_row(path.stem, after) for path in sorted(_PROGRAMS.glob("*.py"))]
    return [Measured("programs for torch.ao, migrated", rows, ["x torch.ao"])]
