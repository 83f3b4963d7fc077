"""The built library as the binutils show it."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import torchq

LIBRARY = Path(torchq.__file__).with_name("_C.so")


@dataclass(frozen=True)
class Instruction:
    """One line of the disassembly."""

    address: int
    text: str

    @property
    def mnemonic(self) -> str:
        """Its name, without a prefix such as ``{vex}``."""
        return self.text.removeprefix("{vex} ").split(maxsplit=1)[0]

    @property
    def jumps_to(self) -> int | None:
        """Where a jump goes; None for what is none."""
        found = re.match(r"j\w+\s+([0-9a-f]+)\b", self.text)
        return int(found.group(1), 16) if found else None


def output_of(tool: str, *arguments: str) -> list[str]:
    if shutil.which(tool) is None:
        pytest.skip(f"needs {tool} of binutils")
    return subprocess.run([tool, *arguments, LIBRARY], capture_output=True, text=True, check=True).stdout.splitlines()


@cache
def functions() -> dict[str, list[Instruction]]:
    """The instructions of each function, by mangled name and address (local functions may share a name)."""
    found: dict[str, list[Instruction]] = {}
    for line in output_of("objdump", "-d", "-w", "--no-show-raw-insn"):
        if head := re.match(r"([0-9a-f]+) <(.+)>:$", line):
            body = found.setdefault(f"{head.group(2)} at {head.group(1)}", [])
        elif instruction := re.match(r"\s*([0-9a-f]+):\t(.+)$", line):
            body.append(Instruction(int(instruction.group(1), 16), instruction.group(2).strip()))
    return found


@cache
def symbols() -> list[tuple[str, str]]:
    """Type letter and mangled name of each symbol that the library defines."""
    return _symbols()


@cache
def exported() -> list[tuple[str, str]]:
    """Those that other libraries see."""
    return _symbols("-D")


def _symbols(*options: str) -> list[tuple[str, str]]:
    lines = [line.split() for line in output_of("nm", "--defined-only", *options)]
    return [(line[-2], line[-1]) for line in lines if len(line) == 3]


def level_of(mangled: str) -> str:
    """The namespace of torchq that a function is in, such as ``avx2``; empty outside of any."""
    found = re.match(r"_ZZ?NK?6torchq(\d+)(\w+)", mangled)
    return found.group(2)[: int(found.group(1))] if found else ""


def innermost_loops(body: list[Instruction]) -> list[list[Instruction]]:
    """The instructions between a label and a jump back to it, of loops without loops in them."""
    ranges = [(jump.jumps_to, jump.address) for jump in body if jump.jumps_to is not None]
    back = [(start, end) for start, end in ranges if body[0].address <= start <= end]
    inner = [a for a in back if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in back)]
    return [[line for line in body if start <= line.address <= end] for start, end in inner]
