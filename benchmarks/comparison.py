"""How a row of a comparison comes about: results first, then times in turn, then ratios."""

from collections.abc import Callable

import torch

import torchq
from examples.timing import interleaved_medians

Call = Callable[[], torch.Tensor]
BEST = "x best peer"


def values(result: torch.Tensor) -> torch.Tensor:
    """The integers of a quantized result, other results as they are; copied."""
    quantized = isinstance(result, torchq.QTensor) or result.is_quantized
    return (result.int_repr() if quantized else result).clone()


def largest_difference(result: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest absolute difference of two results."""
    if result.shape != expected.shape:
        raise RuntimeError(f"a result has shape {tuple(result.shape)}, not {tuple(expected.shape)}")
    return float((result.double() - expected.double()).abs().max()) if result.numel() else 0.0


def compare(
    name: str,
    ours: Call,
    peers: dict[str, Call],
    *,
    expected: torch.Tensor | None = None,
    limits: dict[str, tuple[Callable[[], object], float]] | None = None,
    work: float = 0.0,
    rounds: int = 9,
) -> dict[str, object]:
    """Times torchq and its peers in turn.

    Args:
        name: of the row.
        ours: torchq's call.
        peers: the others' by name.
        expected: what torchq's call must return, to the bit.
        limits: calls that show what the machine can do, by the name of their column, and how much work each does.
        work: how much the calls do, in the limits' unit.
        rounds: of the timing.

    Returns:
        The time in us, how much faster torchq is than each peer (above 1: faster) and than the best of them, and how
        far the peers' results lie from torchq's at most: those that saturate sums are off by more than a rounding.

    Raises:
        RuntimeError: if torchq's result is not the expected one.
    """
    with torch.inference_mode():
        result = values(ours())
        if expected is not None and not torch.equal(result, expected):
            raise RuntimeError(f"{name}: torchq's result is not the expected one")
        off = [largest_difference(values(call()), result) for call in peers.values()]
        runs = {"torchq": ours, **peers, **{limit: run for limit, (run, _) in (limits or {}).items()}}
        seconds = interleaved_medians(runs, rounds=rounds)
    row: dict[str, object] = {"": name, "us": seconds["torchq"] * 1e6}
    for peer in peers:
        row[f"x {peer}"] = seconds[peer] / seconds["torchq"]
    if peers:
        row[BEST] = min(seconds[peer] for peer in peers) / seconds["torchq"]
    for limit, (_, amount) in (limits or {}).items():
        if amount:
            row[limit] = (work / seconds["torchq"]) / (amount / seconds[limit])
    if peers:
        row["peers off by"] = max(off)
    return row
