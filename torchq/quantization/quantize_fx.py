"""Graph mode: a model is traced, and what can be quantized in it is, without changes to its code."""

import copy
from typing import Any

from torch import nn
from torch.fx import GraphModule

from torchq.nn.quantized import FloatFunctional, FXFloatFunctional
from torchq.quantization.backend_config import BackendConfig, get_torchq_backend_config
from torchq.quantization.fx.arguments import give_by_position
from torchq.quantization.fx.convert import Converting
from torchq.quantization.fx.custom_config import ConvertCustomConfig, FuseCustomConfig, PrepareCustomConfig, as_config
from torchq.quantization.fx.fuse import fuse
from torchq.quantization.fx.graph_module import ObservedGraphModule, QuantizedGraphModule, SavedGraphModule
from torchq.quantization.fx.in_place import refuse_in_place
from torchq.quantization.fx.lowering import lower
from torchq.quantization.fx.plan import Plan, make_plan
from torchq.quantization.fx.prepare import Observing, standalone_entry, standalone_settings
from torchq.quantization.fx.qconfigs import check_names, check_same_qconfigs, node_qconfigs
from torchq.quantization.fx.reference import lower_to_reference
from torchq.quantization.fx.tracer import QuantizationTracer, Scope, ScopeContextManager
from torchq.quantization.qconfig_mapping import QConfigMapping

__all__ = [
    "QuantizationTracer",
    "Scope",
    "ScopeContextManager",
    "convert_fx",
    "convert_to_reference_fx",
    "fuse_fx",
    "prepare_fx",
    "prepare_qat_fx",
]


def fuse_fx(
    model: nn.Module,
    fuse_custom_config: FuseCustomConfig | dict[str, Any] | None = None,
    backend_config: BackendConfig | dict[str, Any] | None = None,
) -> GraphModule:
    """Traces a model and fuses the modules that become one in int8: convolutions with batch norm and relu, and so on.

    Args:
        model: in eval mode, since batch norm is folded; is not changed.
        fuse_custom_config: attributes to keep.
        backend_config: what is fused; ``get_torchq_backend_config()`` if None.

    Raises:
        TraceError: if the model cannot be traced; the message says where, and what to do.
        ValueError: if modules cannot be fused; the message names them.

    Example:
        >>> fused = fuse_fx(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()).eval())
        >>> type(fused.get_submodule("0")).__name__
        'ConvReLU2d'
    """
    config = as_config(FuseCustomConfig, fuse_custom_config, "fuse_custom_config") or FuseCustomConfig()
    backend = as_config(BackendConfig, backend_config, "backend_config") or get_torchq_backend_config()
    attributes = _attributes(model, config.preserved_attributes)
    traced, _ = _traced(model, PrepareCustomConfig())
    fuse(traced, False, backend)
    fused = SavedGraphModule(traced, traced.graph)
    fused.preserve(attributes)
    return fused


def prepare_fx(
    model: nn.Module,
    qconfig_mapping: QConfigMapping | dict[str, Any],
    example_inputs: tuple[Any, ...],
    prepare_custom_config: PrepareCustomConfig | dict[str, Any] | None = None,
    _equalization_config: None = None,
    backend_config: BackendConfig | dict[str, Any] | None = None,
) -> GraphModule:
    """Traces a model, fuses modules and adds observers; the next step is to run calibration data.

    Args:
        model: float, in eval mode; is not changed.
        qconfig_mapping: how to quantize which part.
        example_inputs: of the model's forward. Not used, and there for torch.ao's signature, which does not either.
        prepare_custom_config: parts that are treated in another way.
        _equalization_config: must be None; torch.ao has it.
        backend_config: what can be quantized; ``get_torchq_backend_config()`` if None.

    Returns:
        The model with observers. Its ``graph`` shows where they are.

    Raises:
        TraceError: if the model cannot be traced; the message says where, and what to do.
        ValueError: if the model is in training mode, if nothing of it would be quantized, if a qconfig that was set
            for a type, a name or a call does not fit that, or if there is no module, call, input or result of a name
            or index that was given. A type or a pattern of names may be that of nothing.

    Example:
        >>> mapping = torchq.quantization.get_default_qconfig_mapping()
        >>> prepared = prepare_fx(nn.Sequential(nn.Linear(4, 2), nn.ReLU()).eval(), mapping, (torch.randn(1, 4),))
        >>> for batch in torch.randn(8, 16, 4):
        ...     _ = prepared(batch)
        >>> int8 = convert_fx(prepared)
        >>> int8(torch.randn(1, 4)).shape
        torch.Size([1, 2])
    """
    if model.training:
        raise ValueError(
            f"{type(model).__name__} is in training mode: call model.eval() before prepare_fx, or prepare_qat_fx to "
            "train it"
        )
    if _equalization_config is not None:
        raise ValueError(f"_equalization_config must be None, got {_equalization_config!r}")
    prepared = _prepared(model, qconfig_mapping, False, prepare_custom_config, backend_config)
    return _checked(prepared, model)


