"""The patterns of operators that backends quantize, in groups that share their dtypes."""

import copy
import operator
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from torchq.dtypes import quint8
from torchq.nn import intrinsic, qat
from torchq.nn.intrinsic import qat as intrinsic_qat
from torchq.nn.quantized import reference
from torchq.quantization.backend_config.backend_config import (
    BackendPatternConfig,
    DTypeConfig,
    DTypeWithConstraints,
    ObservationType,
)
from torchq.quantization.fuser_method_mappings import (
    fuse_conv_bn,
    fuse_conv_bn_relu,
    fuse_convtranspose_bn,
    fuse_linear_bn,
)
from torchq.quantization.utils import Pattern

Dtypes = Iterable[DTypeConfig]

_SHARED = ObservationType.OUTPUT_SHARE_OBSERVER_WITH_INPUT
_OWN = ObservationType.OUTPUT_USE_DIFFERENT_OBSERVER_AS_INPUT
_NONE = ObservationType.INPUT_OUTPUT_NOT_OBSERVED
_OUTPUT = ObservationType.ONLY_OUTPUT_OBSERVED


def row(pattern: Pattern, dtypes: Dtypes, observed: ObservationType = _OWN) -> BackendPatternConfig:
    """Returns the config of a pattern with these dtypes."""
    return BackendPatternConfig(pattern).set_dtype_configs(list(dtypes)).set_observation_type(observed)


def rows(patterns: Iterable[Pattern], dtypes: Dtypes, observed: ObservationType = _OWN) -> list[BackendPatternConfig]:
    """Returns the configs of patterns, or none if there are no dtypes."""
    dtypes = list(dtypes)
    return [row(pattern, dtypes, observed) for pattern in patterns] if dtypes else []


def weighted(
    pattern: Pattern,
    dtypes: Dtypes,
    root: type[nn.Module],
    reference_module: type[nn.Module] | None,
    qat_module: type[nn.Module] | None = None,
) -> BackendPatternConfig:
    """Returns the config of a module with a weight."""
    config = row(pattern, dtypes).set_root_module(root)
    if reference_module is not None:
        config.set_reference_quantized_module(reference_module)
    return config if qat_module is None else config.set_qat_module(qat_module)


def fused(
    pattern: Pattern, dtypes: Dtypes, fuser: Callable[..., nn.Module], module: type[nn.Module]
) -> BackendPatternConfig:
    """Returns the config of modules that become one."""
    return row(pattern, dtypes).set_fuser_method(fuser).set_fused_module(module)


def container(module: type[nn.Module]) -> Callable[..., nn.Module]:
    """Returns a fuser that puts the modules into a container, in training as for inference."""
    return lambda is_qat, *modules: module(*modules)


class _Conv(NamedTuple):
    module: type[nn.Module]
    norm: type[nn.Module]
    relu: type[nn.Module]
    bn: type[nn.Module]
    bn_relu: type[nn.Module]
    qat: type[nn.Module]
    relu_qat: type[nn.Module]
    bn_qat: type[nn.Module]
    bn_relu_qat: type[nn.Module]
    reference: type[nn.Module]
    function: Callable[..., Any]
    transposed: type[nn.Module]
    transposed_reference: type[nn.Module]
    transposed_function: Callable[..., Any]


def _conv(dimensions: int) -> _Conv:
    suffix = f"{dimensions}d"
    names = ("Conv", "BatchNorm"), ("ConvReLU", "ConvBn", "ConvBnReLU"), ("ConvReLU", "ConvBn", "ConvBnReLU")
    homes = (nn, intrinsic, intrinsic_qat)
    conv, norm, relu, bn, bn_relu, relu_qat, bn_qat, bn_relu_qat = (
        getattr(home, name + suffix) for home, parts in zip(homes, names, strict=True) for name in parts
    )
    return _Conv(
        *(conv, norm, relu, bn, bn_relu),
        *(getattr(qat, f"Conv{suffix}"), relu_qat, bn_qat, bn_relu_qat),
        *(getattr(reference, f"Conv{suffix}"), getattr(F, f"conv{suffix}")),
        *(getattr(home, f"ConvTranspose{suffix}") for home in (nn, reference)),
        getattr(F, f"conv_transpose{suffix}"),
    )


_CONVOLUTIONS = [_conv(dimensions) for dimensions in (1, 2, 3)]
_WEIGHT_AND_BIAS = {"weight": 1, "bias": 2}


def convolutions(dtypes: Dtypes) -> list[BackendPatternConfig]:
    """Returns the configs of convolutions, plain, transposed, and with batch norm and relu."""
    return [config for conv in _CONVOLUTIONS for config in _convolution(conv, dtypes)]


