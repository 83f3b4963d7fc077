"""The form of planned calls in a reference model: float functions, and weights that are quantized and dequantized."""

from collections.abc import Callable

from torch import nn
from torch.fx.node import map_arg
from torch.nn.utils.parametrize import type_before_parametrizations

from torchq.nn.intrinsic import FusedModule
from torchq.nn.qat import QATModule
from torchq.quantization.backend_config import BackendConfig
from torchq.quantization.fx.arguments import renamed
from torchq.quantization.fx.convert import Converting, Value
from torchq.quantization.fx.plan import Planned
from torchq.quantization.qconfig import QConfig
from torchq.quantization.swap import naming
from torchq.quantization.utils import get_qparam_dict, weight_is_quantized


def lower_to_reference(backend_config: BackendConfig) -> Callable[[Converting, Planned], Value | None]:
    """Returns what makes the form of planned calls in a reference model.

    Args:
        backend_config: has the reference modules.
    """
    classes = {
        config.root_module: config.reference_quantized_module
        for config in backend_config.configs
        if config.root_module is not None and config.reference_quantized_module is not None
    }

    def lower(converting: Converting, planned: Planned) -> Value | None:
        root = converting.nodes[planned.root]
        if root.op != "call_module":
            return None
        module = converting.modules[root.target]
        if (module, None) not in converting.swapped:
            with naming(root.target):
                made = _reference_module(module, planned.qconfig, classes)
            if made is None:
                return None
            converting.swapped[module, None] = made
        made = converting.swapped[module, None]
        with naming(root.target):
            kwargs = renamed(root.kwargs, module, made)
        args, kwargs = map_arg((root.args, kwargs), converting.as_float)
        return Value(float=converting.call_module(root, root.target, made, args, kwargs))

    return lower


def _reference_module(
    module: nn.Module, qconfig: QConfig, classes: dict[type[nn.Module], type[nn.Module]]
) -> nn.Module | None:
    observer = module.weight_fake_quant if isinstance(module, QATModule) else None
    module = module.to_float() if isinstance(module, QATModule) else module
    root = module[0] if isinstance(module, FusedModule) else module
    made = classes.get(type_before_parametrizations(root))
    if made is None or qconfig.weight is None or not weight_is_quantized(qconfig):
        return None
    if observer is None:
        observer = qconfig.weight().to(root.weight.device)
        observer(root.weight.detach())
    reference = made.from_float(root, get_qparam_dict(observer))
    if root is module:
        return reference
    module[0] = reference
    return module
