"""Which quantized module stands for which float one."""

import copy

from torch import nn

from torchq.nn import intrinsic, qat, quantized
from torchq.nn.intrinsic import qat as intrinsic_qat
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
    qat.Conv2d: quantized.Conv2d,
    qat.Linear: quantized.Linear,
    intrinsic_qat.ConvBn2d: quantized.Conv2d,
    intrinsic_qat.ConvBnReLU2d: intrinsic_quantized.ConvReLU2d,
    intrinsic_qat.ConvReLU2d: intrinsic_quantized.ConvReLU2d,
    intrinsic_qat.LinearBn1d: quantized.Linear,
    intrinsic_qat.LinearReLU: intrinsic_quantized.LinearReLU,
}

DEFAULT_QAT_MODULE_MAPPINGS: ModuleMapping = {
    nn.Conv2d: qat.Conv2d,
    nn.Conv3d: qat.Conv3d,
    nn.Linear: qat.Linear,
    intrinsic.ConvBn1d: intrinsic_qat.ConvBn1d,
    intrinsic.ConvBn2d: intrinsic_qat.ConvBn2d,
    intrinsic.ConvBn3d: intrinsic_qat.ConvBn3d,
    intrinsic.ConvBnReLU1d: intrinsic_qat.ConvBnReLU1d,
    intrinsic.ConvBnReLU2d: intrinsic_qat.ConvBnReLU2d,
    intrinsic.ConvBnReLU3d: intrinsic_qat.ConvBnReLU3d,
    intrinsic.ConvReLU2d: intrinsic_qat.ConvReLU2d,
    intrinsic.ConvReLU3d: intrinsic_qat.ConvReLU3d,
    intrinsic.LinearReLU: intrinsic_qat.LinearReLU,
    intrinsic.LinearBn1d: intrinsic_qat.LinearBn1d,
}

DEFAULT_DYNAMIC_QUANT_MODULE_MAPPINGS: ModuleMapping = {
    nn.Linear: quantized.dynamic.Linear,
    qat.dynamic.Linear: quantized.dynamic.Linear,
}


def get_default_static_quant_module_mappings() -> ModuleMapping:
    """Returns a copy of the mapping that ``convert`` uses."""
    return copy.copy(DEFAULT_STATIC_QUANT_MODULE_MAPPINGS)


def get_default_qat_module_mappings() -> ModuleMapping:
    """Returns a copy of the mapping that ``prepare_qat`` uses.

    As in torch.ao, an ``nn.Conv1d`` without a batch norm behind it is not in it, and embeddings are not either.
    """
    return copy.copy(DEFAULT_QAT_MODULE_MAPPINGS)


def get_embedding_qat_module_mappings() -> ModuleMapping:
    """Returns the mapping that ``prepare_qat`` uses, and ``nn.Embedding`` and ``nn.EmbeddingBag``."""
    return {**DEFAULT_QAT_MODULE_MAPPINGS, nn.Embedding: qat.Embedding, nn.EmbeddingBag: qat.EmbeddingBag}


def get_default_dynamic_quant_module_mappings() -> ModuleMapping:
    """Returns a copy of the mapping that ``quantize_dynamic`` uses."""
    return copy.copy(DEFAULT_DYNAMIC_QUANT_MODULE_MAPPINGS)


def get_default_qconfig_propagation_list() -> set[type[nn.Module]]:
    """Returns the types of modules that ``prepare`` observes."""
    return set(DEFAULT_STATIC_QUANT_MODULE_MAPPINGS)
