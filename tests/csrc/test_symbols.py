"""What the compiler and the linker made of the sources: which instructions stand where, and what is exported."""

import os
import platform
import re
import subprocess
from pathlib import Path

import pytest

from csrc.disassembly import Instruction, exported, functions, innermost_loops, level_of, symbols

CPU = Path(__file__).parents[2] / "csrc" / "cpu"
BEST_FIRST = ["avx512_vbmi", "avx512_vnni", "avx_vnni", "avx2", "neon_dot", "scalar"]
x86_only = pytest.mark.skipif(platform.machine() != "x86_64", reason="reads x86 instructions")


def listed_kernels(path: Path) -> tuple[list[str], list[str]]:
    """The levels of a family's list, those of all architectures and those of this one."""
    everywhere, here, active = [], [], True
    for line in path.read_text().splitlines():
        if line.startswith(("#if", "#elif")):
            active = f"__{platform.machine()}__" in line
        elif line.startswith("#endif"):
            active = True
        elif row := re.match(r"KERNELS\((\w+)\)", line):
            everywhere.append(row.group(1))
            here += [row.group(1)] if active else []
    return everywhere, here


FAMILIES = {path.parent.name: listed_kernels(path) for path in sorted(CPU.glob("*/kernels.inc"))}


def is_vex(instruction: Instruction) -> bool:
    """Whether the instruction needs AVX, AVX2, FMA or AVX-512: all of those have a mnemonic that begins with v."""
    return instruction.mnemonic.startswith("v") or bool(re.search(r"%[yz]mm\d|%k[0-7]\b", instruction.text))


def is_evex(instruction: Instruction) -> bool:
    """Whether the instruction needs AVX-512: by its registers."""
    return bool(re.search(r"%zmm\d|%k[0-7]\b|%[xy]mm(1[6-9]|2\d|3[01])\b", instruction.text))


def leaks(forbidden, allowed_levels: set[str]) -> dict[str, str]:
    """The first forbidden instruction of each function outside the levels."""
    found = {}
    for name, body in functions().items():
        if level_of(name) not in allowed_levels:
            first = next(filter(forbidden, body), None)
            if first is not None:
                found[name] = first.text
    return found


@x86_only
def test_vector_instructions_stand_in_their_namespaces_only():
    assert leaks(is_vex, {"avx2", "avx_vnni", "avx512_vnni", "avx512_vbmi"}) == {}


@x86_only
def test_avx512_instructions_stand_in_their_namespaces_only():
    assert leaks(is_evex, {"avx512_vnni", "avx512_vbmi"}) == {}


@x86_only
def test_lookups_of_128_bytes_stand_in_their_namespace_only():
    of_vbmi = ("vpermi2b", "vpermt2b")
    found = {level_of(name) for name, body in functions().items() if any(line.mnemonic in of_vbmi for line in body)}
    assert found == {"avx512_vbmi"}


@x86_only
def test_vnni_levels_have_a_dot_product_each():
    """AVX-VNNI's has the name of AVX-512's; binutils show the difference as a prefix."""
    found = {
        (level_of(name), instruction.text.startswith("{vex}"))
        for name, body in functions().items()
        for instruction in body
        if instruction.mnemonic == "vpdpbusd"
    }
    assert found == {("avx_vnni", True), ("avx512_vnni", False)}


DOT_PRODUCTS = """
#include <immintrin.h>
#include "csrc/numerics.h"
#include "csrc/cpu/target_region.h"
TORCHQ_BEGIN_{region}
#include "csrc/cpu/{file}"
TORCHQ_END_{region}
__attribute__((target("{features}"))) {vector} written({vector} sums, {vector} a, {vector} w) {{
  TORCHQ_DPBUSD(sums, a, w);
  return sums;
}}
__attribute__((target("{features}"))) {vector} compiled({vector} sums, {vector} a, {vector} w) {{
  return {intrinsic}(sums, a, w);
}}
"""


