"""What every benchmark shares: one pinned thread, the machine's peak, JSON."""

import ctypes
import json
import os
import subprocess
import tempfile
from pathlib import Path

import torch

import torchq

RESULTS = Path(__file__).parent / "results"


def pin_thread() -> None:
    """Puts this process on one hardware thread and torch on one worker."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)


class Peak:
    """The vpdpbusd limit of one thread, measured beside the kernels; ``available`` is False on a CPU without it."""

    _CALL_ROUNDS = 20_000

    def __init__(self) -> None:
        """Compiles peak.cpp into a temporary library."""
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "peak.so"
            source = Path(__file__).with_name("peak.cpp")
            compiler = os.environ.get("CXX", "g++")
            subprocess.run([compiler, "-O2", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
            self._library = ctypes.CDLL(str(library))
        self._library.vpdpbusd_operations.argtypes = [ctypes.c_int64]
        self._library.vpdpbusd_operations.restype = ctypes.c_int64
        self.available = bool(self._library.has_vpdpbusd())
        self.operations = self._library.vpdpbusd_operations(self._CALL_ROUNDS) if self.available else 0

    def run(self) -> None:
        """Does ``operations`` int8 operations."""
        self._library.vpdpbusd_operations(self._CALL_ROUNDS)


def environment() -> dict[str, object]:
    """What a figure cannot be read without."""
    return {
        "torchq": torchq.__version__,
        "torch": torch.__version__,
        "cpu_capability": torchq.get_cpu_capability(),
        "threads": torch.get_num_threads(),
    }


def write_json(name: str, rows: list[dict[str, object]]) -> Path:
    """Writes rows of one benchmark with the environment they were measured in."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"environment": environment(), "rows": rows}, indent=2) + "\n")
    return path
