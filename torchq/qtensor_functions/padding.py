"""Padding: with a value, or with values from inside."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from torchq.qtensor import QTensor
from torchq.qtensor_functions.table import implements, integers_like, per_tensor


@implements(F.pad, torch._C._nn.pad)  # torch.compile calls the latter
def _pad(input: QTensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    if not per_tensor(input):
        return NotImplemented
    if mode == "constant":
        beside = int(integers_like(input, value)) if value else input._zero_point
        return input._with_data(F.pad(input._data, pad, value=beside))
    # What torch pads in float32 are places here, along one dimension after the other.
    F.pad(torch.empty(input.shape, device="meta"), pad, mode)  # refuses what it does not have
    data = input._data
    for k in range(len(pad) // 2):
        places = torch.arange(data.shape[-1 - k], dtype=torch.float64, device=data.device)
        data = data.index_select(-1 - k, F.pad(places[None, None], pad[2 * k : 2 * k + 2], mode)[0, 0].long())
    return input._with_data(data)


@implements(torch.constant_pad_nd)
def _constant_pad_nd(input: QTensor, pad: Sequence[int], value: Any = 0) -> Any:
    return _pad(input, pad, "constant", value)
