"""Observers: modules that watch tensors go by and choose a scale and a zero point for them.

The names, arguments and results are those of ``torch.ao.quantization``: given the same float32 data, scale
and zero point are equal to the bit. Two cases that torch.ao lets pass are errors here: NaN or infinity in
the data, and asking for qparams before any data was seen.
"""

import collections
from typing import Any

import torch
from torch import nn

from torchq.dtypes import (
    per_channel_affine_float_qparams,
    per_channel_symmetric,
    per_tensor_symmetric,
    qint8,
    quint4x2,
    quint8,
)
from torchq.quantization import reduction
from torchq.quantization.fake_quantize_base import FakeQuantizeBase
from torchq.quantization.granularity import (
    Granularity,
    MappingType,
    PerAxis,
    PerBlock,
    PerGroup,
    PerRow,
    PerTensor,
    PerToken,
    ZeroPointDomain,
    get_block_size,
)
from torchq.quantization.histogram_observer import HistogramObserver
from torchq.quantization.observer_base import ObserverBase, ObserverFactory, UniformQuantizationObserverBase
from torchq.quantization.passive_observers import (
    FixedQParamsObserver,
    NoopObserver,
    PlaceholderObserver,
    RecordingObserver,
    ReuseInputObserver,
)
from torchq.quantization.range_observers import (
    MinMaxObserver,
    MovingAverageMinMaxObserver,
    MovingAveragePerChannelMinMaxObserver,
    PerChannelMinMaxObserver,
)

__all__ = [
    "FixedQParamsObserver",
    "Granularity",
    "HistogramObserver",
    "MappingType",
    "MinMaxObserver",
    "MovingAverageMinMaxObserver",
    "MovingAveragePerChannelMinMaxObserver",
    "NoopObserver",
    "ObserverBase",
    "ObserverFactory",
    "PerAxis",
    "PerBlock",
    "PerChannelMinMaxObserver",
    "PerGroup",
    "PerRow",
    "PerTensor",
    "PerToken",
    "PlaceholderObserver",
    "RecordingObserver",
    "ReuseInputObserver",
    "UniformQuantizationObserverBase",
    "ZeroPointDomain",
    "all_reduce_observers",
    "default_affine_fixed_qparams_observer",
    "default_debug_observer",
    "default_dynamic_quant_observer",
    "default_fixed_qparams_range_0to1_observer",
    "default_fixed_qparams_range_neg1to1_observer",
    "default_float_qparams_observer",
    "default_float_qparams_observer_4bit",
    "default_histogram_observer",
    "default_observer",
    "default_per_channel_weight_observer",
    "default_placeholder_observer",
    "default_reuse_input_observer",
    "default_symmetric_fixed_qparams_observer",
    "default_weight_observer",
    "get_block_size",
    "get_observer_state_dict",
    "load_observer_state_dict",
    "per_channel_weight_observer_range_neg_127_to_127",
    "weight_observer_range_neg_127_to_127",
]

# Under this name a module keeps what observes its output.
_ATTRIBUTE = "activation_post_process"


def get_observer_state_dict(mod: nn.Module) -> "collections.OrderedDict[str, torch.Tensor]":
    """Returns the part of a prepared model's state that belongs to its observers.

    Args:
        mod: what ``prepare`` returned.

    Example:
        >>> model = nn.Sequential(QuantStub(default_qconfig))
        >>> list(get_observer_state_dict(prepare(model)))[:2]
        ['0.activation_post_process.eps', '0.activation_post_process.min_val']
    """
    state = mod.state_dict()
    observers = collections.OrderedDict((name, value) for name, value in state.items() if _ATTRIBUTE in name)
    # How load_state_dict learns which version of an observer wrote its part.
    observers._metadata = state._metadata
    return observers


def load_observer_state_dict(mod: nn.Module, obs_dict: dict[str, torch.Tensor]) -> None:
    """Loads the state of a prepared model's observers.

    Args:
        mod: what ``prepare`` returned.
        obs_dict: what ``get_observer_state_dict`` returned, here or in torch.ao, for the same model.

    Raises:
        RuntimeError: if ``obs_dict`` lacks an observer of the model, has one too many, or one does not fit.
    """
    result = mod.load_state_dict(obs_dict, strict=False)
    for name, module in mod.named_modules():
        # torch.ao's idea of an observer's state leaves out the scales of fake-quantized weights.
        if isinstance(module, FakeQuantizeBase) and f"{name}.scale" not in obs_dict:
            module.update_qparams()
    missing = [name for name in result.missing_keys if _ATTRIBUTE in name]
    if missing or result.unexpected_keys:
        raise RuntimeError(
            f"the state does not fit the observers of {type(mod).__name__}: missing are "
            f"{', '.join(missing) or 'none'}, unexpected {', '.join(result.unexpected_keys) or 'none'}"
        )


