"""docs/torch_ao_names.md: torch.ao's public names, and where each is."""

import re
import runpy
from pathlib import Path

import pytest
import torch

from torchq import __file__ as package

SCRIPT = Path(package).parent.parent / "docs" / "torch_ao_names.py"
LEAST_SHARE = 0.95
pytestmark = pytest.mark.usefixtures("torch_ao")


@pytest.fixture(scope="module")
def names():
    """What the script defines."""
    return runpy.run_path(str(SCRIPT))


@pytest.fixture(scope="module")
def rows(names):
    return names["rows"]()


def test_page_is_what_the_script_writes(names):
    text = names["PAGE"].read_text()
    written_for = re.search(r"public names of torch (\d+\.\d+)", text)[1]
    if written_for != names["version"]():
        pytest.skip(f"the page lists the names of torch {written_for}, this is {torch.__version__}")
    assert text == names["page"](), "make names writes it anew"


def test_every_name_is_present_or_dropped_with_a_reason(rows):
    assert [(module, name) for module, of in rows.items() for name, where, said in of if not where and not said] == []


def test_no_dropped_name_is_present(names):
    is_present, dropped = names["is_present"], names["DROPPED"]
    assert [(module, name) for module, of in dropped.items() for name in of if is_present(module, name)] == []


def test_every_dropped_name_is_torchs(names):
    public, dropped = names["public_names"], names["DROPPED"]
    assert [(module, name) for module, of in dropped.items() for name in of if name not in public(module)] == []


def test_every_present_name_is_in_a_test(rows):
    assert [(module, name) for module, of in rows.items() for name, where, said in of if where and not said] == []


def test_nearly_all_names_are_present(rows):
    where = [where for of in rows.values() for _, where, _ in of]
    assert sum(map(bool, where)) >= LEAST_SHARE * len(where)


def test_name_is_found_as_a_whole_word_and_with_its_module_first(names):
    texts = {
        "nn/test_a.py": "QConv1d, my_Conv1d, Conv1d_, intrinsic_qat.Conv1d",
        "nn/test_b.py": "Conv1d",
        "nn/test_c.py": "qat.Conv1d",
        "ops/test_d.py": "qat.Conv1d",
    }
    tested_in = names["tested_in"]
    assert tested_in("torch.ao.nn.qat", "Conv1d", texts) == "nn/test_c.py"
    assert tested_in("torch.ao.nn.quantized", "Conv1d", {k: texts[k] for k in list(texts)[:2]}) == "nn/test_a.py"
    assert tested_in("torch.ao.nn.qat", "Conv2d", texts) is None