@x86_only
@pytest.mark.parametrize(
    ("region", "file", "features", "vector", "intrinsic"),
    [
        ("AVX_VNNI", "simd_avx_vnni.h", "avxvnni", "__m256i", "_mm256_dpbusd_avx_epi32"),
        ("AVX512_VNNI", "simd_avx512.h", "avx512f,avx512vnni", "__m512i", "_mm512_dpbusd_epi32"),
    ],
)
def test_dot_product_written_as_assembly_is_its_intrinsic(tmp_path, region, file, features, vector, intrinsic):
    """Neither instruction runs on every machine that tests them."""
    source = DOT_PRODUCTS.format(region=region, file=file, features=features, vector=vector, intrinsic=intrinsic)
    (tmp_path / "dot.cpp").write_text(source)
    compiler = [os.environ.get("CXX", "g++"), "-std=c++17", "-O1", "-w", f"-I{CPU.parents[1]}", "-S", "-o", "-"]
    text = subprocess.run([*compiler, tmp_path / "dot.cpp"], capture_output=True, text=True, check=True).stdout
    written, compiled = re.findall(r"vpdpbusd\s+(\S+, \S+, \S+)", text)
    assert written.split() == compiled.split()


@x86_only
@pytest.mark.parametrize(("level", "register"), [("avx2", "%ymm"), ("avx512_vnni", "%zmm")])
def test_levels_use_their_registers(level, register):
    """The leak tests would pass on a library without kernels."""
    using = [
        name
        for name, body in functions().items()
        if level_of(name) == level and any(register in instruction.text for instruction in body)
    ]
    assert len(using) >= len(FAMILIES)


def test_scalar_level_is_there():
    assert any(level_of(name) == "scalar" for name in functions())


def test_no_weak_symbol_belongs_to_a_level():
    """The linker may take a weak function from any file, or from another library."""
    weak = [name for kind, name in symbols() if kind in "WwVvu" and level_of(name) in BEST_FIRST]
    assert weak == []


@pytest.mark.parametrize("family", FAMILIES)
def test_listed_kernels_are_in_the_library(family):
    names = {name for _, name in symbols()}
    for level in FAMILIES[family][1]:
        kernel = f"{family}__{level}"
        assert f"_ZN6torchq{len(kernel)}{kernel}E" in names


@pytest.mark.parametrize("family", FAMILIES)
def test_kernel_files_are_listed_best_first(family):
    listed = FAMILIES[family][0]
    files = {path.stem.removeprefix(f"{family}_") for path in (CPU / family).glob(f"{family}_*.cpp")}
    assert set(listed) == files & set(BEST_FIRST)
    assert listed == sorted(listed, key=BEST_FIRST.index)


def test_every_family_has_a_list():
    folders = {path.parent.name for path in CPU.glob("*/*_scalar.cpp")}
    assert folders == set(FAMILIES)


def test_exports_are_the_capability_functions_only():
    """The operators register themselves; weak symbols of the standard library are exported by every C++ library."""
    mine = {name for _, name in exported() if not re.match(r"_Z\w*?(St|9__gnu_cxx)", name)}
    from_the_linker = {"__bss_start", "_edata", "_end", "_init", "_fini"}
    assert mine - from_the_linker == {
        "torchq_get_cpu_capability",
        "torchq_runs_cpu_capability",
        "torchq_set_cpu_capability",
    }


def limit(file: str, name: str) -> int:
    return int(re.search(rf"constexpr int {name} = (\d+);", (CPU / file).read_text()).group(1))


def tiles(file: str, function: str = "tile_rows") -> list[tuple[int, int]]:
    """Rows and panels of each tile. The function is a chain of ``panels == 1 ? rows :``, or one number for all."""
    (chain,) = re.findall(rf"constexpr int {function}\(int(?: panels)?\) {{ return (.*); }}", (CPU / file).read_text())
    *narrow, widest = map(int, re.findall(r"\d+(?= :|$)", chain))
    panels = limit(file, "kTilePanels")
    most = narrow + [widest] * (panels - len(narrow))
    return [(rows, n + 1) for n in range(panels) for rows in range(1, most[n] + 1)]


def lane_rows(file: str) -> dict[int, int]:
    """Rows of a tile with groups in lanes, by their width."""
    (chain,) = re.findall(r"constexpr int lane_rows\(int width\) { return (.*); }", (CPU / file).read_text())
    return {int(width): int(rows) for width, rows in re.findall(r"width == (\d+) \? (\d+)", chain)}


