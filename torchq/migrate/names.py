"""Where what torch.ao has is found in torchq."""

import importlib.util
from types import ModuleType
from typing import Any

# Prefixes of torch's names -> those of torchq's; the older ones are from before torch.ao.
_PREFIXES = {
    "torch.ao.ns": "torchq.ns",
    "torch.ao.nn": "torchq.nn",
    "torch.ao.quantization": "torchq.quantization",
    "torch.quantization": "torchq.quantization",
    "torch.nn.quantized": "torchq.nn.quantized",
    "torch.nn.quantizable": "torchq.nn.quantizable",
    "torch.nn.intrinsic": "torchq.nn.intrinsic",
    "torch.nn.qat": "torchq.nn.qat",
    "torch.ops.quantized": "torchq.quantized",
}

_PACKAGES = (
    "backend_config",
    "dynamic",
    "fx",
    "intrinsic",
    "pt2e",
    "qat",
    "quantizable",
    "quantized",
    "reference",
    "sparse",
)

# What is in torch itself, under the same name in torchq.
_IN_TORCH = {
    *("quantize_per_tensor", "quantize_per_channel", "quantize_per_tensor_dynamic", "dequantize"),
    *("quint8", "qint8", "qint32", "quint4x2"),
    *("per_tensor_affine", "per_tensor_symmetric", "per_channel_affine", "per_channel_symmetric"),
    *("per_channel_affine_float_qparams", "choose_qparams_optimized", "_choose_qparams_per_tensor", "empty_quantized"),
    *("_empty_affine_quantized", "_empty_per_channel_affine_quantized"),
    *("_make_per_tensor_quantized_tensor", "_make_per_channel_quantized_tensor"),
}

# What is in torch itself, for quantization, and has no counterpart.
_ONLY_TORCH = (
    *("torch.backends.quantized", "torch.classes.quantized", "torch.classes.rnn"),
    *("torch.quint2x4", "torch.quantized_", "torch.fbgemm_"),
)


def is_for_quantization(path: str) -> bool:
    """Whether a dotted name is that of something that torch has for quantization."""
    in_torch = path.startswith("torch.") and path.split(".")[1] in _IN_TORCH
    return path == "torch.ao" or is_torch_ao(path) or in_torch or path.startswith(_ONLY_TORCH)


def is_torch_ao(path: str) -> bool:
    """Whether a dotted name is that of something for quantization, or in it."""
    return path.startswith("torch.ao.") or any(path == prefix or path.startswith(f"{prefix}.") for prefix in _PREFIXES)


def counterpart(path: str) -> str | None:
    """Returns the dotted name that torchq has for one of torch, or None.

    What torch.ao has in a file of a package, torchq may have in the package itself:
    ``torch.ao.nn.quantized.modules.linear.Linear`` is ``torchq.nn.quantized.Linear``.

    Args:
        path: a module's, class's or function's.

    Example:
        >>> counterpart("torch.ao.quantization.get_default_qconfig")
        'torchq.quantization.get_default_qconfig'
    """
    prefix = next((prefix for prefix in _PREFIXES if path == prefix or path.startswith(f"{prefix}.")), None)
    if prefix is None:
        name = path.removeprefix("torch.")
        return f"torchq.{name}" if name in _IN_TORCH else None
    *places, last = path.removeprefix(prefix).split(".")
    if not last:
        return _PREFIXES[prefix]
    places = [place for place in places if place]
    exact = ".".join([_PREFIXES[prefix], *places, last])
    if find(exact) is not None:
        return exact
    # torch.ao's files: all behind "modules", and else the last one, unless that is a package, with names of its own.
    if "modules" in places:
        places = places[: places.index("modules")]
    elif places and places[-1] not in _PACKAGES:
        places.pop()
    else:
        return None
    name = ".".join([_PREFIXES[prefix], *places, last])
    found = find(name)
    return None if found is None or isinstance(found, ModuleType) else name


def find(name: str) -> Any | None:
    """Returns what a dotted name of torchq stands for, or None; an attribute comes before a file of the same name."""
    path, *rest = name.split(".")
    found: Any = importlib.import_module(path)
    for part in rest:
        path = f"{path}.{part}"
        if hasattr(found, part):
            found = getattr(found, part)
        elif hasattr(found, "__path__") and importlib.util.find_spec(path) is not None:
            found = importlib.import_module(path)
        else:
            return None
    return found


def found_for(path: str) -> Any | None:
    """Returns what torchq has for a dotted name of torch, or None."""
    name = counterpart(path)
    return None if name is None else find(name)


def module_of(name: str) -> str:
    """Returns the longest beginning of a dotted name of torchq that is a module's."""
    path = name
    while not isinstance(find(path), ModuleType):
        path = path.rpartition(".")[0]
    return path
