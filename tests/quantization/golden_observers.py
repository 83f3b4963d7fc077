"""Data and settings of the frozen observer results; run as a script, it freezes them anew with torch.ao.

python tests/quantization/golden_observers.py
"""

import json
import warnings
from pathlib import Path
from typing import Any

import torch

PATH = Path(__file__).with_suffix(".json")

SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "min-max": ("MinMaxObserver", {"dtype": "quint8", "qscheme": "per_tensor_affine"}),
    "min-max-symmetric": ("MinMaxObserver", {"dtype": "qint8", "qscheme": "per_tensor_symmetric"}),
    "moving-average": ("MovingAverageMinMaxObserver", {"dtype": "quint8", "qscheme": "per_tensor_affine"}),
    "per-channel": ("PerChannelMinMaxObserver", {"dtype": "quint8", "qscheme": "per_channel_affine"}),
    "per-channel-symmetric": ("PerChannelMinMaxObserver", {"dtype": "qint8", "qscheme": "per_channel_symmetric"}),
    "per-channel-float-qparams": (
        "PerChannelMinMaxObserver",
        {"dtype": "quint8", "qscheme": "per_channel_affine_float_qparams"},
    ),
    "per-channel-float-qparams-4-bit": (
        "PerChannelMinMaxObserver",
        {"dtype": "quint4x2", "qscheme": "per_channel_affine_float_qparams", "ch_axis": 0},
    ),
    "moving-average-per-channel": (
        "MovingAveragePerChannelMinMaxObserver",
        {"dtype": "quint8", "qscheme": "per_channel_affine", "averaging_constant": 0.25},
    ),
    "min-max-32-bit": ("MinMaxObserver", {"dtype": "qint32", "qscheme": "per_tensor_symmetric"}),
    "min-max-127": (
        "MinMaxObserver",
        {"dtype": "qint8", "qscheme": "per_tensor_symmetric", "quant_min": -127, "quant_max": 127, "eps": 2**-12},
    ),
    "fixed": ("FixedQParamsObserver", {"scale": 2.0 / 256.0, "zero_point": 128, "dtype": "quint8"}),
    "histogram": ("HistogramObserver", {"dtype": "quint8", "qscheme": "per_tensor_affine"}),
    "histogram-7-bit": (
        "HistogramObserver",
        {"dtype": "quint8", "qscheme": "per_tensor_affine", "reduce_range": True},
    ),
    "histogram-symmetric": ("HistogramObserver", {"dtype": "qint8", "qscheme": "per_tensor_symmetric"}),
}


def batches(name: str) -> list[torch.Tensor]:
    """Returns tensors ``[4, 2500]`` that are the same on every machine and torch: exact integer arithmetic only."""
    steps = torch.arange(10_000)
    even = ((steps * 7919) % 10_007 - 5_003).reshape(4, -1).float() / 1024
    return {
        "even": [even, even * 1.5 - 0.25],
        "peaked": [even * even * even, 8 * even * even * even, even * even.abs() / 64],
        "positive": [even.relu(), even.relu() * 3],
        "negative": [-even.abs() - 1],
        "outlier": [even / 64, torch.full((4, 1), 7.0)],
        "constant": [torch.full((4, 2), 3.0)],
    }[name]


DATA = ["even", "peaked", "positive", "negative", "outlier", "constant"]


def observe(observer: Any, name: str) -> dict[str, list]:
    """Returns what an observer chooses for some data, floats in a notation without loss."""
    for batch in batches(name):
        observer(batch)
    scale, zero_point = observer.calculate_qparams()
    exact = [value.hex() if isinstance(value, float) else value for value in zero_point.tolist()]
    return {"scale": [value.hex() for value in scale.tolist()], "zero_point": exact}


def build(observers: Any, dtypes: Any, setting: str) -> Any:
    """Returns an observer of a module of observers, with dtype and scheme taken from ``dtypes``."""
    name, arguments = SETTINGS[setting]
    return getattr(observers, name)(
        **{key: getattr(dtypes, value) if isinstance(value, str) else value for key, value in arguments.items()}
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    import torch.ao.quantization.observer as torch_ao

    frozen = {f"{s} {d}": observe(build(torch_ao, torch, s), d) for s in SETTINGS for d in DATA}
    PATH.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in frozen.items()) + "\n}\n")
