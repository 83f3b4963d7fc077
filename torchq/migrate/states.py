"""States of torch.ao's models."""

import copy
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from torchq.migrate.values import (
    as_qtensor,
    cell_weights,
    embedding_rows,
    is_packed,
    layer_weights,
    linear_parameters,
    weight_and_bias,
)
from torchq.nn import quantized
from torchq.nn.quantized import operations
from torchq.nn.quantized.dynamic.granularity import GranularModule
from torchq.nn.quantized.dynamic.recurrent import RecurrentModule
from torchq.nn.quantized.dynamic.rnn_base import RNNBase
from torchq.nn.quantized.state import QuantizedOutputModule
from torchq.nn.quantized.weighted import WeightedQuantizedModule, weight_state
from torchq.qtensor import QTensor
from torchq.qtensor_packed import PackedQTensor
from torchq.quantization.fx.graph_module import OUTPUT_QPARAMS, QuantizedGraphModule

# Their qparams are those of their function, and torch.ao saves none.
_FIXED = (quantized.Sigmoid, quantized.Softmax)
_FIXED_FUNCTIONS = (operations.hardsigmoid, operations.sigmoid, operations.tanh)
# torch.ao saves none of these either, which it chose by data.
_LOST = (quantized.ELU, quantized.PReLU)
# Names of the packed weights of recurrent layers and of cells.
_PACKED = re.compile(r"_all_weight_values\.\d+\.param$|_packed_weight_(ih|hh)$")
_ONE_DIMENSION = (quantized.Conv1d, quantized.ConvTranspose1d)


def convert_state_dict(state_dict: Mapping[str, Any], model: nn.Module) -> dict[str, torch.Tensor]:
    """Returns the state that a model of torchq has where one of torch.ao has this.

    Args:
        state_dict: of a model that torch.ao quantized. Its values may be torch's quantized tensors and packed
            parameters.
        model: of torchq, prepared and converted as that one was, with any data; in graph mode with torch.ao's own
            ``BackendConfig``, such as ``get_native_backend_config()``. It is left as it is.

    Raises:
        TypeError: if a value is none that torchq can hold.
        ValueError: if the model has modules whose scale torch.ao does not save. ``convert_model`` takes these.
    """
    state: dict[str, Any] = {}
    for name, value in state_dict.items():
        state.update({name: value} if _PACKED.search(name) else _entries(name, value))
    for path, module in model.named_modules():
        prefix = f"{path}." if path else ""
        if isinstance(module, _LOST):
            raise ValueError(
                f"torch.ao saves no scale of {path!r}, a {type(module).__name__}: migrate the model itself"
            )
        if isinstance(module, _FIXED):
            state.update({prefix + name: value for name, value in module.state_dict().items()})
        if isinstance(module, WeightedQuantizedModule):
            _fit(state, prefix, module)
        if isinstance(module, RecurrentModule):
            _fit_recurrent(state, prefix, module)
        if isinstance(module, QuantizedGraphModule):
            _fit_graph(state, prefix, module)
        if isinstance(module, GranularModule):
            state[f"{prefix}per_token"] = torch.tensor(False)
    return state


def _fit_recurrent(state: dict[str, Any], prefix: str, module: RecurrentModule) -> None:
    """Makes the entries of recurrent layers and cells those that torchq's have."""
    found = {name: state.pop(name) for name in list(state) if name.startswith(prefix) and _PACKED.search(name)}
    if not found:
        return  # which load_state_dict says
    filled = copy.deepcopy(module)
    if isinstance(module, RNNBase):
        packed = [found[name] for name in sorted(found, key=lambda name: int(name.split(".")[-2]))]
        filled.set_weight_bias(layer_weights(packed, module.suffixes()))
    else:
        filled.set_weight_bias(cell_weights(*(found[f"{prefix}_packed_weight_{name}"] for name in ("ih", "hh"))))
    state.update({prefix + name: value for name, value in filled.state_dict().items()})


def _fit_graph(state: dict[str, torch.Tensor], prefix: str, module: QuantizedGraphModule) -> None:
    """Gives layers that were functions the scale and zero point that a graph of torch.ao has beside them."""
    for layer, names in module.meta.get(OUTPUT_QPARAMS, {}).items():
        for name, attribute in zip(("scale", "zero_point"), names, strict=True):
            if prefix + attribute in state:
                state[f"{prefix}{layer}.{name}"] = state.pop(prefix + attribute)
    own = module.state_dict()
    for node in module.graph.nodes:
        if node.target in _FIXED_FUNCTIONS:
            names = [node.kwargs[name].target for name in ("scale", "zero_point")]
            state.update({prefix + name: own[name] for name in names if prefix + name not in state})


def _fit(state: dict[str, torch.Tensor], prefix: str, module: WeightedQuantizedModule) -> None:
    """Makes the entries of a layer those that torchq's has."""
    weight = state.get(f"{prefix}weight")
    if weight is not None and weight.dim() == 4 and isinstance(module, _ONE_DIMENSION):
        state[f"{prefix}weight"] = weight.squeeze(2)  # packed as an image of height 1
    if not isinstance(module, QuantizedOutputModule):
        # torch.ao's dynamic layers save what they inherit and do not use.
        for name in ("scale", "zero_point"):
            state.pop(prefix + name, None)


def _entries(name: str, value: Any) -> dict[str, torch.Tensor]:
    """Returns what torchq saves for an entry of torch.ao."""
    prefix = name.rpartition("_packed_params.")[0]
    if name.endswith("_packed_params.dtype") or value is None:
        return {}
    if name.endswith("_packed_params._packed_params"):
        return _layer_entries(prefix, *linear_parameters(value))
    if name.endswith("_packed_params._packed_weight"):
        return _weight_entries(prefix, embedding_rows(value))
    if is_packed(value):
        return _layer_entries(f"{name}.", *weight_and_bias(value))
    if isinstance(value, QTensor) or (isinstance(value, torch.Tensor) and value.is_quantized):
        return _weight_entries(name.removesuffix("weight"), as_qtensor(value))
    if not isinstance(value, torch.Tensor):
        raise TypeError(
            f"cannot migrate {name!r}, a {type(value).__name__}: a model's own state has tensors only, and may be an "
            "entry of what was saved"
        )
    return {name: value}


def _layer_entries(prefix: str, weight: torch.Tensor, bias: torch.Tensor | None) -> dict[str, torch.Tensor]:
    halved = not isinstance(weight, QTensor)
    entries = {f"{prefix}weight": weight.half()} if halved else _weight_entries(prefix, weight)
    return entries if bias is None else {**entries, f"{prefix}bias": bias}


def _weight_entries(prefix: str, weight: QTensor) -> dict[str, torch.Tensor]:
    entries = weight_state(weight)
    if isinstance(weight, PackedQTensor):
        entries["weight"] = weight._packed.view(weight.shape[0], -1)
    return {prefix + name: value for name, value in entries.items()}