def all_reduce_observers(model: nn.Module, group: "torch.distributed.ProcessGroup | None" = None) -> None:
    """Merges what the observers of a prepared model recorded on each rank, in place.

    For calibration on several processes: each rank runs its own part of the data through its own copy of the prepared
    model, then all of them call this, once, and end with the same statistics, and so the same qparams:

    - ``MinMaxObserver``, ``PerChannelMinMaxObserver``: the range of all data, exactly.
    - ``HistogramObserver``: the range of all data, exactly, and the sum of the histograms, each moved to that range as
      an observer moves its own when the range grows. Where all ranks saw the same range, that is the histogram of all
      data.
    - ``MovingAverageMinMaxObserver``, ``MovingAveragePerChannelMinMaxObserver``: the mean of the ranks' averages. If
      all ranks saw as many batches, it is the moving average of the batches' mean minimum and maximum.

    A rank whose part of the data did not reach an observer adds nothing to it. What ``RecordingObserver`` keeps stays
    with its rank. Merging twice counts what was merged once more on every rank.

    Args:
        model: what ``prepare`` returned, on every rank for the same model.
        group: the process group; the default one if None.

    Raises:
        RuntimeError: if an observer has no data on any rank, or ``torch.distributed`` is not initialized.
        ValueError: if the ranks' models do not have the same observers, or this process is no member of ``group``.
            Errors come before anything is changed, and on every rank.
    """
    observers = {name: module for name, module in model.named_modules() if isinstance(module, ObserverBase)}
    if not observers:
        raise ValueError(f"{type(model).__name__} has no observers: call prepare first")
    reduction.all_reduce(observers, group)
    for module in model.modules():
        if isinstance(module, FakeQuantizeBase):
            module.update_qparams()


def _is_activation_post_process(module: Any) -> bool:
    """Returns whether a module is an observer or a fake quantizer; torch.ao's name for the question."""
    return isinstance(module, ObserverBase | FakeQuantizeBase)


default_observer = MinMaxObserver.with_args(quant_min=0, quant_max=127)
default_placeholder_observer = PlaceholderObserver
default_debug_observer = RecordingObserver
default_weight_observer = MinMaxObserver.with_args(dtype=qint8, qscheme=per_tensor_symmetric)
weight_observer_range_neg_127_to_127 = default_weight_observer.with_args(quant_min=-127, quant_max=127, eps=2**-12)
default_histogram_observer = HistogramObserver.with_args(quant_min=0, quant_max=127)
default_per_channel_weight_observer = PerChannelMinMaxObserver.with_args(dtype=qint8, qscheme=per_channel_symmetric)
per_channel_weight_observer_range_neg_127_to_127 = default_per_channel_weight_observer.with_args(
    quant_min=-127, quant_max=127, eps=2**-12
)
default_dynamic_quant_observer = PlaceholderObserver.with_args(
    dtype=quint8, quant_min=0, quant_max=255, is_dynamic=True
)
default_float_qparams_observer = PerChannelMinMaxObserver.with_args(
    dtype=quint8, qscheme=per_channel_affine_float_qparams, ch_axis=0
)
default_float_qparams_observer_4bit = default_float_qparams_observer.with_args(dtype=quint4x2)
# What a tanh and a sigmoid give.
default_fixed_qparams_range_neg1to1_observer = FixedQParamsObserver.with_args(
    scale=2.0 / 256.0, zero_point=128, dtype=quint8, quant_min=0, quant_max=255
)
default_fixed_qparams_range_0to1_observer = FixedQParamsObserver.with_args(
    scale=1.0 / 256.0, zero_point=0, dtype=quint8, quant_min=0, quant_max=255
)
default_symmetric_fixed_qparams_observer = default_fixed_qparams_range_neg1to1_observer
default_affine_fixed_qparams_observer = default_fixed_qparams_range_0to1_observer
default_reuse_input_observer = ReuseInputObserver
