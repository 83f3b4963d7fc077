"""Runs benchmarks by name, prints their tables and writes benchmarks/results/<name>.json."""

import argparse
import warnings

from rich.console import Console

from benchmarks import conv, harness, kernels, linear, migration, nets, parity

BENCHMARKS = {
    "parity": parity.run,
    "kernels": kernels.run,
    "linear": linear.run,
    "conv": conv.run,
    "nets": nets.run,
    "migration": migration.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], help="which ones; all without an argument")
    names = parser.parse_args().names or list(BENCHMARKS)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=UserWarning)
    harness.pin_thread()
    console = Console(width=130)
    console.print(", ".join(f"{key} {value}" for key, value in harness.environment().items() if value is not None))
    for name in names:
        tables = BENCHMARKS[name]()
        for table in tables:
            harness.show(console, table)
        console.print(f"written to {harness.write_json(name, tables).relative_to(harness.RESULTS.parent.parent)}")


if __name__ == "__main__":
    main()
