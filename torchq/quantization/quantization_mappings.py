"""Which module stands for which other one: quantized for float, and fake-quantized for training."""

import copy
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.nn import functional as F

from torchq.nn import intrinsic, qat, quantizable, quantized
from torchq.nn.intrinsic import qat as intrinsic_qat
from torchq.nn.intrinsic import quantized as intrinsic_quantized
from torchq.nn.quantized import functional as quantized_functional
from torchq.quantization.fake_quantize import (
    default_fixed_qparams_range_0to1_fake_quant,
    default_fixed_qparams_range_neg1to1_fake_quant,
)
from torchq.quantization.stubs import DeQuantStub, QuantStub
from torchq.quantization.utils import get_combined_dict

__all__ = [
    "DEFAULT_DYNAMIC_QUANT_MODULE_MAPPINGS",
    "DEFAULT_FLOAT_TO_QUANTIZED_OPERATOR_MAPPINGS",
    "DEFAULT_MODULE_TO_ACT_POST_PROCESS",
    "DEFAULT_QAT_MODULE_MAPPINGS",
    "DEFAULT_REFERENCE_STATIC_QUANT_MODULE_MAPPINGS",
    "DEFAULT_STATIC_QUANT_MODULE_MAPPINGS",
    "ModuleMapping",
    "get_default_compare_output_module_list",
    "get_default_dynamic_quant_module_mappings",
    "get_default_float_to_quantized_operator_mappings",
    "get_default_qat_module_mappings",
    "get_default_qconfig_propagation_list",
    "get_default_static_quant_module_mappings",
    "get_default_static_quant_reference_module_mappings",
    "get_dynamic_quant_module_class",
    "get_embedding_qat_module_mappings",
    "get_embedding_static_quant_module_mappings",
    "get_quantized_operator",
    "get_static_quant_module_class",
    "no_observer_set",
]

ModuleMapping = dict[type[nn.Module], type[nn.Module]]

_NonDynamicallyQuantizableLinear = nn.modules.linear.NonDynamicallyQuantizableLinear

DEFAULT_STATIC_QUANT_MODULE_MAPPINGS: ModuleMapping = {
    QuantStub: quantized.Quantize,
    DeQuantStub: quantized.DeQuantize,
    nn.BatchNorm2d: quantized.BatchNorm2d,
    nn.BatchNorm3d: quantized.BatchNorm3d,
    nn.Dropout: quantized.Dropout,
    nn.Conv1d: quantized.Conv1d,
    nn.Conv2d: quantized.Conv2d,
    nn.Conv3d: quantized.Conv3d,
    nn.ConvTranspose1d: quantized.ConvTranspose1d,
    nn.ConvTranspose2d: quantized.ConvTranspose2d,
    nn.ConvTranspose3d: quantized.ConvTranspose3d,
    nn.ELU: quantized.ELU,
    nn.Embedding: quantized.Embedding,
    nn.EmbeddingBag: quantized.EmbeddingBag,
    nn.GroupNorm: quantized.GroupNorm,
    nn.Hardswish: quantized.Hardswish,
    nn.InstanceNorm1d: quantized.InstanceNorm1d,
    nn.InstanceNorm2d: quantized.InstanceNorm2d,
    nn.InstanceNorm3d: quantized.InstanceNorm3d,
    nn.LayerNorm: quantized.LayerNorm,
    nn.LeakyReLU: quantized.LeakyReLU,
    _NonDynamicallyQuantizableLinear: quantized.Linear,
    nn.Linear: quantized.Linear,
    nn.ReLU6: quantized.ReLU6,
    nn.PReLU: quantized.PReLU,
    quantized.FloatFunctional: quantized.QFunctional,
    intrinsic.BNReLU2d: intrinsic_quantized.BNReLU2d,
    intrinsic.BNReLU3d: intrinsic_quantized.BNReLU3d,
    intrinsic.ConvReLU1d: intrinsic_quantized.ConvReLU1d,
    intrinsic.ConvReLU2d: intrinsic_quantized.ConvReLU2d,
    intrinsic.ConvReLU3d: intrinsic_quantized.ConvReLU3d,
    intrinsic.ConvAdd2d: intrinsic_quantized.ConvAdd2d,
    intrinsic.ConvAddReLU2d: intrinsic_quantized.ConvAddReLU2d,
    intrinsic.LinearReLU: intrinsic_quantized.LinearReLU,
    intrinsic.LinearLeakyReLU: intrinsic_quantized.LinearLeakyReLU,
    intrinsic.LinearTanh: intrinsic_quantized.LinearTanh,
    intrinsic_qat.ConvBn1d: quantized.Conv1d,
    intrinsic_qat.ConvBn2d: quantized.Conv2d,
    intrinsic_qat.ConvBn3d: quantized.Conv3d,
    intrinsic_qat.ConvBnReLU1d: intrinsic_quantized.ConvReLU1d,
    intrinsic_qat.ConvBnReLU2d: intrinsic_quantized.ConvReLU2d,
    intrinsic_qat.ConvBnReLU3d: intrinsic_quantized.ConvReLU3d,
    intrinsic_qat.ConvReLU1d: intrinsic_quantized.ConvReLU1d,
    intrinsic_qat.ConvReLU2d: intrinsic_quantized.ConvReLU2d,
    intrinsic_qat.ConvReLU3d: intrinsic_quantized.ConvReLU3d,
    intrinsic_qat.LinearReLU: intrinsic_quantized.LinearReLU,
    intrinsic_qat.LinearBn1d: quantized.Linear,
    qat.Linear: quantized.Linear,
    qat.Conv1d: quantized.Conv1d,
    qat.Conv2d: quantized.Conv2d,
    qat.Conv3d: quantized.Conv3d,
}

