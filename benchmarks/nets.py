"""Whole networks at batch 1, eager, against torch in float and the other libraries."""

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.comparison import BEST, values
from benchmarks.harness import Measured
from benchmarks.network_calls import Prepared, kernel_seconds
from benchmarks.networks import NETWORKS, Network
from examples.timing import interleaved_medians

_ROUNDS, _TURN_S = 9, 0.05
# With the range that torch.ao's settings give activations, where AVX2 has a faster instruction.
_NARROW = "torchq, 7 bits"


def _similarity(result: torch.Tensor, expected: torch.Tensor) -> float:
    return float(F.cosine_similarity(values(result).flatten(), expected.flatten(), dim=0))


def bytes_per_weight(quantized: nn.Module, float_model: nn.Module) -> float:
    """What a weight takes in memory once it is packed; biases and norms are no weights."""
    buffers = dict(quantized.named_buffers())
    size = sum(b.nbytes for name, b in buffers.items() if name.rpartition(".")[2].startswith("_packed"))
    return size / sum(p.numel() for p in float_model.parameters() if p.dim() >= 2)


def _row(name: str, network: Network) -> dict[str, object]:
    prepared = Prepared(network)
    x, ours = prepared.x, prepared.torchq()
    calls = {"torchq": lambda: ours(x), "fp32": lambda: prepared.float(x)}
    if not network.dynamic:
        narrow = prepared.torchq(reduce_range=True)
        calls[_NARROW] = lambda: narrow(x)
    calls |= prepared.peers()
    with torch.inference_mode():
        expected = prepared.float(x)
        similar = {who: _similarity(call(), expected) for who, call in calls.items() if who != "fp32"}
        if similar["torchq"] < 0.95:
            raise RuntimeError(f"{name}: torchq's result is not the float model's, the cosine is {similar['torchq']}")
        seconds = interleaved_medians(calls, rounds=_ROUNDS, turn_s=_TURN_S)
        inside = kernel_seconds(calls["torchq"])
    row: dict[str, object] = {"": name, "ms": seconds["torchq"] * 1e3, "kernels ms": inside * 1e3}
    row["x fp32"] = seconds["fp32"] / seconds["torchq"]
    if _NARROW in calls:
        row["7 bits ms"] = seconds[_NARROW] * 1e3
    peers = [who for who in calls if who not in ("torchq", "fp32", _NARROW)]
    row |= {f"x {peer}": seconds[peer] / seconds["torchq"] for peer in peers}
    row[BEST] = min(seconds[peer] for peer in peers) / seconds["torchq"]
    row |= {"cosine": similar["torchq"], "peers' least": min(similar[peer] for peer in peers)}
    row["bytes/weight"] = bytes_per_weight(ours, prepared.float)
    return row


def run() -> list[Measured]:
    """Measures every network."""
    rows = [_row(name, network) for name, network in NETWORKS.items()]
    return [Measured("networks", rows, ["x fp32", "x ao fbgemm", "x ao x86", BEST])]