def prepare_qat_fx(
    model: nn.Module,
    qconfig_mapping: QConfigMapping | dict[str, Any],
    example_inputs: tuple[Any, ...],
    prepare_custom_config: PrepareCustomConfig | dict[str, Any] | None = None,
    backend_config: BackendConfig | dict[str, Any] | None = None,
) -> GraphModule:
    """Traces a model, fuses modules and adds fake quantizers; the next step is to train it.

    Args:
        model: float, in training mode; is not changed.
        qconfig_mapping: how to quantize which part; such as ``get_default_qat_qconfig_mapping()``.
        example_inputs: see ``prepare_fx``.
        prepare_custom_config: parts that are treated in another way.
        backend_config: what can be quantized; ``get_torchq_backend_config()`` if None.

    Returns:
        The model to train.

    Raises:
        TraceError: if the model cannot be traced; the message says where, and what to do.
        ValueError: if the model is in eval mode; as ``prepare_fx``, too.

    Example:
        >>> mapping = torchq.quantization.get_default_qat_qconfig_mapping()
        >>> trained = prepare_qat_fx(nn.Sequential(nn.Linear(4, 2)).train(), mapping, (torch.randn(1, 4),))
        >>> trained(torch.randn(8, 4)).sum().backward()  # your training
        >>> type(convert_fx(trained.eval()).get_submodule("0")).__name__
        'Linear'
    """
    if not model.training:
        raise ValueError(f"{type(model).__name__} is in eval mode: call model.train() before prepare_qat_fx")
    prepared = _prepared(model, qconfig_mapping, True, prepare_custom_config, backend_config)
    return _checked(prepared, model)


def convert_fx(
    graph_module: GraphModule,
    convert_custom_config: ConvertCustomConfig | dict[str, Any] | None = None,
    _remove_qconfig: bool = True,
    qconfig_mapping: QConfigMapping | dict[str, Any] | None = None,
    backend_config: BackendConfig | dict[str, Any] | None = None,
    keep_original_weights: bool = False,
) -> GraphModule:
    """Makes a quantized model of a calibrated or trained one.

    Args:
        graph_module: what ``prepare_fx`` or ``prepare_qat_fx`` returned; is not changed.
        convert_custom_config: classes for modules of the caller's own, and attributes to keep.
        _remove_qconfig: take the qconfigs off the modules that stay in float.
        qconfig_mapping: that of ``prepare_fx``, with None for what is to stay in float after all.
        backend_config: not used, since the prepared model says what is quantized; there for torch.ao's signature.
        keep_original_weights: must be False; torch.ao has it.

    Returns:
        The quantized model: takes and returns float tensors, unless the prepared model was told otherwise.

    Raises:
        RuntimeError: if an observer never saw data; the message names what it observes.
        ValueError: if the model was not prepared, or a qconfig does not fit.
    """
    if keep_original_weights:
        raise ValueError("keep_original_weights must be False: quantized modules hold their integers only")
    return _converted(graph_module, None, convert_custom_config, _remove_qconfig, qconfig_mapping)


def convert_to_reference_fx(
    graph_module: GraphModule,
    convert_custom_config: ConvertCustomConfig | dict[str, Any] | None = None,
    _remove_qconfig: bool = True,
    qconfig_mapping: QConfigMapping | dict[str, Any] | None = None,
    backend_config: BackendConfig | dict[str, Any] | None = None,
) -> GraphModule:
    """Makes a reference model: float functions between quantize and dequantize, for other backends to read.

    Modules with a weight become those of ``torchq.nn.quantized.reference``.

    Args:
        graph_module: see ``convert_fx``.
        convert_custom_config: see ``convert_fx``.
        _remove_qconfig: see ``convert_fx``.
        qconfig_mapping: see ``convert_fx``.
        backend_config: has the reference modules; ``get_torchq_backend_config()`` if None.

    Raises:
        RuntimeError: if an observer never saw data; the message names what it observes.
        ValueError: if the model was not prepared.
    """
    backend = as_config(BackendConfig, backend_config, "backend_config") or get_torchq_backend_config()
    return _converted(graph_module, backend, convert_custom_config, _remove_qconfig, qconfig_mapping)


def _attributes(model: nn.Module, names: list[str]) -> dict[str, Any]:
    missing = [name for name in names if not hasattr(model, name)]
    if missing:
        raise ValueError(f"{type(model).__name__} has no attribute {', '.join(map(repr, missing))} to preserve")
    return {name: getattr(model, name) for name in names}


