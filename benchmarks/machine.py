"""The machine's own limits, measured beside what is compared with them."""

import ctypes
import mmap
from collections.abc import Callable
from functools import cache
from pathlib import Path

LIBRARY = Path(__file__).parents[1] / "build" / "benchmarks" / "native.so"
# A buffer in the second-level cache, and one that no cache holds.
IN_L2, IN_MEMORY = 256 * 1024, 512 * 1024 * 1024
_ROUNDS = 20_000


@cache
def native() -> ctypes.CDLL:
    """The library of ``native/``, which ``make bench`` builds."""
    if not LIBRARY.exists():
        raise FileNotFoundError(f"{LIBRARY} is not built: make bench builds it")
    library = ctypes.CDLL(str(LIBRARY))
    library.machine_multiply.argtypes = [ctypes.c_int, ctypes.c_int64]
    library.machine_multiply.restype = ctypes.c_int64
    library.machine_read.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int64]
    library.machine_read.restype = ctypes.c_int64
    return library


def level() -> int:
    """The CPU capability that kernels of ``native/`` run at: torchq's, as TORCHQ_CPU_CAPABILITY sets both."""
    return native().torchq_get_cpu_capability()


class Limit:
    """What the machine can do of one thing: ``run`` does ``amount`` of it, 0 if nothing is known of this CPU."""

    def __init__(self, run: Callable[[], object], amount: float) -> None:
        """``run`` is called once, to warm up."""
        self.run = run
        self.amount = amount
        run()


def multiplies() -> Limit:
    """8-bit multiplies, as the current level's kernels do them: vpdpbusd; AVX2's exact vpmaddwd and its addition."""
    library, number = native(), level()
    return Limit(lambda: library.machine_multiply(number, _ROUNDS), library.machine_multiply(number, _ROUNDS))


@cache
def _buffer(size: int) -> tuple[mmap.mmap, int]:
    memory = mmap.mmap(-1, size)
    memory.write(b"\1" * size)
    return memory, ctypes.addressof(ctypes.c_char.from_buffer(memory))


def reads(size: int) -> Limit:
    """Bytes read from a buffer of ``size`` bytes, over and over."""
    library, number = native(), level()
    _, address = _buffer(size)
    times = max(1, 4_000_000 // size)

    def run() -> None:
        for _ in range(times):
            library.machine_read(number, address, size)

    return Limit(run, times * library.machine_read(number, address, size))
