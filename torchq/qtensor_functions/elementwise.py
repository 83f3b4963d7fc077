"""What is computed for each element by itself."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from torchq import ops
from torchq.qtensor import QTensor
from torchq.qtensor_functions.table import implements, integers_rounded_twice, limit, of_bytes, per_tensor


def written_to(input: QTensor, result: Any, inplace: bool) -> Any:
    """Returns a result with the input's scale and zero point, or the input after it was written there."""
    if result is NotImplemented or not inplace:
        return result
    input._data.copy_(result._data)
    return input


@implements(F.relu, torch.relu, Tensor.relu)
def _relu(input: QTensor, inplace: bool = False) -> Any:
    if not of_bytes(input):
        return NotImplemented
    if inplace:
        return _relu_(input)
    return input._with_data(ops.relu(input._data, input._zero_point))


@implements(F.relu_, torch.relu_, Tensor.relu_)
def _relu_(input: QTensor) -> Any:
    if not of_bytes(input):
        return NotImplemented
    input._data.copy_(ops.relu(input._data, input._zero_point))
    return input


@implements(torch.clamp, Tensor.clamp, torch.clip, Tensor.clip)
def _clamp(input: QTensor, min: float | None = None, max: float | None = None) -> Any:
    if not per_tensor(input) or isinstance(min, Tensor) or isinstance(max, Tensor):
        return NotImplemented
    if (min is None and max is None) or min != min or max != max:  # NaN, which no integer stands for
        return NotImplemented
    data, dtype = input._data, input.qdtype
    lowest = dtype.qmin if min is None else limit(float(min), input._scale, input._zero_point, data.dtype)
    highest = dtype.qmax if max is None else limit(float(max), input._scale, input._zero_point, data.dtype)
    lowest = lowest if lowest < highest else highest  # as torch: the upper limit is the last
    return input._with_data(ops.clamp(data, lowest, highest) if of_bytes(input) else data.clamp(lowest, highest))


@implements(torch.clamp_, Tensor.clamp_, torch.clip_, Tensor.clip_)
def _clamp_(input: QTensor, min: float | None = None, max: float | None = None) -> Any:
    return written_to(input, _clamp(input, min, max), inplace=True)


@implements(torch.clamp_min, Tensor.clamp_min)
def _clamp_min(input: QTensor, min: float) -> Any:
    return _clamp(input, min=min)


@implements(torch.clamp_max, Tensor.clamp_max)
def _clamp_max(input: QTensor, max: float) -> Any:
    return _clamp(input, max=max)


@implements(torch.clamp_min_, Tensor.clamp_min_)
def _clamp_min_(input: QTensor, min: float) -> Any:
    return _clamp_(input, min=min)


@implements(torch.clamp_max_, Tensor.clamp_max_)
def _clamp_max_(input: QTensor, max: float) -> Any:
    return _clamp_(input, max=max)


@implements(F.hardtanh)
def _hardtanh(input: QTensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
    return written_to(input, _clamp(input, min_val, max_val), inplace)


@implements(F.relu6)
def _relu6(input: QTensor, inplace: bool = False) -> Any:
    return written_to(input, _clamp(input, 0.0, 6.0), inplace)


@implements(F.threshold, torch.threshold)
def _threshold(input: QTensor, threshold: float, value: float, inplace: bool = False) -> Any:
    if not per_tensor(input):
        return NotImplemented
    above = input.dequantize() > threshold
    result = input._with_data(torch.where(above, input._data, integers_rounded_twice(input, value)))
    return written_to(input, result, inplace)


@implements(F.threshold_, torch.threshold_)
def _threshold_(input: QTensor, threshold: float, value: float) -> Any:
    return _threshold(input, threshold, value, inplace=True)


@implements(torch.dropout, F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout)
def _dropout(input: QTensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    return NotImplemented if training else input