def _convolution(conv: _Conv, dtypes: Dtypes) -> list[BackendPatternConfig]:
    trained = (conv.qat, conv.relu_qat, conv.bn_qat, conv.bn_relu_qat)
    return [
        weighted(conv.module, dtypes, conv.module, conv.reference, conv.qat),
        *(weighted(module, dtypes, conv.module, conv.reference) for module in trained),
        row(conv.function, dtypes)._set_input_type_to_index(_WEIGHT_AND_BIAS),
        *rows([(conv.function, nn.ReLU), (conv.function, F.relu)], dtypes),
        *(fused((conv.module, relu), dtypes, container(conv.relu), conv.relu) for relu in (nn.ReLU, F.relu)),
        fused((conv.module, conv.norm), dtypes, fuse_conv_bn, conv.bn),
        fused((conv.module, conv.norm, nn.ReLU), dtypes, fuse_conv_bn_relu, conv.bn_relu),
        fused((conv.module, conv.norm, F.relu), dtypes, fuse_conv_bn_relu, conv.bn_relu).set_root_module(conv.module),
        row(conv.relu, dtypes).set_qat_module(conv.relu_qat),
        row(conv.bn, dtypes).set_qat_module(conv.bn_qat),
        row(conv.bn_relu, dtypes).set_qat_module(conv.bn_relu_qat),
        weighted(conv.transposed, dtypes, conv.transposed, conv.transposed_reference),
        weighted((conv.transposed, conv.norm), dtypes, conv.transposed, conv.transposed_reference).set_fuser_method(
            fuse_convtranspose_bn
        ),
        row(conv.transposed_function, dtypes)._set_input_type_to_index(_WEIGHT_AND_BIAS),
    ]


def linears(dtypes: Dtypes) -> list[BackendPatternConfig]:
    """Returns the configs of linear layers, plain, and with batch norm or relu."""
    relu, norm = intrinsic.LinearReLU, intrinsic.LinearBn1d
    trained = (qat.Linear, intrinsic_qat.LinearReLU, intrinsic_qat.LinearBn1d)
    return [
        weighted(nn.Linear, dtypes, nn.Linear, reference.Linear, qat.Linear),
        *(weighted(module, dtypes, nn.Linear, reference.Linear) for module in trained),
        row(F.linear, dtypes)._set_input_type_to_index(_WEIGHT_AND_BIAS),
        *rows([(F.linear, nn.ReLU), (F.linear, F.relu)], dtypes),
        *(fused((nn.Linear, function), dtypes, container(relu), relu) for function in (nn.ReLU, F.relu)),
        weighted(relu, dtypes, nn.Linear, reference.Linear, intrinsic_qat.LinearReLU),
        fused((nn.Linear, nn.BatchNorm1d), dtypes, fuse_linear_bn, norm),
        weighted(norm, dtypes, nn.Linear, reference.Linear, intrinsic_qat.LinearBn1d),
    ]


# ``x + 2`` moves the zero point of x, ``x * 2`` scales its scale.
_BY_TENSORS = {0: _OWN, 1: _SHARED, 2: _OWN}


def _by_tensors(functions: Iterable[Any], dtypes: Dtypes) -> list[BackendPatternConfig]:
    patterns = [
        pattern
        for function in functions
        for pattern in ((function, nn.ReLU), (function, F.relu), (function, torch.relu), function)
    ]
    return [config._set_num_tensor_args_to_observation_type(_BY_TENSORS) for config in rows(patterns, dtypes)]


def binary(dtypes: Dtypes) -> list[BackendPatternConfig]:
    """Returns the configs of sums and products, and with a relu behind them, and of matmul."""
    return [
        *_by_tensors((operator.add, torch.add, operator.mul, torch.mul), dtypes),
        *rows([torch.matmul], dtypes),
    ]


def plain(dtypes: Dtypes) -> list[BackendPatternConfig]:
    """Returns the configs of cat, and of functions of one tensor whose result has a scale of its own."""
    patterns = [
        *(nn.ELU, nn.LeakyReLU, nn.Hardswish, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d, nn.Dropout),
        *(nn.PReLU, F.elu, F.hardswish, F.leaky_relu, F.dropout),
    ]
    group_norm, instance_norm = rows([F.group_norm, F.instance_norm], dtypes)
    return [
        *rows([torch.cat], dtypes, _SHARED),
        *rows(patterns, dtypes),
        group_norm._set_input_type_to_index({"weight": 2, "bias": 3}),
        instance_norm._set_input_type_to_index({"weight": 3, "bias": 4}),
    ]


_ZERO_TO_ONE = {"scale_exact_match": 1.0 / 256.0, "zero_point_exact_match": 0}
_MINUS_ONE_TO_ONE = {"scale_exact_match": 2.0 / 256.0, "zero_point_exact_match": 128}
_FIXED_QPARAMS: dict[Pattern, dict[str, Any]] = {
    **dict.fromkeys((nn.Hardsigmoid, F.hardsigmoid, "hardsigmoid", "hardsigmoid_"), _ZERO_TO_ONE),
    **dict.fromkeys((nn.Sigmoid, torch.sigmoid, "sigmoid", "sigmoid_", nn.Softmax), _ZERO_TO_ONE),
    **dict.fromkeys((nn.Tanh, torch.tanh, "tanh", "tanh_"), _MINUS_ONE_TO_ONE),
}


