"""Writes docs/torch_ao_names.md: torch.ao's public names, where they are in torchq, and which test tests them.

The names are read from torch's own modules: what is in ``__all__``, or has no underscore and is defined in torch.ao.
"""

import importlib
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "torch_ao_names.md"
OPS = "torch.ops.quantized"
# The module -> the folders of its tests, and how a test calls the module.
MODULES = {
    "torch.ao.quantization": (("quantization",), ("quantization", "torch_ao")),
    "torch.ao.nn.quantized": (("nn",), ("quantized",)),
    "torch.ao.nn.quantized.functional": (("nn",), ("functional", "f")),
    "torch.ao.nn.quantized.dynamic": (("nn",), ("dynamic",)),
    "torch.ao.nn.intrinsic": (("nn", "quantization"), ("intrinsic",)),
    "torch.ao.nn.intrinsic.qat": (("nn", "quantization"), ("intrinsic_qat", "intrinsic.qat")),
    "torch.ao.nn.intrinsic.quantized": (("nn",), ("intrinsic_quantized", "intrinsic.quantized")),
    "torch.ao.nn.intrinsic.quantized.dynamic": (("nn",), ("intrinsic_quantized.dynamic", "quantized.dynamic")),
    "torch.ao.nn.qat": (("nn", "quantization"), ("qat",)),
    "torch.ao.nn.qat.dynamic": (("nn", "quantization"), ("qat.dynamic", "dynamic")),
    "torch.ao.nn.quantizable": (("nn",), ("quantizable",)),
    OPS: (("quantized",), ("quantized", "q")),
}
_TORCHSCRIPT = "for TorchScript models, which torch has deprecated; `quantize_fx` works on traced models"
_TORCHAO = "a part of torchao's observers for `torch.export`, and to be found in torchao"
_SPARSE = "for modules with sparse weights (`torch.ao.nn.sparse`), of which torchq has no kernels"
_LEGACY = "returns a weight packed in the old way, as a tensor; `{}` packs it"
_CELLS = (
    "packs a cell for `torch.quantized_lstm` and `torch.quantized_gru`; modules and cell functions take its weights"
)
DROPPED: dict[str, dict[str, str]] = {
    "torch.ao.quantization": {
        **dict.fromkeys(
            ("convert_dynamic_jit", "convert_jit", "fuse_conv_bn_jit", "prepare_dynamic_jit", "prepare_jit"),
            _TORCHSCRIPT,
        ),
        **dict.fromkeys(
            ("quantize_dynamic_jit", "quantize_jit", "script_qconfig", "script_qconfig_dict"), _TORCHSCRIPT
        ),
        **dict.fromkeys(("AffineQuantizedObserverBase", "TorchAODType"), _TORCHAO),
        "get_default_dynamic_sparse_quant_module_mappings": _SPARSE,
        "get_default_static_sparse_quant_module_mappings": _SPARSE,
    },
    OPS: {
        "linear_prepack_legacy": _LEGACY.format("linear_prepack"),
        "linear_prepack_fp16_legacy": _LEGACY.format("linear_prepack_fp16"),
        "int4mm_packed_weight_cpu": "what compiled graphs call for weights of 4 bits; torchq's are of 8 bits",
        "make_quantized_cell_params": _CELLS,
        "make_quantized_cell_params_dynamic": _CELLS,
        "make_quantized_cell_params_fp16": _CELLS,
    },
}


def public_names(module: str) -> list[str]:
    """Returns the public names of one of torch's modules."""
    if module == OPS:
        names = torch._C._dispatch_get_all_op_names()
        return sorted({name.split("::")[1].split(".")[0] for name in names if name.startswith("quantized::")})
    loaded = importlib.import_module(module)
    defined = {
        name
        for name, value in vars(loaded).items()
        if not name.startswith("_") and str(getattr(value, "__module__", "")).startswith("torch.ao")
    }
    return sorted(defined | set(getattr(loaded, "__all__", ())))


def home(module: str) -> str:
    """Returns the module of torchq that has the names of one of torch's."""
    return "torchq.quantized" if module == OPS else module.replace("torch.ao", "torchq")


def is_present(module: str, name: str) -> bool:
    """Whether torchq has a name of one of torch's modules."""
    try:
        return hasattr(importlib.import_module(home(module)), name)
    except ModuleNotFoundError as error:
        if not home(module).startswith(str(error.name)):
            raise
        return False


def sources() -> dict[str, str]:
    """Returns the text of each file below tests/, by its path from there."""
    tests = ROOT / "tests"
    return {path.relative_to(tests).as_posix(): path.read_text() for path in sorted(tests.rglob("*.py"))}


def tested_in(module: str, name: str, texts: dict[str, str]) -> str | None:
    """Returns the first file that has a name with its module before it, or else the name alone, as a whole word.

    Args:
        module: of torch.
        name: in it.
        texts: what ``sources`` returns.
    """
    folders, owners = MODULES[module]
    texts = {path: text for path, text in texts.items() if path.split("/")[0] in folders}
    owned = rf"(?<![\w.])(?:{'|'.join(map(re.escape, owners))})\.{name}(?!\w)"
    for pattern in (owned, rf"(?<!\w){name}(?!\w)"):
        for path, text in texts.items():
            if re.search(pattern, text):
                return path
    return None


def rows() -> dict[str, list[tuple[str, str, str]]]:
    """Returns for each module its names: where each is, and its test, or why it is nowhere."""
    texts = sources()
    table: dict[str, list[tuple[str, str, str]]] = {}
    for module in MODULES:
        table[module] = []
        for name in public_names(module):
            if is_present(module, name):
                test = tested_in(module, name, texts)
                table[module].append((name, f"{home(module)}.{name}", f"tests/{test}" if test else ""))
            else:
                table[module].append((name, "", DROPPED.get(module, {}).get(name, "")))
    return table


def page() -> str:
    """Returns the text of docs/torch_ao_names.md."""
    table = rows()
    lines = [
        "# torch.ao's names",
        "",
        f"The {sum(map(len, table.values()))} public names of torch {version()}'s quantization, and where they are in "
        "torchq. Written by",
        "`make names`, which reads them from torch's modules and looks for them among the tests; a test compares this",
        "page with what it would write now.",
        "",
        "| module | present | dropped | share |",
        "|---|--:|--:|--:|",
    ]
    counts = {module: Counter(bool(where) for _, where, _ in names) for module, names in table.items()}
    lines += [_summary(f"`{module}`", count) for module, count in counts.items()]
    lines.append(_summary("all", sum(counts.values(), Counter())))
    for module, names in table.items():
        lines += ["", f"## {module}", "", "| name | in torchq | tested in, or why it is not there |", "|---|---|---|"]
        lines += [f"| `{name}` | {f'`{where}`' if where else ''} | {said} |" for name, where, said in names]
    return "\n".join(lines) + "\n"


def version() -> str:
    """Returns torch's version, without what comes behind its first two numbers."""
    return ".".join(torch.__version__.split(".")[:2])


def _summary(module: str, count: Any) -> str:
    return f"| {module} | {count[True]} | {count[False]} | {100 * count[True] / count.total():.1f} % |"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(page())
    print(f"wrote {PAGE.relative_to(ROOT)}")