# Level, the function around the loop, the product's instruction, and how many of them a step of the loop has.
LOOPS = [
    (level, f"run_tiles.*{output}.*Li{rows}ELi{panels}E", instruction, rows * panels * registers)
    for level, file, instruction, registers in (
        ("avx512_vnni", "simd_avx512.h", "vpdpbusd", 1),
        ("avx_vnni", "simd_avx_vnni.h", "vpdpbusd", 2),
        ("avx2", "simd_avx2.h", "vpmaddubsw", 2),
    )
    for output in ("ToBytes", "ToFloat")
    for rows, panels in tiles(file)
]
LOOPS += [
    ("avx512_vnni", f"run_pipelined_tiles.*Lb{residual}ELi{rows}ELi{panels}E", "vpdpbusd", rows * panels)
    for residual in (0, 1)
    for rows, panels in tiles("simd_avx512.h", "pipelined_rows")
]
LOOPS += [
    ("avx512_vnni", f"LaneTiles.*Li{width}E.*clILi{rows}E", "vpdpbusd", rows * width)
    for width, most in lane_rows("simd_avx512.h").items()
    for rows in range(1, most + 1)
]
LOOPS += [
    ("avx2", f"WidenedTiles.*{output}.*{order}.*Li{rows}E", "vpmaddwd", rows * (4 if rows <= 2 else 2))
    for output in ("ToBytes", "ToFloat")
    for rows in range(1, limit("gemm/gemm_widened.h", "kWideRows") + 1)
    for order in ("InOrder", "InPairs")
]


# Loops that read more pointers than there are registers for. Products: of the registers of a block, or of a part of
# sixteen columns.
MANY_POINTERS = [
    (level, f"run_{kind}_block.*Li{pixels}E", "vpdpbusd", 4 * pixels)
    for level in ("avx512_vnni", "avx_vnni")
    for kind in ("whole", "half")
    for pixels in (1, 2)  # depthwise
] + [
    (level, f"GroupedTiles.*ToBytes.*Li{width}E.*clILi{rows}E", "vpdpbusd", rows * width // 4)
    for level, file in (("avx512_vnni", "simd_avx512.h"), ("avx_vnni", "simd_avx_vnni.h"))
    for width in (4, 8, 16)
    for rows in range(1, limit(file, "kGroupedRows") + 1)
]


def is_main(loop: list[Instruction]) -> bool:
    """Whether a loop takes whole vectors, and symmetric weights. Without masks a part is copied, byte by byte."""
    return not any(line.mnemonic in ("call", "movzbl", "vpmulld") for line in loop)


def stack_accesses(level: str, function: str, instruction: str, products: int, of=lambda loop: True) -> list[str]:
    """Those of a function's innermost loops that multiply, and that ``of`` is true of."""
    pattern = re.compile(rf"_ZNK?6torchq{len(level)}{level}.*{function}")
    found = [body for name, body in functions().items() if pattern.match(name)]
    assert len(found) == 1
    (body,) = found
    # %rbp is a register like others unless the function keeps its frame there.
    stack = r"\(%rsp|\(%rbp" if any("mov    %rsp,%rbp" in line.text for line in body) else r"\(%rsp"
    multiplying = [loop for loop in innermost_loops(body) if any(line.mnemonic == instruction for line in loop)]
    loops = [loop for loop in multiplying if of(loop)]
    assert loops
    for loop in loops:
        assert sum(line.mnemonic == instruction for line in loop) % products == 0
    return [line.text for loop in loops for line in loop if re.search(stack, line.text)]


@x86_only
@pytest.mark.parametrize(("level", "function", "instruction", "products"), LOOPS, ids=str)
def test_inner_loop_of_the_product_stays_off_the_stack(level, function, instruction, products):
    """A spilled accumulator costs more than the product it holds."""
    assert stack_accesses(level, function, instruction, products) == []


@x86_only
@pytest.mark.parametrize(("level", "function", "instruction", "products"), MANY_POINTERS, ids=str)
def test_inner_loop_of_narrow_products_keeps_vectors_off_the_stack(level, function, instruction, products):
    masks = level == "avx512_vnni"
    accesses = stack_accesses(level, function, instruction, products, of=(lambda loop: True) if masks else is_main)
    assert [text for text in accesses if re.search(r"%[xyz]mm", text)] == []