def fixed_qparams(dtypes: Dtypes) -> list[BackendPatternConfig]:
    """Returns the configs of functions with a known range, which take the qparams of it and no others."""
    return [
        row(pattern, [_constrained(config, qparams) for config in dtypes])
        for pattern, qparams in _FIXED_QPARAMS.items()
    ]


def _constrained(config: DTypeConfig, qparams: dict[str, Any]) -> DTypeConfig:
    fixed = DTypeWithConstraints(quint8, quant_min_lower_bound=0, quant_max_upper_bound=255, **qparams)
    config = copy.deepcopy(config)
    if config.input_dtype is quint8:
        config.input_dtype_with_constraints = copy.copy(fixed)
    if config.output_dtype is quint8:
        config.output_dtype_with_constraints = fixed
    return config


def shared(dtypes: Dtypes) -> list[BackendPatternConfig]:
    """Returns the configs of functions that keep scale and zero point."""
    patterns = [
        *(getattr(nn, f"{pool}{d}d") for pool in ("AdaptiveAvgPool", "AvgPool", "MaxPool") for d in (1, 2, 3)),
        *(nn.Hardtanh, nn.Identity, nn.PixelShuffle, nn.PixelUnshuffle, nn.ReLU, nn.ReLU6),
        *(torch.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d),
        *(F.hardtanh, F.hardtanh_, F.interpolate, F.max_pool1d, F.max_pool2d, F.max_pool3d),
        *(F.pixel_shuffle, F.pixel_unshuffle, F.relu, F.relu6),
        *(torch.avg_pool1d, F.avg_pool2d, F.avg_pool3d),
        *(torch.clamp, torch.flatten, torch.mean, torch.narrow, torch.repeat_interleave, torch.transpose),
        *(torch.squeeze, torch.stack, torch.unsqueeze, operator.floordiv),
        *("contiguous", "clamp", "detach", "detach_", "mean", "permute", "repeat", "repeat_interleave", "reshape"),
        *("resize_", "relu", "relu_", "squeeze", "squeeze_", "transpose", "unsqueeze", "unsqueeze_", "view"),
    ]
    return rows(patterns, dtypes, _SHARED)


def questions(dtypes: Dtypes) -> list[BackendPatternConfig]:
    """Returns the configs of methods that ask about a tensor."""
    return rows(["shape", "size"], dtypes, _NONE)


def batch_norms(dtypes: Dtypes) -> list[BackendPatternConfig]:
    """Returns the configs of batch norm that no layer before it takes in."""
    configs = []
    for norm, joined in ((nn.BatchNorm2d, intrinsic.BNReLU2d), (nn.BatchNorm3d, intrinsic.BNReLU3d)):
        configs += [fused((norm, relu), dtypes, container(joined), joined) for relu in (nn.ReLU, F.relu)]
        configs += rows([norm, joined], dtypes)
    return configs


def layer_norms(dtypes: Dtypes) -> list[BackendPatternConfig]:
    """Returns the configs of layer norm."""
    configs = rows([nn.LayerNorm, F.layer_norm], dtypes)
    for config in configs[1:]:
        config._set_input_type_to_index({"weight": 2, "bias": 3})
    return configs


def recurrent(dtypes: Dtypes) -> list[BackendPatternConfig]:
    """Returns the configs of recurrent layers."""
    modules = (nn.GRUCell, nn.LSTMCell, nn.RNNCell, nn.LSTM, nn.GRU)
    return [weighted(module, dtypes, module, getattr(reference, module.__name__, None)) for module in modules]


def embeddings(dtypes: Dtypes) -> list[BackendPatternConfig]:
    """Returns the configs of embeddings."""
    configs = []
    for module, trained in ((nn.Embedding, qat.Embedding), (nn.EmbeddingBag, qat.EmbeddingBag)):
        reference_module = getattr(reference, module.__name__, None)
        configs.append(weighted(module, dtypes, module, reference_module, trained))
        configs.append(weighted(trained, dtypes, module, reference_module))
    return configs


def beyond_torch_ao(dtypes: Dtypes) -> list[BackendPatternConfig]:
    """Returns the configs of what torchq computes with integers, and torch.ao in float."""
    own = [operator.matmul, "matmul", torch.bmm, "bmm", nn.GELU, F.gelu, nn.SiLU, F.silu, nn.GroupNorm]
    keeps = [torch.relu, nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d]
    moves = [
        *(operator.getitem, nn.Flatten, nn.Unflatten, nn.ChannelShuffle, torch.channel_shuffle),
        *(torch.reshape, torch.permute, torch.movedim, torch.t, torch.chunk, torch.split, torch.unbind, torch.select),
        *(torch.flip, torch.roll, torch.clone),
        *("flatten", "unflatten", "movedim", "t", "chunk", "split", "unbind", "select", "narrow", "flip", "roll"),
        *("expand", "expand_as", "clone"),
    ]
    return [
        *_by_tensors(("add", "add_", "mul", "mul_"), dtypes),
        *rows(own, dtypes),
        *rows([F.softmax, torch.softmax, "softmax"], dtypes, _OUTPUT),
        *rows(keeps, dtypes, _SHARED),
        *rows(moves, dtypes, _NONE),
    ]
