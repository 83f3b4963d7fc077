"""Activation functions, where torch's own quantized tensors say which scale and zero point come out.

A sigmoid's values lie in [0, 1] and a tanh's in [-1, 1], so they have fixed scales, 1/256 and 2/256; the others keep
their input's scale and zero point.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from torchq import ops
from torchq.qtensor import QTensor
from torchq.qtensor_functions.elementwise import written_to
from torchq.qtensor_functions.table import implements, of_bytes, of_torch
from torchq.qtensor_tables import gelu_tanh, looked_up


@implements(torch.sigmoid, Tensor.sigmoid, torch.special.expit)
def _sigmoid(input: QTensor) -> Any:
    return looked_up(torch.sigmoid, input, 1 / 256, input.qdtype.qmin) if of_bytes(input) else NotImplemented


@implements(torch.tanh, Tensor.tanh)
def _tanh(input: QTensor) -> Any:
    return looked_up(torch.tanh, input, 2 / 256, input.qdtype.qmin + 128) if of_bytes(input) else NotImplemented


@implements(F.hardsigmoid)
def _hardsigmoid(input: QTensor, inplace: bool = False) -> Any:
    if not of_bytes(input):
        return NotImplemented
    result = looked_up(F.hardsigmoid, input, 1 / 256, input.qdtype.qmin)
    if not inplace:
        return result
    # Views of it keep their scale, and so have to keep their integers.
    input._become(result)
    return input


@implements(F.gelu)
def _gelu(input: QTensor, approximate: str = "none") -> Any:
    if not of_bytes(input) or approximate not in ("none", "tanh"):
        return NotImplemented
    return looked_up(F.gelu if approximate == "none" else gelu_tanh, input, input._scale, input._zero_point)


@implements(*of_torch("quantized_batch_norm"))
def _batch_norm(
    input: QTensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    var: Tensor,
    eps: float,
    output_scale: float,
    output_zero_point: int,
) -> Any:
    if not of_bytes(input):
        return NotImplemented
    parameters = (weight, bias, mean, var, eps, output_scale, output_zero_point)
    data = ops.batch_norm(input._data, input._scale, input._zero_point, *parameters)
    return QTensor(data, output_scale, output_zero_point)


@implements(F.leaky_relu)
def _leaky_relu(input: QTensor, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    if not of_bytes(input):
        return NotImplemented
    result = looked_up(F.leaky_relu, input, input._scale, input._zero_point, negative_slope)
    return written_to(input, result, inplace)


@implements(F.leaky_relu_)
def _leaky_relu_(input: QTensor, negative_slope: float = 0.01) -> Any:
    return _leaky_relu(input, negative_slope, inplace=True)


@implements(torch.prelu, Tensor.prelu)
def _prelu(input: QTensor, weight: Tensor) -> Any:
    if not of_bytes(input) or input.dim() < 2:
        return NotImplemented
    slopes = (weight.dequantize() if isinstance(weight, QTensor) else weight.detach().float()).reshape(-1)
    qparams = (input._scale, input._zero_point)
    return input._with_data(ops.prelu(input._data, *qparams, slopes.contiguous(), *qparams))