def _traced(model: nn.Module, config: PrepareCustomConfig) -> tuple[GraphModule, QuantizationTracer]:
    model = copy.deepcopy(model)
    for name, module in list(model.named_modules()):
        if type(module) is FloatFunctional and name:
            model.set_submodule(name, FXFloatFunctional())
    observed = [float_class for classes in config.float_to_observed_mapping.values() for float_class in classes]
    names = [*config.non_traceable_module_names, *config.standalone_module_names]
    classes = [*config.non_traceable_module_classes, *config.standalone_module_classes, *observed]
    tracer = QuantizationTracer(names, classes)
    graph = tracer.trace(model)
    give_by_position(graph, dict(model.named_modules(remove_duplicate=False)))
    return GraphModule(model, graph), tracer


def _prepared(
    model: nn.Module, qconfig_mapping: Any, is_qat: bool, prepare_custom_config: Any, backend_config: Any
) -> ObservedGraphModule:
    config = as_config(PrepareCustomConfig, prepare_custom_config, "prepare_custom_config") or PrepareCustomConfig()
    backend = as_config(BackendConfig, backend_config, "backend_config") or get_torchq_backend_config()
    mapping = as_config(QConfigMapping, qconfig_mapping, "qconfig_mapping")
    if mapping is None:
        raise TypeError("qconfig_mapping must be a torchq QConfigMapping or a dictionary of one, got None")
    names = {name for name, _ in model.named_modules(remove_duplicate=False)}
    check_names(
        type(model).__name__, names, mapping, (*config.non_traceable_module_names, *config.standalone_module_names)
    )
    attributes = _attributes(model, config.preserved_attributes)
    traced, tracer = _traced(model, config)
    fuse(traced, is_qat, backend)
    modules, scopes = dict(traced.named_modules(remove_duplicate=False)), tracer.node_name_to_scope
    mapping, config = copy.deepcopy(mapping), copy.copy(config)
    plan = Plan(node_qconfigs(traced.graph, mapping, scopes, modules), scopes, mapping, config, is_qat, names)
    make_plan(traced.graph, plan, modules, backend)
    refuse_in_place(traced.graph, plan, modules)
    Observing(traced, plan).run()
    for node in traced.graph.nodes:
        if node.name in plan.standalone:
            _prepare_standalone(traced, node, plan, backend)
    prepared = ObservedGraphModule(traced, traced.graph)
    prepared.meta["plan"] = plan
    prepared.preserve(attributes)
    return prepared


def _checked(prepared: ObservedGraphModule, model: nn.Module) -> ObservedGraphModule:
    plan: Plan = prepared.meta["plan"]
    if not plan.planned and not plan.standalone:
        raise ValueError(
            f"there is nothing to quantize in {type(model).__name__}: no call of its graph has a qconfig that fits "
            "what the backend config says of it"
        )
    return prepared


def _prepare_standalone(model: GraphModule, node: Any, plan: Plan, backend: BackendConfig) -> None:
    module = model.get_submodule(node.target)
    if isinstance(module, ObservedGraphModule):  # by another call
        return
    entry = standalone_entry(node, module, plan.custom_config)
    mapping, config, backend = standalone_settings(entry, plan, node.name, backend)
    model.set_submodule(node.target, _prepared(module, mapping, plan.is_qat, config, backend))


def _converted(
    model: GraphModule,
    reference: BackendConfig | None,
    convert_custom_config: Any,
    remove_qconfig: bool,
    qconfig_mapping: Any,
) -> QuantizedGraphModule:
    """The quantized model, or the reference model of a backend."""
    plan = getattr(model, "meta", {}).get("plan") if isinstance(model, nn.Module) else None
    if plan is None:
        raise ValueError(f"expected a model that prepare_fx or prepare_qat_fx returned, got {type(model).__name__}")
    config = as_config(ConvertCustomConfig, convert_custom_config, "convert_custom_config") or ConvertCustomConfig()
    attributes = _attributes(model, config.preserved_attributes)
    mapping = as_config(QConfigMapping, qconfig_mapping, "qconfig_mapping")
    model = copy.deepcopy(model)
    qconfigs = plan.qconfigs
    if mapping is not None:
        check_same_qconfigs(plan.mapping, mapping)
        check_names("the model", plan.module_names, mapping)
        modules = dict(model.named_modules(remove_duplicate=False))
        qconfigs = node_qconfigs(model.graph, mapping, plan.scopes, modules)

    def standalone(module: nn.Module) -> nn.Module:
        return _converted(module, reference, None, remove_qconfig, None)

    form = lower if reference is None else lower_to_reference(reference)
    converted = Converting(model, plan, qconfigs, config, form, standalone, reference is not None).run()
    if remove_qconfig:
        for module in converted.modules():
            module.__dict__.pop("qconfig", None)
    converted.preserve(attributes)
    return converted
