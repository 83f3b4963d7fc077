"""python -m torchq.migrate."""

import stat

import pytest

from torchq.migrate import __main__ as command

BEFORE, AFTER = "from torch.ao.quantization import prepare\n", "from torchq.quantization import prepare\n"


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "package" / ".hidden").mkdir(parents=True)
    (tmp_path / "package" / "a.py").write_text(BEFORE)
    (tmp_path / "package" / "other.py").write_text("x = 1\n")
    (tmp_path / "package" / ".hidden" / "b.py").write_text(BEFORE)
    return tmp_path


def test_shows_the_difference_and_writes_nothing_unasked(tree, capsys):
    assert command.main([str(tree)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [f"--- {tree}/package/a.py", f"+++ {tree}/package/a.py"]
    assert f"-{BEFORE.strip()}" in lines
    assert f"+{AFTER.strip()}" in lines
    assert lines[-3:] == ["1 files to change, 0 places to look at", "--yes writes them", "nothing written"]
    assert (tree / "package" / "a.py").read_text() == BEFORE


def test_writes_when_told_to(tree, capsys):
    assert command.main([str(tree), "--yes"]) == 0
    assert capsys.readouterr().out.endswith("1 files written\n")
    assert (tree / "package" / "a.py").read_text() == AFTER
    assert (tree / "package" / ".hidden" / "b.py").read_text() == BEFORE
    assert {path.name for path in (tree / "package").iterdir()} == {"a.py", "other.py", ".hidden"}


@pytest.mark.parametrize(("answer", "expected"), [("y", AFTER), ("n", BEFORE), ("", BEFORE)])
def test_asks_at_a_terminal(tree, monkeypatch, answer, expected):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda prompt: answer)
    command.main([str(tree)])
    assert (tree / "package" / "a.py").read_text() == expected


def test_takes_a_file(tree):
    assert command.main([str(tree / "package" / ".hidden" / "b.py"), "--yes"]) == 0
    assert (tree / "package" / ".hidden" / "b.py").read_text() == AFTER


def test_lists_what_it_cannot_map(tree, capsys):
    (tree / "c.py").write_text("import torch\n\nx = torch.ao.quantization.quantize_jit\n")
    assert command.main([str(tree / "c.py")]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{tree}/c.py:3: torchq has no counterpart of torch.ao.quantization.quantize_jit",
        "0 files to change, 1 places to look at",
    ]


def test_lists_notebooks_that_use_torch_ao_and_files_that_are_no_python(tree, capsys):
    (tree / "used.ipynb").write_text('{"cells": ["import torch.ao"]}')
    (tree / "unused.ipynb").write_text("{}")
    (tree / "broken.py").write_text("def f(:\n")
    (tree / "bytes.py").write_bytes(b"x = '\xff'\n")
    assert command.main([str(tree), "--yes"]) == 1
    output = capsys.readouterr().out
    assert f"{tree}/used.ipynb: not rewritten: a notebook" in output
    assert "unused.ipynb" not in output
    assert f"{tree}/broken.py: not rewritten: invalid syntax" in output
    assert f"{tree}/bytes.py: not rewritten: " in output
    assert "1 files to change, 3 places to look at" in output
    assert (tree / "package" / "a.py").read_text() == AFTER


def test_path_that_is_not_there_is_an_error(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        command.main([str(tmp_path / "missing")])
    assert caught.value.code == 2
    assert f"there is no {tmp_path / 'missing'}" in capsys.readouterr().err


def test_encoding_mode_and_line_ends_stay(tmp_path):
    path = tmp_path / "latin.py"
    path.write_bytes(b"# -*- coding: latin-1 -*-\r\nfrom torch import quint8\r\nx = '\xe9'\r\n")
    path.chmod(0o755)
    assert command.main([str(path), "--yes"]) == 0
    assert path.read_bytes() == b"# -*- coding: latin-1 -*-\r\nfrom torchq import quint8\r\nx = '\xe9'\r\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
