"""Timing that two runs on a busy machine can agree on."""

import statistics
import time
from collections.abc import Callable


def interleaved_medians(
    calls: dict[str, Callable[[], object]], rounds: int = 15, turn_s: float = 0.01
) -> dict[str, float]:
    """Times several callables in turn and returns the median time of one call of each, in seconds.

    Taking turns makes a slow moment of the machine hit all of them alike, and the median forgets it.

    Args:
        calls: the callables by name.
        rounds: how many turns each gets.
        turn_s: about how long a turn lasts, in seconds: a short callable is called many times in it.
    """
    repeats = {}
    for name, call in calls.items():
        call()
        repeats[name] = max(1, round(turn_s / _seconds(call, 3)))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(_seconds(call, repeats[name]))
    return {name: statistics.median(each) for name, each in times.items()}


def _seconds(call: Callable[[], object], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats
