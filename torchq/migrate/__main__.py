"""Rewrites the Python files below a path for torchq: ``python -m torchq.migrate PATH``."""

import argparse
import difflib
import os
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

from torchq.migrate.sources import Rewritten, rewrite

_NAMES = ("torch.ao", "torch.quantization", "torch.quantize_", "torch.nn.quantized")


def main(arguments: list[str] | None = None) -> int:
    """Shows what would change, asks, and writes.

    Args:
        arguments: of the command line; those of the process if None.

    Returns:
        0, or 1 if something is left for the caller to do by hand.
    """
    parser = argparse.ArgumentParser(prog="python -m torchq.migrate", description=__doc__)
    parser.add_argument("path", type=Path, nargs="+", help="a Python file, or a directory with some")
    parser.add_argument("--yes", action="store_true", help="write without asking")
    options = parser.parse_args(arguments)
    for path in options.path:
        if not path.exists():
            parser.error(f"there is no {path}")
    changed, left = [], []
    for path in _files(options.path):
        try:
            source, encoding = _read(path)
            rewritten = rewrite(source)
        except (SyntaxError, UnicodeDecodeError) as error:
            left.append(f"{path}: not rewritten: {error}")
            continue
        left += [f"{path}:{line}: torchq has no counterpart of {name}" for line, name in rewritten.unmapped]
        if rewritten.text != source:
            changed.append((path, rewritten, encoding))
            sys.stdout.writelines(_diff(path, source, rewritten))
    left += [f"{path}: not rewritten: a notebook" for path in _notebooks(options.path)]
    print(*left, sep="\n", end="\n" if left else "")
    print(f"{len(changed)} files to change, {len(left)} places to look at")
    if changed and (options.yes or _agreed()):
        for path, rewritten, encoding in changed:
            _write(path, rewritten.text, encoding)
        print(f"{len(changed)} files written")
    elif changed:
        print("nothing written")
    return 1 if left else 0


def _files(paths: list[Path], suffix: str = ".py") -> Iterator[Path]:
    for path in paths:
        if path.is_file() and path.suffix == suffix:
            yield path
        elif path.is_dir():
            found = sorted(path.rglob(f"*{suffix}"))
            yield from (
                file for file in found if not any(part.startswith(".") for part in file.relative_to(path).parts)
            )


def _notebooks(paths: list[Path]) -> Iterator[Path]:
    for path in _files(paths, ".ipynb"):
        text = path.read_text(encoding="utf-8")
        if any(name in text for name in _NAMES):
            yield path


def _read(path: Path) -> tuple[str, str]:
    """Returns the text, with the line ends that it has, and its encoding."""
    with path.open("rb") as file:
        encoding, _ = tokenize.detect_encoding(file.readline)
    with path.open(encoding=encoding, newline="") as file:
        return file.read(), encoding


def _diff(path: Path, source: str, rewritten: Rewritten) -> Iterator[str]:
    lines = (text.splitlines(keepends=True) for text in (source, rewritten.text))
    for line in difflib.unified_diff(*lines, fromfile=str(path), tofile=str(path)):
        yield line if line.endswith("\n") else f"{line}\n"


def _agreed() -> bool:
    if not sys.stdin.isatty():
        print("--yes writes them")
        return False
    return input("write? [y/N] ").strip().lower() in ("y", "yes")


def _write(path: Path, text: str, encoding: str) -> None:
    """Replaces a file by a new one at once, so that none is half written."""
    new = path.with_name(f".{path.name}.torchq")
    with new.open("w", encoding=encoding, newline="") as file:
        file.write(text)
    new.chmod(path.stat().st_mode)
    os.replace(new, path)


if __name__ == "__main__":
    sys.exit(main())
