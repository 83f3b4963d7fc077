"""Single kernels without torch: fractions of what the machine multiplies, or bytes a second beside its reading."""

import ctypes
from pathlib import Path

from benchmarks import machine
from benchmarks.harness import Measured
from examples.timing import interleaved_medians

_CSRC = Path(__file__).parents[1] / "csrc" / "cpu"


def _declare(library: ctypes.CDLL) -> None:
    library.kernels_count.restype = ctypes.c_int64
    for name, result in (
        ("family", ctypes.c_char_p),
        ("name", ctypes.c_char_p),
        ("multiplies", ctypes.c_double),
        ("bytes", ctypes.c_double),
    ):
        function = getattr(library, f"kernels_{name}")
        function.argtypes, function.restype = [ctypes.c_int64], result
    library.kernels_run.argtypes = [ctypes.c_int64, ctypes.c_int, ctypes.c_int64]
    library.kernels_agree.argtypes = [ctypes.c_int64, ctypes.c_int]


def run() -> list[Measured]:
    """Times every case of ``native/kernels.cpp``; its result must be the scalar level's first."""
    library, level = machine.native(), machine.level()
    _declare(library)
    multiplies, reads = machine.multiplies(), machine.reads(machine.IN_L2)
    products, passes, families = [], [], set()
    for i in range(library.kernels_count()):
        family, name = library.kernels_family(i).decode(), library.kernels_name(i).decode()
        families.add(family)
        if not library.kernels_agree(i, level):
            raise RuntimeError(f"{family} {name}: the result is not the scalar level's")
        work = library.kernels_multiplies(i)
        limit, times = (multiplies, 10) if work else (reads, 100)
        runs = {"kernel": lambda i=i, times=times: library.kernels_run(i, level, times)}
        if limit.amount:
            runs["limit"] = limit.run
        seconds = interleaved_medians(runs)
        each = seconds["kernel"] / times
        row = {"kernel": f"{family}: {name}", "us": each * 1e6}
        row |= {"GMAC/s": work / each / 1e9} if work else {"GB/s": library.kernels_bytes(i) / each / 1e9}
        if limit.amount:
            most = limit.amount / seconds["limit"]
            row["of peak" if work else "of reading from L2"] = (work or library.kernels_bytes(i)) / each / most
        (products if work else passes).append(row)
    forgotten = {path.parent.name for path in _CSRC.glob("*/kernels.inc")} - families
    if forgotten:
        raise RuntimeError(f"no case in native/kernels.cpp for {', '.join(sorted(forgotten))}")
    return [Measured("kernels that multiply", products, ["of peak"]), Measured("kernels that pass over bytes", passes)]
