"""The backends: one table of what they can quantize, and where they differ."""

from dataclasses import dataclass, replace
from typing import Any

import torch

from torchq.dtypes import qint8, quint4x2, quint8
from torchq.quantization.backend_config import fusions, operators
from torchq.quantization.backend_config.backend_config import (
    BackendConfig,
    BackendPatternConfig,
    DTypeConfig,
    DTypeWithConstraints,
)

_WEIGHTED = DTypeConfig(quint8, quint8, qint8, torch.float)
_PLAIN = DTypeConfig(quint8, quint8)
_FLOAT_WEIGHT = DTypeConfig(quint8, quint8, torch.float, torch.float)
_DYNAMIC = DTypeConfig(quint8, torch.float, qint8, torch.float, is_dynamic=True)
_DYNAMIC_FLOAT16 = DTypeConfig(torch.float16, torch.float, torch.float16, torch.float, is_dynamic=True)
_WEIGHT_ONLY = DTypeConfig(torch.float, torch.float, quint8)
_WEIGHT_ONLY_4BIT = DTypeConfig(torch.float, torch.float, quint4x2)
_WEIGHT_ONLY_SIGNED = DTypeConfig(torch.float, torch.float, qint8)

# XNNPACK's limits: symmetric weights without -128, and scales that its requantization can hold.
_SIGNED = DTypeWithConstraints(qint8, scale_min_lower_bound=2**-12)
_SIGNED_WEIGHT = DTypeWithConstraints(
    qint8, quant_min_lower_bound=-127, quant_max_upper_bound=127, scale_min_lower_bound=2**-12
)
_SIGNED_WEIGHTED = DTypeConfig(_SIGNED, _SIGNED, _SIGNED_WEIGHT, torch.float)
_SIGNED_PLAIN = DTypeConfig(_SIGNED, _SIGNED)


@dataclass(frozen=True)
class _Dtypes:
    """The dtypes that a backend has for each group of operators; none, where it has no such group.

    Attributes:
        weighted: convolutions and, if static, linear layers.
        linear: other linear layers.
        binary: sums, products and matmul.
        plain: cat, batch norm and other functions of one tensor with a scale of their own.
        fixed: functions with fixed qparams.
        shared: functions that keep scale and zero point.
        rnn: recurrent layers.
        embedding: embeddings.
        layer_norm: layer norm.
        info: questions about a tensor.
    """

    weighted: tuple[DTypeConfig, ...] = (_WEIGHTED,)
    linear: tuple[DTypeConfig, ...] = (_DYNAMIC, _DYNAMIC_FLOAT16)
    binary: tuple[DTypeConfig, ...] = (_PLAIN,)
    plain: tuple[DTypeConfig, ...] = (_PLAIN,)
    fixed: tuple[DTypeConfig, ...] = (_PLAIN,)
    shared: tuple[DTypeConfig, ...] = (_PLAIN,)
    rnn: tuple[DTypeConfig, ...] = (_DYNAMIC, _DYNAMIC_FLOAT16)
    embedding: tuple[DTypeConfig, ...] = (_WEIGHT_ONLY, _WEIGHT_ONLY_4BIT)
    layer_norm: tuple[DTypeConfig, ...] = (_FLOAT_WEIGHT,)
    info: tuple[DTypeConfig, ...] = (_PLAIN,)


_NATIVE = _Dtypes()
_FBGEMM = replace(_NATIVE, layer_norm=())
_EITHER_SIGN = (_SIGNED_PLAIN, _PLAIN)
_BACKENDS = {
    "native": _NATIVE,
    "fbgemm": _FBGEMM,
    "x86": replace(_FBGEMM, binary=(_WEIGHTED,), fixed=(_WEIGHTED,)),
    "qnnpack": replace(
        _FBGEMM,
        weighted=(_SIGNED_WEIGHTED, _WEIGHTED),
        binary=_EITHER_SIGN,
        plain=_EITHER_SIGN,
        fixed=_EITHER_SIGN,
        shared=_EITHER_SIGN,
        info=(),
    ),
    "onednn": replace(_NATIVE, linear=(_DYNAMIC,), rnn=(_DYNAMIC,), embedding=(_WEIGHT_ONLY_SIGNED,), info=()),
}


def _config(name: str, dtypes: _Dtypes, *others: BackendPatternConfig) -> BackendConfig:
    groups = [
        operators.convolutions(dtypes.weighted),
        operators.linears(dtypes.weighted + dtypes.linear),
        others,
        operators.binary(dtypes.binary),
        operators.plain(dtypes.plain),
        operators.fixed_qparams(dtypes.fixed),
        operators.shared(dtypes.shared),
        operators.questions(dtypes.info),
        operators.batch_norms(dtypes.plain),
        operators.layer_norms(dtypes.layer_norm),
        operators.recurrent(dtypes.rnn),
        operators.embeddings(dtypes.embedding),
    ]
    config = BackendConfig(name)
    for group in groups:
        config.set_backend_pattern_configs(list(group))
    return config


def get_torchq_backend_config() -> BackendConfig:
    """Returns the patterns that torchq quantizes; the default of ``prepare_fx`` and its like.

    Those of ``get_native_backend_config``, and further functions that torchq has integers for: ``@``, ``bmm`` and
    methods such as ``x.add(y)``, gelu and its like, functional softmax, group norm, and what moves values without
    looking at them, such as ``x[0]``, ``chunk`` and ``flatten``, which torch.ao leaves in float.
    """
    return _config("torchq", _NATIVE).set_backend_pattern_configs(operators.beyond_torch_ao(_NATIVE.plain))


def get_native_backend_config() -> BackendConfig:
    """Returns the patterns that torch.ao quantizes by default."""
    return _config("native", _BACKENDS["native"])


def get_native_backend_config_dict() -> dict[str, Any]:
    """Returns ``get_native_backend_config()`` as a dictionary."""
    return get_native_backend_config().to_dict()


def get_fbgemm_backend_config() -> BackendConfig:
    """Returns the patterns that torch.ao quantizes for fbgemm: all of native's but layer norm."""
    return _config("fbgemm", _BACKENDS["fbgemm"])


def get_x86_backend_config() -> BackendConfig:
    """Returns the patterns that torch.ao quantizes for x86: those of fbgemm."""
    return _config("x86", _BACKENDS["x86"])


def get_qnnpack_backend_config() -> BackendConfig:
    """Returns the patterns that torch.ao quantizes for qnnpack: those of fbgemm, and of ``qint8`` activations too."""
    return _config("qnnpack", _BACKENDS["qnnpack"])


def get_onednn_backend_config() -> BackendConfig:
    """Returns the patterns that torch.ao quantizes for onednn.

    Those of native, without float16 and with ``qint8`` embeddings, and fused: a convolution with a sum, and with a relu
    behind that, and a linear layer with a leaky relu or a tanh.
    """
    dtypes = _BACKENDS["onednn"]
    return _config("onednn", dtypes, *fusions.fusions(dtypes.weighted, dtypes.weighted + dtypes.linear))
