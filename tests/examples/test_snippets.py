"""The Python blocks of the documentation run, page by page, as a reader would type them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
PAGES = [
    page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if "```python" in page.read_text()
]


def python_blocks(page: Path) -> list[tuple[int, str]]:
    """Returns the line that each block starts at, and its text."""
    text = page.read_text()
    found = re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [(text[: match.start()].count("\n") + 1, match.group(1)) for match in found]


def commented_values(block: str) -> list[tuple[str, str]]:
    """Returns the expressions that the page gives a value for, in a comment behind them, and those values."""
    return re.findall(r"^(\S.*?)  # ([^a-z\s].*|tensor.*)$", block, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_snippets_run_and_give_the_values_beside_them(page):
    torch.manual_seed(0)
    namespace: dict[str, object] = {}
    for line, block in python_blocks(page):
        code = "\n" * line + block  # so that a traceback names the page's own lines
        exec(compile(code, str(page), "exec"), namespace)
        for expression, value in commented_values(block):
            assert repr(eval(expression, namespace)) == value, f"{page.name}: {expression}"


def test_readme_has_snippets():
    assert len(python_blocks(ROOT / "README.md")) >= 3


TORCH_AO_SCRIPT = """
import torch, torchq
from torch.ao.quantization import QuantWrapper, convert, default_qconfig, prepare
import torch.ao.nn.quantized as nnq

model = QuantWrapper(torch.nn.Linear(4, 2)).eval()
model.qconfig = default_qconfig
model = prepare(model)
model(torch.randn(8, 4))
model = convert(model)
assert isinstance(model.module, nnq.Linear)
q = torch.quantize_per_tensor(torch.randn(8), 0.1, 0, torch.qint8)
"""


def test_migration_command_turns_a_torch_ao_script_into_a_torchq_script(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(TORCH_AO_SCRIPT)
    (command,) = re.findall(r"^    python (-m torchq.migrate) PATH$", (ROOT / "README.md").read_text(), re.MULTILINE)
    subprocess.run([sys.executable, *command.split(), str(script), "--yes"], cwd=ROOT, check=True)
    assert "torch.ao" not in script.read_text()
    namespace: dict[str, object] = {}
    exec(script.read_text(), namespace)
    assert type(namespace["q"]).__name__ == "QTensor"
