"""Builds torchq/_C.so: the operators' schemas and their CPU kernels.

The library uses LibTorch's stable ABI of torch 2.10 and holds no Python code: one binary serves every newer torch and
every Python, is loaded with torch.ops.load_library, and wheels carry the tag py3-none-<platform>.
"""

import os
import shlex
from pathlib import Path

import torch
from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
TORCH = Path(torch.__file__).parent
COMPILE = [
    "-std=c++17",
    "-O2",
    "-g1",
    "-Wall",
    "-Wextra",
    # GCC 12 warns inside its own AVX-512 headers.
    "-Wno-uninitialized",
    "-Wno-maybe-uninitialized",
    "-ffp-contract=off",  # an fma is written as one: docs/numerics.md
    "-fvisibility=hidden",
    "-DTORCH_TARGET_VERSION=0x020a000000000000",  # torch 2.10
]
# Without --no-as-needed a linker may drop libtorch, from which the registration symbols come.
LINK = ["-Wl,--no-as-needed", "-ltorch"]


def sources() -> list[str]:
    """The C++ files, as setuptools wants them: relative to the project's root."""
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / "csrc").rglob("*.cpp"))


def headers() -> list[str]:
    """What a source may include, so that a changed header rebuilds."""
    return sorted(str(path.relative_to(ROOT)) for kind in ("*.h", "*.inc") for path in (ROOT / "csrc").rglob(kind))


def _ninja_path(path: Path) -> str:
    """The path as a build line wants it."""
    return str(path).replace("$", "$$").replace(" ", "$ ").replace(":", "$:")


class BuildLibrary(build_ext):
    """Compiles with ninja where it is installed, else one file after the other."""

    def get_ext_filename(self, fullname: str) -> str:
        """A plain library: no Python version in its name."""
        return os.path.join(*fullname.split(".")) + ".so"

    def get_export_symbols(self, ext: Extension) -> list[str]:
        """No PyInit: the library registers its operators when it is loaded."""
        return ext.export_symbols

    def build_extension(self, ext: Extension) -> None:
        """Builds one library."""
        try:
            import ninja
        except ImportError:
            super().build_extension(ext)
            return
        self.build_with_ninja(ext, os.path.join(ninja.BIN_DIR, "ninja"))

    def build_with_ninja(self, ext: Extension, ninja: str) -> None:
        """Writes a build.ninja, which recompiles what changed, and runs it."""
        folder = Path(self.build_temp).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        target = Path(self.get_ext_fullpath(ext.name)).absolute()
        compiler = os.environ.get("CXX", "g++")
        include = [part for path in ext.include_dirs for part in ("-isystem", path)]
        compile_flags = shlex.join([*ext.extra_compile_args, *include]).replace("$", "$$")
        link_flags = shlex.join([f"-L{path}" for path in ext.library_dirs] + ext.extra_link_args).replace("$", "$$")
        lines = [
            f"rule compile\n  command = {compiler} -MMD -MF $out.d -fPIC {compile_flags}"
            " -c $in -o $out\n  depfile = $out.d\n  deps = gcc",
            f"rule link\n  command = {compiler} -shared $in {link_flags} -o $out",
        ]
        objects = []
        for source in ext.sources:
            objects.append(f"{source}.o")
            lines.append(f"build {objects[-1]}: compile {_ninja_path(ROOT.absolute() / source)}")
        lines.append(f"build {_ninja_path(target)}: link {' '.join(objects)}")
        (folder / "build.ninja").write_text("\n".join(lines) + "\n")
        self.spawn([ninja, "-C", str(folder), *([] if self.verbose else ["--quiet"])])


class StableWheel(bdist_wheel):
    """Tags the wheel for every Python 3."""

    def get_tag(self) -> tuple[str, str, str]:
        """The platform is the only thing that the library depends on."""
        return "py3", "none", super().get_tag()[2]


setup(
    ext_modules=[
        Extension(
            "torchq._C",
            sources=sources(),
            depends=headers(),
            include_dirs=[str(TORCH / "include")],
            library_dirs=[str(TORCH / "lib")],
            extra_compile_args=COMPILE,
            extra_link_args=LINK,
            language="c++",
        )
    ],
    cmdclass={"build_ext": BuildLibrary, "bdist_wheel": StableWheel},
)
