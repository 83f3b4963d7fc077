"""Runs benchmarks by name, prints their tables and writes benchmarks/results/<name>.json."""

import argparse
import warnings

from rich.console import Console
from rich.table import Table

from benchmarks import harness, linear, parity

BENCHMARKS = {"parity": parity.run, "linear": linear.run}


def _text(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], help="which ones; all without an argument")
    names = parser.parse_args().names or list(BENCHMARKS)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=UserWarning)
    harness.pin_thread()
    console = Console(width=110)
    console.print(", ".join(f"{key} {value}" for key, value in harness.environment().items()))
    for name in names:
        rows = BENCHMARKS[name]()
        table = Table(title=name)
        for column in rows[0]:
            table.add_column(column, justify="right")
        for row in rows:
            table.add_row(*(_text(value) for value in row.values()))
        console.print(table)
        console.print(f"written to {harness.write_json(name, rows).relative_to(harness.RESULTS.parent.parent)}")


if __name__ == "__main__":
    main()
