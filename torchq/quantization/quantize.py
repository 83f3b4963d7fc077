"""convert, and the one-call forms of quantization in eager mode."""

import copy
from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.utils.parametrize import type_before_parametrizations

from torchq.dtypes import QDtype, from_torch, qint8, quint4x2, quint8
from torchq.nn.qat import QATModule
from torchq.nn.quantized import Embedding
from torchq.nn.quantized.identity import Identity
from torchq.quantization.custom_modules import (
    FLOAT_TO_OBSERVED,
    OBSERVED_TO_QUANTIZED,
    CustomMapping,
    checked_config,
    get_default_custom_config_dict,
)
from torchq.quantization.prepare import QConfigDict, prepare, propagate_qconfig_
from torchq.quantization.qconfig import (
    QConfig,
    default_dynamic_qconfig,
    float16_dynamic_qconfig,
    float_qparams_weight_only_qconfig,
    float_qparams_weight_only_qconfig_4bit,
)
from torchq.quantization.quantization_mappings import (
    ModuleMapping,
    get_default_dynamic_quant_module_mappings,
    get_default_qat_module_mappings,
    get_default_static_quant_module_mappings,
    get_default_static_quant_reference_module_mappings,
)
from torchq.quantization.stubs import QuantWrapper
from torchq.quantization.swap import replacements_of, swap_module, with_replacements
from torchq.quantization.utils import has_no_children_ignoring_parametrizations

__all__ = [
    "add_quant_dequant",
    "convert",
    "float_modules",
    "get_default_custom_config_dict",
    "prepare",
    "prepare_qat",
    "propagate_qconfig_",
    "quantize",
    "quantize_dynamic",
    "quantize_qat",
    "swap_module",
]


def add_quant_dequant(module: nn.Module) -> nn.Module:
    """Wraps each leaf module that has a qconfig in a ``QuantWrapper``, so that it alone computes in int8.

    Args:
        module: the model, whose children are replaced in place; its modules have qconfigs (``propagate_qconfig_``).

    Returns:
        The model, or the wrapper if the model is a leaf itself.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 2), nn.Softmax(1))
        >>> model[0].qconfig = torchq.quantization.default_qconfig
        >>> [type(part).__name__ for part in add_quant_dequant(model)]
        ['QuantWrapper', 'Softmax']
    """
    if has_no_children_ignoring_parametrizations(module) and getattr(module, "qconfig", None) is not None:
        return QuantWrapper(module)
    for name, child in module.named_children():
        module._modules[name] = add_quant_dequant(child)
    return module


