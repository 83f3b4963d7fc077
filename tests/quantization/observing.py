"""What the tests of observers share."""

import torch

from torchq.dtypes import from_torch
from torchq.quantization import (
    HistogramObserver,
    MinMaxObserver,
    MovingAverageMinMaxObserver,
    MovingAveragePerChannelMinMaxObserver,
    PerChannelMinMaxObserver,
)

RECORDING = [
    MinMaxObserver,
    MovingAverageMinMaxObserver,
    PerChannelMinMaxObserver,
    MovingAveragePerChannelMinMaxObserver,
    HistogramObserver,
]


def observed(observer, *batches):
    """Returns the observer, having seen the batches."""
    for batch in batches:
        observer(batch)
    return observer


SETTINGS = ("dtype", "qscheme", "quant_min", "quant_max", "reduce_range", "has_customized_qrange", "eps", "is_dynamic")
SETTINGS += ("ch_axis", "averaging_constant", "bins", "custom_op", "scale", "zero_point")


def settings_of(observer):
    """Returns the settings of an observer, or of a fake quantizer and its observer, and the name of the class.

    torch's dtypes and schemes come as torchq's.
    """
    found = {name: getattr(observer, name) for name in SETTINGS if hasattr(observer, name)}
    plain = {name: value.tolist() if isinstance(value, torch.Tensor) else value for name, value in found.items()}
    settings = {"class": type(observer).__name__, **{name: from_torch(value) for name, value in plain.items()}}
    inner = getattr(observer, "activation_post_process", None)
    return settings if inner is None else {**settings, "observer": settings_of(inner)}
