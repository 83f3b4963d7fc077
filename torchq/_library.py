"""Finds and loads the compiled library; when it cannot, says why and what to do."""

import ctypes
import os
import platform
import re
from pathlib import Path

import torch

_OLDEST_TORCH = (2, 10)
_PATH = Path(__file__).with_name("_C.so")
# The order is that of the levels in csrc/cpu/isa.h.
_CPU_CAPABILITIES = (
    ("scalar", "neon_dot")
    if platform.machine() == "aarch64"
    else ("scalar", "avx2", "avx_vnni", "avx512_vnni", "avx512_vbmi")
)


def _load() -> ctypes.CDLL:
    found = re.match(r"(\d+)\.(\d+)", torch.__version__)
    if found is None or tuple(map(int, found.groups())) < _OLDEST_TORCH:
        raise ImportError(
            f"torchq needs torch {'.'.join(map(str, _OLDEST_TORCH))} or newer, found {torch.__version__}: "
            "run `pip install --upgrade torch`"
        )
    if not _PATH.exists():
        raise ImportError(
            f"torchq's compiled library is missing: {_PATH} does not exist. In a source tree, build it with "
            "`make build` or `pip install --no-build-isolation -e .`"
        )
    try:
        torch.ops.load_library(_PATH)
    except OSError as error:
        raise ImportError(
            f"torchq's compiled library {_PATH} cannot be loaded beside torch {torch.__version__}: {error}. "
            "Build it again with `pip install --no-build-isolation --force-reinstall .`"
        ) from error
    return ctypes.CDLL(str(_PATH))


_library = _load()


def get_cpu_capability() -> str:
    """Returns the name of the instruction set level that kernels are chosen for.

    It is the best level that the CPU has, of ``scalar``, ``avx2``, ``avx_vnni``, ``avx512_vnni`` and ``avx512_vbmi``,
    or on ARM of ``scalar`` and ``neon_dot``, unless ``set_cpu_capability`` or the environment variable
    ``TORCHQ_CPU_CAPABILITY`` lowered it; the variable may name a level that the CPU lacks, and stands for the best one
    below it then. Results do not depend on the level, only speed does.

    Raises:
        ValueError: if ``TORCHQ_CPU_CAPABILITY`` holds something else than one of these names.

    Example:
        >>> torchq.get_cpu_capability() in torchq.cpu_capabilities()
        True
    """
    level = _library.torchq_get_cpu_capability()
    if level < 0:
        given = os.environ.get("TORCHQ_CPU_CAPABILITY")
        raise ValueError(f"TORCHQ_CPU_CAPABILITY must be one of {', '.join(_CPU_CAPABILITIES)}, got {given!r}")
    return _CPU_CAPABILITIES[level]


def cpu_capabilities() -> tuple[str, ...]:
    """Returns the names of all levels that this CPU runs, the slowest first."""
    return tuple(name for level, name in enumerate(_CPU_CAPABILITIES) if _library.torchq_runs_cpu_capability(level))


get_cpu_capability()  # a wrong TORCHQ_CPU_CAPABILITY is an error at once


def set_cpu_capability(name: str) -> None:
    """Chooses the instruction set level of every operator call that follows, in all threads.

    Args:
        name: one of ``cpu_capabilities()``.

    Raises:
        ValueError: if the name is unknown or this CPU does not run the level.
    """
    if name not in cpu_capabilities():
        raise ValueError(f"this CPU runs {', '.join(cpu_capabilities())}, got {name!r}")
    _library.torchq_set_cpu_capability(_CPU_CAPABILITIES.index(name))
