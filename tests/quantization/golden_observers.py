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
    return {"scale": [value.hex() for value in scale.tolist()], "zero_point": zero_point.tolist()}


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
