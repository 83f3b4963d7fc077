"""What every benchmark shares: one pinned thread, tables with a summary, JSON."""

import json
import math
import os
import platform
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

import torchq

RESULTS = Path(__file__).parent / "results"
PEERS = ("onnxruntime", "openvino", "torchao")


def pin_thread() -> None:
    """Puts this process on one hardware thread and torch on one worker."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)


@dataclass
class Measured:
    """The rows of one table.

    Attributes:
        name: of the table.
        rows: column names and values; a column that a row lacks is empty in it.
        ratios: the columns of which the geometric mean and the worst are told; more is better.
    """

    name: str
    rows: list[dict[str, object]]
    ratios: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, dict[str, float]]:
        """Geometric mean and least value of each column of ratios."""
        found = {}
        for column in self.ratios:
            values = [row[column] for row in self.rows if row.get(column) is not None]
            if values:
                found[column] = {"geomean": math.exp(sum(map(math.log, values)) / len(values)), "worst": min(values)}
        return found


def installed(package: str) -> str | None:
    """The version of an installed package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def environment() -> dict[str, object]:
    """What a figure cannot be read without."""
    return {
        "torchq": torchq.__version__,
        "torch": torch.__version__,
        **{peer: installed(peer) for peer in PEERS},
        "cpu": _cpu(),
        "cpu_capability": torchq.get_cpu_capability(),
        "threads": torch.get_num_threads(),
    }


def write_json(name: str, tables: list[Measured]) -> Path:
    """Writes one benchmark's tables with the environment they were measured in."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    content = [{"name": table.name, "rows": table.rows, "summary": table.summary()} for table in tables]
    path.write_text(json.dumps({"environment": environment(), "tables": content}, indent=2) + "\n")
    return path


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def show(console: Console, measured: Measured) -> None:
    """Prints a table, and the geometric mean and the worst of its ratios below it."""
    columns = list(dict.fromkeys(column for row in measured.rows for column in row))
    table = Table(title=measured.name)
    for column in columns:
        first = column == columns[0]
        table.add_column(column, justify="left" if first else "right", no_wrap=first)
    for row in measured.rows:
        table.add_row(*(_text(row.get(column)) for column in columns))
    summary = measured.summary()
    for i, kind in enumerate(("geomean", "worst") if summary else ()):
        cells = (_text(summary[column][kind]) if column in summary else "" for column in columns[1:])
        if i == 0:
            table.add_section()
        table.add_row(kind, *cells)
    console.print(table)
