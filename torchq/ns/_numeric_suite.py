"""The numeric suite: where in a model quantization loses accuracy.

Weights are compared in the state dicts. Outputs are compared layer by layer, with the errors of all layers before them
(``compare_model_outputs``), or each layer by itself, on the quantized model's own input (``compare_model_stub``).
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.utils.parametrize import type_before_parametrizations

from torchq.nn import quantized
from torchq.nn.intrinsic import FusedModule
from torchq.ns.loggers import (
    Logger,
    OutputLogger,
    Shadow,
    ShadowLogger,
    attach_logger,
    detach_loggers,
    logger_of,
    made_logger,
)
from torchq.ns.weights import compare_weights, few, one_deeper
from torchq.quantization.quantization_mappings import get_default_compare_output_module_list
from torchq.quantization.stubs import DeQuantStub

__all__ = [
    "NON_LEAF_MODULE_TO_ADD_OBSERVER_ALLOW_LIST",
    "Logger",
    "OutputLogger",
    "Shadow",
    "ShadowLogger",
    "compare_model_outputs",
    "compare_model_stub",
    "compare_weights",
    "get_logger_dict",
    "get_matching_activations",
    "prepare_model_outputs",
    "prepare_model_with_stubs",
]

# Types whose outputs are compared by default, beside those in the mappings of ``prepare`` and ``quantize_dynamic``.
# Convolutions are quantized dynamically where one asks for it, and are compared then.
NON_LEAF_MODULE_TO_ADD_OBSERVER_ALLOW_LIST: set[type[nn.Module]] = {
    quantized.Linear,
    nn.LSTM,
    *(getattr(quantized.dynamic, name) for name in quantized.dynamic.__all__),
}

# What gives its input, in another form or with noise.
_NEVER_LOGGED = (DeQuantStub, quantized.DeQuantize, nn.Dropout, quantized.Dropout)


def get_logger_dict(mod: nn.Module, prefix: str = "") -> dict[str, dict[str, Any]]:
    """Returns what the loggers in a model recorded.

    Args:
        mod: the model.
        prefix: goes before the names.

    Returns:
        ``<qualified name of a module>.stats`` to the ``stats`` of its logger.
    """
    loggers = {name: logger_of(module) for name, module in mod.named_modules(prefix=prefix)}
    return {
        f"{name}.stats" if name else "stats": logger.stats for name, logger in loggers.items() if logger is not None
    }


def prepare_model_outputs(
    float_module: nn.Module,
    q_module: nn.Module,
    logger_cls: Callable[[], Logger] = OutputLogger,
    allow_list: Collection[type[nn.Module]] | None = None,
) -> None:
    """Attaches loggers to the modules of two models whose outputs are to be compared, in place.

    They replace those of an earlier call. Modules within a module that has a logger get none.

    Args:
        float_module: the float model.
        q_module: its quantized form, or one for quantization-aware training.
        logger_cls: makes a logger: ``OutputLogger``, or a ``Logger`` of one's own.
        allow_list: types of modules; by default those of ``get_default_compare_output_module_list`` and of
            ``NON_LEAF_MODULE_TO_ADD_OBSERVER_ALLOW_LIST``. Fused containers are always among them, stubs that
            dequantize and dropout never.

    Raises:
        TypeError: if ``logger_cls`` makes no ``Logger``.
        ValueError: if a model has no module of these types.
    """
    if allow_list is None:
        allow_list = get_default_compare_output_module_list() | NON_LEAF_MODULE_TO_ADD_OBSERVER_ALLOW_LIST
    for model in (float_module, q_module):
        modules = list(_logged_modules(model, set(allow_list)))
        if not modules:
            raise ValueError(
                f"no module of {type(model).__name__} has one of the types to compare, "
                f"{', '.join(sorted(kind.__name__ for kind in allow_list))}"
            )
        detach_loggers(model)
        for module in modules:
            attach_logger(module, made_logger(logger_cls))


def _logged_modules(model: nn.Module, allowed: set[type[nn.Module]]) -> Iterator[nn.Module]:
    inside: set[nn.Module] = set()
    for module in model.modules():
        if module in inside or isinstance(module, _NEVER_LOGGED):
            continue
        if type_before_parametrizations(module) in allowed or isinstance(module, FusedModule):
            inside.update(module.modules())
            yield module


def get_matching_activations(float_module: nn.Module, q_module: nn.Module) -> dict[str, dict[str, list[torch.Tensor]]]:
    """Returns the outputs that were logged in both models.

    Args:
        float_module: the float model, after ``prepare_model_outputs`` and a run on some data.
        q_module: the other one, after a run on the same data.

    Returns:
        ``<qualified name in q_module>.stats`` to ``{"float": [...], "quantized": [...]}``, an output for each call. A
        module that q_module did not call is left out.

    Raises:
        ValueError: if a logger keeps no ``"tensor_val"``, or there is no such output.
    """
    float_dict, quantized_dict = (get_logger_dict(model) for model in (float_module, q_module))
    activations: dict[str, dict[str, list[torch.Tensor]]] = {}
    for key, stats in quantized_dict.items():
        # Of the parts of a container, the last gives the output.
        match = key if key in float_dict else next(reversed([*one_deeper(float_dict, key)]), None)
        if match is not None and _outputs(key, stats):
            activations[key] = {"float": _outputs(match, float_dict[match]), "quantized": _outputs(key, stats)}
    if not activations:
        raise ValueError(
            "no output was logged in both models: call prepare_model_outputs and run both on some data; loggers have "
            f"{few(float_dict)} in the float model, {few(quantized_dict)} in the quantized one"
        )
    return activations


def _outputs(key: str, stats: dict[str, Any]) -> list[torch.Tensor]:
    if "tensor_val" not in stats:
        raise ValueError(f"the logger of {key!r} keeps no 'tensor_val', but {few(stats)}: read get_logger_dict instead")
    return stats["tensor_val"]


def compare_model_outputs(
    float_model: nn.Module,
    q_model: nn.Module,
    *data: Any,
    logger_cls: Callable[[], Logger] = OutputLogger,
    allow_list: Collection[type[nn.Module]] | None = None,
) -> dict[str, dict[str, list[torch.Tensor]]]:
    """Runs a float model and its quantized form on the same data and returns the outputs of their modules side by side.

    The error of a module's output is that of all modules up to it. The models are left without loggers.

    Args:
        float_model: the float model, fused as ``q_model`` is.
        q_model: its quantized form, or one for quantization-aware training.
        *data: arguments of one call of either model.
        logger_cls: see ``prepare_model_outputs``.
        allow_list: see ``prepare_model_outputs``.

    Returns:
        See ``get_matching_activations``.

    Raises:
        TypeError: if ``logger_cls`` makes no ``Logger``.
        ValueError: if there is nothing to compare.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> outputs = compare_model_outputs(net, quantize_dynamic(net), torch.randn(8, 4))
        >>> [(key, pair["quantized"][0].shape) for key, pair in outputs.items()]
        [('0.stats', torch.Size([8, 3])), ('2.stats', torch.Size([8, 2]))]
    """
    try:
        prepare_model_outputs(float_model, q_model, logger_cls, allow_list)
        with torch.no_grad():
            float_model(*data)
            q_model(*data)
        return get_matching_activations(float_model, q_model)
    finally:
        detach_loggers(float_model)
        detach_loggers(q_model)


def prepare_model_with_stubs(
    float_module: nn.Module,
    q_module: nn.Module,
    module_swap_list: Collection[type[nn.Module]],
    logger_cls: Callable[[], Logger],
) -> None:
    """Puts a ``Shadow`` in the place of quantized modules, in place, with the float module of the same name in it.

    They replace those of an earlier call.

    Args:
        float_module: the float model. Its modules are shared with the shadows, not copied.
        q_module: its quantized form, or one for quantization-aware training.
        module_swap_list: types of float modules, layers or whole blocks.
        logger_cls: makes a shadow's logger: ``ShadowLogger``, or a ``Logger`` of one's own.

    Raises:
        TypeError: if ``logger_cls`` makes no ``Logger``.
        ValueError: if there is no module of these types in ``float_module`` that is another in ``q_module``.
    """
    _remove_shadows(q_module)
    found = {(parent, key): part for parent, key, part in _counterparts(float_module, q_module, set(module_swap_list))}
    if not found:
        raise ValueError(
            f"nothing inside {type(float_module).__name__} is one of "
            f"{', '.join(sorted(kind.__name__ for kind in module_swap_list))} and has a quantized module of its name"
        )
    for (parent, key), counterpart in found.items():
        parent._modules[key] = Shadow(parent._modules[key], counterpart, logger_cls)


def _counterparts(
    float_module: nn.Module, q_module: nn.Module, types: set[type[nn.Module]]
) -> Iterator[tuple[nn.Module, str, nn.Module]]:
    """Yields the parent and key of each module to be shadowed, and the float module of the same name."""
    float_children = dict(float_module.named_children())
    for key, child in q_module.named_children():
        counterpart = float_children.get(key)
        if counterpart is None:
            continue
        if type_before_parametrizations(counterpart) not in types:
            yield from _counterparts(counterpart, child, types)
        elif [type(part) for part in child.modules()] != [type(part) for part in counterpart.modules()]:
            yield q_module, key, counterpart


def _remove_shadows(model: nn.Module) -> None:
    for parent in list(model.modules()):
        for key, child in parent._modules.items():
            if isinstance(child, Shadow):
                parent._modules[key] = child.orig_module


def compare_model_stub(
    float_model: nn.Module,
    q_model: nn.Module,
    module_swap_list: Collection[type[nn.Module]],
    *data: Any,
    logger_cls: Callable[[], Logger] = ShadowLogger,
) -> dict[str, dict[str, Any]]:
    """Runs a quantized model with the float modules beside their quantized forms, and returns the outputs of both.

    Each float module gets the input of the quantized one, so that the error of its output is its own. The quantized
    model is left without shadows.

    Args:
        float_model: the float model, fused as ``q_model`` is.
        q_model: its quantized form, or one for quantization-aware training.
        module_swap_list: types of float modules, layers or whole blocks.
        *data: arguments of one call of the model.
        logger_cls: see ``prepare_model_with_stubs``.

    Returns:
        ``<qualified name>.stats`` to ``{"float": [...], "quantized": [...]}``, with one output for each call.

    Raises:
        TypeError: if ``logger_cls`` makes no ``Logger``.
        ValueError: if there is nothing to compare.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> outputs = compare_model_stub(net, quantize_dynamic(net), {nn.Linear}, torch.randn(8, 4))
        >>> [(key, pair["float"][0].shape) for key, pair in outputs.items()]
        [('0.stats', torch.Size([8, 3])), ('2.stats', torch.Size([8, 2]))]
    """
    try:
        prepare_model_with_stubs(float_model, q_model, module_swap_list, logger_cls)
        with torch.no_grad():
            q_model(*data)
        return get_logger_dict(q_model)
    finally:
        _remove_shadows(q_model)
