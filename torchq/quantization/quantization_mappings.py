"""Which quantized module stands for which float one."""

import copy

from torch import nn

from torchq.nn import intrinsic, quantized
from torchq.nn.intrinsic import quantized as intrinsic_quantized
from torchq.quantization.stubs import DeQuantStub, QuantStub

ModuleMapping = dict[type[nn.Module], type[nn.Module]]

DEFAULT_STATIC_QUANT_MODULE_MAPPINGS: ModuleMapping = {
    QuantStub: quantized.Quantize,
    DeQuantStub: quantized.DeQuantize,
    nn.Conv2d: quantized.Conv2d,
    nn.Linear: quantized.Linear,
    quantized.FloatFunctional: quantized.QFunctional,
    intrinsic.ConvReLU2d: intrinsic_quantized.ConvReLU2d,
    intrinsic.LinearReLU: intrinsic_quantized.LinearReLU,
}

DEFAULT_DYNAMIC_QUANT_MODULE_MAPPINGS: ModuleMapping = {nn.Linear: quantized.dynamic.Linear}


def get_default_static_quant_module_mappings() -> ModuleMapping:
    """Returns a copy of the mapping that ``convert`` uses."""
    return copy.copy(DEFAULT_STATIC_QUANT_MODULE_MAPPINGS)


def get_default_dynamic_quant_module_mappings() -> ModuleMapping:
    """Returns a copy of the mapping that ``quantize_dynamic`` uses."""
    return copy.copy(DEFAULT_DYNAMIC_QUANT_MODULE_MAPPINGS)


def get_default_qconfig_propagation_list() -> set[type[nn.Module]]:
    """Returns the types of modules that ``prepare`` observes."""
    return set(DEFAULT_STATIC_QUANT_MODULE_MAPPINGS)