def convert(
    module: nn.Module,
    mapping: ModuleMapping | None = None,
    inplace: bool = False,
    remove_qconfig: bool = True,
    is_reference: bool = False,
    convert_custom_config_dict: dict[str, Any] | None = None,
    use_precomputed_fake_quant: bool = False,
) -> nn.Module:
    """Replaces the modules of a calibrated or trained model by quantized ones.

    Replaced are the modules that have a qconfig and whose type is in ``mapping``; forward hooks and pre-hooks
    move to the replacement, where they see quantized tensors. A module used in several places stays one module.
    Every ``nn.Identity`` without hooks, such as fusing leaves, becomes one of a subclass, whose call takes less time.

    Args:
        module: what ``prepare`` returned, after calibration, or ``prepare_qat``, after training.
        mapping: float types to quantized types; ``get_default_static_quant_module_mappings()`` if None, or
            ``get_default_static_quant_reference_module_mappings()`` if ``is_reference``.
        inplace: change ``module`` instead of a copy. It is changed only if every replacement could be made.
        remove_qconfig: also take off the qconfigs and the observers that are left.
        is_reference: put in float modules whose weight is quantized and dequantized; their results are float.
        convert_custom_config_dict: its entry ``"observed_to_quantized_custom_module_class"`` maps types of the user's
            own modules to quantized types, made by their ``from_observed``; they go before ``mapping``.
        use_precomputed_fake_quant: handed on to each ``from_float`` that takes it. torchq's own do not: they take the
            weights of training as training saw them.

    Returns:
        The quantized model: ``module`` itself if ``inplace``, else another one.

    Raises:
        RuntimeError: if a module was never calibrated; the message names it.
        ValueError: if nothing is there to be replaced, or the qconfig of a module does not fit; names it too. Also if
            a module was trained with a fake-quantized weight but has no quantized counterpart, and for unknown keys in
            ``convert_custom_config_dict``.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"expected a module, got {module!r}")
    if mapping is None and is_reference:
        mapping = get_default_static_quant_reference_module_mappings()
    elif mapping is None:
        mapping = get_default_static_quant_module_mappings()
    custom = checked_config("convert_custom_config_dict", convert_custom_config_dict).get(OBSERVED_TO_QUANTIZED, {})
    if not inplace:
        module = copy.deepcopy(module)
    return _converted(module, mapping, custom, inplace, remove_qconfig, use_precomputed_fake_quant)


def _converted(
    model: nn.Module,
    mapping: ModuleMapping,
    custom: CustomMapping,
    inplace: bool,
    remove_qconfig: bool = True,
    use_precomputed_fake_quant: bool = False,
) -> nn.Module:
    """Replaces the modules of a model that is a copy already, unless ``inplace``."""
    _require_counterparts(model, {**mapping, **custom})
    replacements = replacements_of(model, mapping, custom, use_precomputed_fake_quant)
    model = with_replacements(model, replacements, inplace, remove_qconfig)
    Identity.put_in_place(model)
    return model


def _require_counterparts(model: nn.Module, mapping: ModuleMapping) -> None:
    for name, module in model.named_modules():
        if isinstance(module, QATModule) and type_before_parametrizations(module) not in mapping:
            raise ValueError(
                f"cannot convert {name or 'the model'!r}: {type(module).__name__} with a fake-quantized weight has no "
                "quantized counterpart in the mapping; put what its to_float returns in its place to leave it in float"
            )


def quantize(
    model: nn.Module,
    run_fn: Callable[..., Any],
    run_args: Sequence[Any],
    mapping: ModuleMapping | None = None,
    inplace: bool = False,
) -> nn.Module:
    """Prepares, calibrates and converts a model in one call.

    Args:
        model: float; put into eval mode.
        run_fn: called with the prepared model and ``run_args`` to run the calibration data.
        run_args: further arguments of ``run_fn``.
        mapping: see ``convert``.
        inplace: change ``model`` instead of a copy.

    Returns:
        The quantized model.

    Raises:
        RuntimeError: if ``run_fn`` did not reach a module; the message names it.
        ValueError: if no module has a qconfig.
    """
    if mapping is None:
        mapping = get_default_static_quant_module_mappings()
    if not inplace:
        model = copy.deepcopy(model)
    model.eval()
    prepare(model, inplace=True)
    run_fn(model, *run_args)
    return _converted(model, mapping, get_default_custom_config_dict()[OBSERVED_TO_QUANTIZED], inplace)


def prepare_qat(model: nn.Module, mapping: ModuleMapping | None = None, inplace: bool = False) -> nn.Module:
    """Makes a float model one that trains as int8 will compute; the next step is to train it.

    Modules that have a qconfig and whose type is in ``mapping`` get fake-quantized weights: they keep their
    parameters, so that an optimizer of a model changed in place goes on working. Then ``prepare`` gives every module
    that has a quantized counterpart a fake quantizer of its output.

    Args:
        model: in training mode; its modules fused by ``fuse_modules_qat``.
        mapping: float types to types for training; ``get_default_qat_module_mappings()`` if None.
        inplace: change ``model`` instead of a copy.

    Returns:
        The model to train: ``model`` itself if ``inplace``, else another one.

    Raises:
        ValueError: if the model is not in training mode, or no module has a qconfig and a counterpart for training;
            as ``prepare``, too.

    Example:
        >>> model = nn.Sequential(torchq.quantization.QuantStub(), nn.Linear(4, 2), torchq.quantization.DeQuantStub())
        >>> model.qconfig = torchq.quantization.get_default_qat_qconfig()
        >>> trained = prepare_qat(model.train())
        >>> trained(torch.randn(8, 4)).sum().backward()  # your training
        >>> type(convert(trained.eval())[1])
        <class 'torchq.nn.quantized.linear.Linear'>
    """
    if not model.training:
        raise ValueError(f"{type(model).__name__} is in eval mode: call model.train() before prepare_qat")
    if not inplace:
        model = copy.deepcopy(model)
    return _prepared_qat(model, get_default_qat_module_mappings() if mapping is None else mapping, inplace)


def _prepared_qat(model: nn.Module, mapping: ModuleMapping, inplace: bool) -> nn.Module:
    propagate_qconfig_(model)
    replacements = replacements_of(model, mapping, later=get_default_custom_config_dict()[FLOAT_TO_OBSERVED])
    model = with_replacements(model, replacements, inplace, remove_qconfig=False)
    return prepare(model, inplace=True, observer_non_leaf_module_list=set(mapping.values()))


def quantize_qat(
    model: nn.Module, run_fn: Callable[..., Any], run_args: Sequence[Any], inplace: bool = False
) -> nn.Module:
    """Prepares, trains and converts a model in one call.

    Args:
        model: float, its modules fused by ``fuse_modules_qat``; put into training mode.
        run_fn: called with the prepared model and ``run_args`` to train it.
        run_args: further arguments of ``run_fn``.
        inplace: change ``model`` instead of a copy.

    Returns:
        The quantized model, in the mode that ``run_fn`` left it in.

    Raises:
        RuntimeError: if ``run_fn`` did not reach a module; the message names it.
        ValueError: as ``prepare_qat`` and ``convert``.
    """
    if not inplace:
        model = copy.deepcopy(model)
    model = _prepared_qat(model.train(), get_default_qat_module_mappings(), inplace)
    run_fn(model, *run_args)
    mapping = get_default_static_quant_module_mappings()
    return _converted(model, mapping, get_default_custom_config_dict()[OBSERVED_TO_QUANTIZED], inplace)


# Which types are quantized dynamically, and how, if that is not said.
_WEIGHTY = (nn.Linear, nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell, nn.RNNCell)
_DYNAMIC_SPECS: dict[QDtype | torch.dtype, tuple[tuple[type[nn.Module], ...], QConfig]] = {
    qint8: (_WEIGHTY, default_dynamic_qconfig),
    torch.float16: (_WEIGHTY, float16_dynamic_qconfig),
    quint8: ((nn.EmbeddingBag, nn.Embedding), float_qparams_weight_only_qconfig),
    quint4x2: ((nn.EmbeddingBag,), float_qparams_weight_only_qconfig_4bit),
}


def quantize_dynamic(
    model: nn.Module,
    qconfig_spec: Collection[str | type[nn.Module]] | QConfigDict | None = None,
    dtype: Any = qint8,
    mapping: ModuleMapping | None = None,
    inplace: bool = False,
    *,
    granularity: str = "per_tensor",
) -> nn.Module:
    """Replaces linear and recurrent layers by ones with int8 weights, which quantize their input while they run.

    Embeddings get weights of 8 or 4 bits, and convolutions of the ``mapping`` are as linear layers are. Needs no
    calibration. The model is put into eval mode.

    Args:
        model: float.
        qconfig_spec: which modules: a set of types or qualified names (a name stands for all that is inside), a
            dictionary of these to qconfigs, or None: every ``nn.Linear``, ``nn.LSTM``, ``nn.GRU``, ``nn.LSTMCell``,
            ``nn.GRUCell`` and ``nn.RNNCell`` with ``qint8`` or ``torch.float16``, ``nn.EmbeddingBag`` and
            ``nn.Embedding`` with ``quint8``, ``nn.EmbeddingBag`` with ``quint4x2``.
        dtype: of the weights: ``qint8``; ``torch.float16``, for linear and recurrent layers, which then quantize no
            input; or ``quint8`` or ``quint4x2``, for embeddings. Not used if ``qconfig_spec`` is a dictionary.
        mapping: float types to quantized types; ``get_default_dynamic_quant_module_mappings()`` if None.
        inplace: change ``model`` instead of a copy.
        granularity: over what a layer takes its input's range. ``"per_tensor"`` gives the numbers of torch.ao;
            ``"per_token"``, over each row, is more accurate, and a row's result does not depend on its batch.

    Returns:
        The quantized model: ``model`` itself if ``inplace``, else another one.

    Raises:
        ValueError: if nothing is there to be replaced, if a type in ``qconfig_spec`` occurs in the model but cannot
            be quantized, or if an argument is none of those above.
        TypeError: if ``qconfig_spec`` is a type or a name itself.

    Example:
        >>> quantize_dynamic(nn.Sequential(nn.Linear(4, 2)), granularity="per_token")
        Sequential(
          (0): DynamicQuantizedLinear(in_features=4, out_features=2, dtype=torchq.qint8, \
qscheme=torchq.per_tensor_affine, granularity=per_token)
        )
    """
    if mapping is None:
        mapping = get_default_dynamic_quant_module_mappings()
    if not isinstance(qconfig_spec, dict):
        if from_torch(dtype) not in _DYNAMIC_SPECS:
            raise ValueError(f"quantize_dynamic makes weights of {', '.join(map(str, _DYNAMIC_SPECS))}, got {dtype}")
        if isinstance(qconfig_spec, str) or not isinstance(qconfig_spec, Collection | None):
            raise TypeError(
                f"qconfig_spec must be a set of types or names, a dictionary of them, or None, got {qconfig_spec!r}"
            )
        types, qconfig = _DYNAMIC_SPECS[from_torch(dtype)]
        qconfig_spec = dict.fromkeys(types if qconfig_spec is None else qconfig_spec, qconfig)
    if not inplace:
        model = copy.deepcopy(model)
    model.eval()
    propagate_qconfig_(model, qconfig_spec)
    replacements = replacements_of(model, mapping)
    _check_spec_met(model, qconfig_spec, replacements)
    if granularity != "per_tensor":
        _set_granularity(replacements.values(), granularity)
    return with_replacements(model, replacements, inplace, remove_qconfig=True)


def _set_granularity(modules: Collection[nn.Module], granularity: str) -> None:
    others = {type(m).__name__ for m in modules if not (hasattr(m, "granularity") or isinstance(m, Embedding))}
    if others:
        names = ", ".join(sorted(others))
        raise ValueError(f"granularity={granularity!r} is for linear and recurrent layers, got {names}")
    for module in modules:
        if hasattr(module, "granularity"):
            module.granularity = granularity


def _check_spec_met(model: nn.Module, qconfig_spec: QConfigDict, replacements: dict[nn.Module, nn.Module]) -> None:
    """Raises a ValueError for modules that were asked for, by name or type, but hold nothing that was replaced."""
    float_modules = [
        f"{name!r} ({type(module).__name__})"
        for name, module in model.named_modules()
        if (name in qconfig_spec or type_before_parametrizations(module) in qconfig_spec)
        and module.qconfig is not None
        and not any(part in replacements for part in module.modules())
    ]
    if float_modules:
        raise ValueError(f"cannot quantize {', '.join(float_modules)} dynamically: take them out of qconfig_spec")


def float_modules(model: nn.Module) -> dict[str, str]:
    """Returns which modules of a converted model still compute with float parameters.

    Args:
        model: what ``convert`` or ``quantize_dynamic`` returned.

    Returns:
        Qualified names to the names of their types.

    Example:
        >>> float_modules(quantize_dynamic(nn.Sequential(nn.Linear(4, 2), nn.LayerNorm(2))))
        {'1': 'LayerNorm'}
    """
    return {
        name: type(part).__name__
        for name, part in model.named_modules()
        if any(parameter is not None for parameter in part._parameters.values())
    }