DEFAULT_REFERENCE_STATIC_QUANT_MODULE_MAPPINGS: ModuleMapping = {
    QuantStub: quantized.Quantize,
    DeQuantStub: quantized.DeQuantize,
    nn.Linear: quantized.reference.Linear,
    nn.Conv1d: quantized.reference.Conv1d,
    nn.Conv2d: quantized.reference.Conv2d,
    nn.Conv3d: quantized.reference.Conv3d,
    nn.ConvTranspose1d: quantized.reference.ConvTranspose1d,
    nn.ConvTranspose2d: quantized.reference.ConvTranspose2d,
    nn.ConvTranspose3d: quantized.reference.ConvTranspose3d,
    nn.Embedding: quantized.reference.Embedding,
    nn.EmbeddingBag: quantized.reference.EmbeddingBag,
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

# Convolutions can be quantized dynamically too, and are not by default, as in torch.ao: their inputs are large, and
# most networks of convolutions have data to calibrate them with.
DEFAULT_DYNAMIC_QUANT_MODULE_MAPPINGS: ModuleMapping = {
    nn.Linear: quantized.dynamic.Linear,
    qat.dynamic.Linear: quantized.dynamic.Linear,
    _NonDynamicallyQuantizableLinear: quantized.dynamic.Linear,
    intrinsic.LinearReLU: intrinsic_quantized.dynamic.LinearReLU,
    nn.LSTM: quantized.dynamic.LSTM,
    nn.GRU: quantized.dynamic.GRU,
    nn.LSTMCell: quantized.dynamic.LSTMCell,
    nn.GRUCell: quantized.dynamic.GRUCell,
    nn.RNNCell: quantized.dynamic.RNNCell,
    nn.EmbeddingBag: quantized.EmbeddingBag,
    nn.Embedding: quantized.Embedding,
}

DEFAULT_FLOAT_TO_QUANTIZED_OPERATOR_MAPPINGS: dict[Callable, Callable] = {
    F.elu: quantized_functional.elu,
    F.hardswish: quantized_functional.hardswish,
    F.instance_norm: quantized_functional.instance_norm,
    F.layer_norm: quantized_functional.layer_norm,
    F.leaky_relu: quantized_functional.leaky_relu,
    F.dropout: quantized_functional.dropout,
}

# Modules that stay as they are, and give a fixed scale and zero point; training has to know of those.
DEFAULT_MODULE_TO_ACT_POST_PROCESS: dict[type[nn.Module], Callable] = {
    nn.Hardsigmoid: default_fixed_qparams_range_0to1_fake_quant,
    nn.Sigmoid: default_fixed_qparams_range_0to1_fake_quant,
    nn.Softmax: default_fixed_qparams_range_0to1_fake_quant,
    nn.Tanh: default_fixed_qparams_range_neg1to1_fake_quant,
}


def no_observer_set() -> set[type[nn.Module]]:
    """Returns the types of observed custom modules that observe themselves, so that ``prepare`` does not."""
    return {quantizable.LSTM, quantizable.MultiheadAttention}


def get_default_static_quant_module_mappings() -> ModuleMapping:
    """Returns a copy of the mapping that ``convert`` uses."""
    return copy.copy(DEFAULT_STATIC_QUANT_MODULE_MAPPINGS)


def get_default_static_quant_reference_module_mappings() -> ModuleMapping:
    """Returns a copy of the mapping that ``convert`` uses with ``is_reference=True``."""
    return copy.copy(DEFAULT_REFERENCE_STATIC_QUANT_MODULE_MAPPINGS)


def get_embedding_static_quant_module_mappings() -> ModuleMapping:
    """Returns the mapping that ``convert`` uses, and embeddings that were trained quantization-aware."""
    embeddings = {qat.EmbeddingBag: quantized.EmbeddingBag, qat.Embedding: quantized.Embedding}
    return {**DEFAULT_STATIC_QUANT_MODULE_MAPPINGS, **embeddings}


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


def get_default_compare_output_module_list() -> set[type[nn.Module]]:
    """Returns the types of modules whose outputs are worth comparing, before and after quantization."""
    mappings = (
        DEFAULT_STATIC_QUANT_MODULE_MAPPINGS,
        DEFAULT_QAT_MODULE_MAPPINGS,
        DEFAULT_DYNAMIC_QUANT_MODULE_MAPPINGS,
    )
    return {kind for mapping in mappings for kinds in (mapping.keys(), mapping.values()) for kind in kinds}


def get_default_float_to_quantized_operator_mappings() -> dict[Callable, Callable]:
    """Returns a copy of the mapping of functions to those that take quantized tensors, and qparams of the result."""
    return copy.copy(DEFAULT_FLOAT_TO_QUANTIZED_OPERATOR_MAPPINGS)


def get_static_quant_module_class(
    float_module_class: type[nn.Module],
    additional_static_quant_mapping: ModuleMapping | None = None,
    is_reference: bool = False,
) -> type[nn.Module]:
    """Returns the quantized class that ``convert`` puts in the place of a float one.

    Args:
        float_module_class: the type of module.
        additional_static_quant_mapping: goes before the default mapping.
        is_reference: whether the class is that of a float module with a rounded weight.

    Raises:
        ValueError: if there is none.

    Example:
        >>> get_static_quant_module_class(nn.Linear)
        <class 'torchq.nn.quantized.linear.Linear'>
    """
    default = DEFAULT_REFERENCE_STATIC_QUANT_MODULE_MAPPINGS if is_reference else DEFAULT_STATIC_QUANT_MODULE_MAPPINGS
    return _class_of(float_module_class, default, additional_static_quant_mapping)


def get_dynamic_quant_module_class(
    float_module_class: type[nn.Module], additional_dynamic_quant_mapping: ModuleMapping | None = None
) -> type[nn.Module]:
    """Returns the quantized class that ``quantize_dynamic`` puts in the place of a float one.

    Args:
        float_module_class: the type of module.
        additional_dynamic_quant_mapping: goes before the default mapping.

    Raises:
        ValueError: if there is none.
    """
    return _class_of(float_module_class, DEFAULT_DYNAMIC_QUANT_MODULE_MAPPINGS, additional_dynamic_quant_mapping)


def _class_of(kind: type[nn.Module], default: ModuleMapping, additional: ModuleMapping | None) -> type[nn.Module]:
    mapping = get_combined_dict(default, additional or {})
    if kind not in mapping:
        known = ", ".join(sorted(t.__name__ for t in mapping))
        raise ValueError(f"{kind} has no quantized counterpart; those that have one are {known}")
    return mapping[kind]


def get_quantized_operator(float_op: Callable) -> Callable[..., Any]:
    """Returns the function of quantized tensors that stands for a float one.

    Args:
        float_op: such as ``torch.nn.functional.elu``.

    Raises:
        ValueError: if there is none.
    """
    if float_op not in DEFAULT_FLOAT_TO_QUANTIZED_OPERATOR_MAPPINGS:
        raise ValueError(f"{float_op} has no quantized counterpart of its own")
    return DEFAULT_FLOAT_TO_QUANTIZED_OPERATOR_MAPPINGS[float_op]
