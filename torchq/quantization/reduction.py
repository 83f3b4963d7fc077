"""What observers recorded, merged over the ranks of a process group.

Every rank gathers what every rank recorded and merges it in the order of the ranks, so that all of them end with the
same bits, whatever the backend. The merging itself is each observer's: ``_statistics`` and ``_merge``.
"""

from typing import Any, NamedTuple

import torch

Statistics = dict[str, torch.Tensor]

# What has to agree where an observer has it, or the ranks would choose different qparams for the same data.
_SETTINGS = ("dtype", "qscheme", "quant_min", "quant_max", "eps", "ch_axis", "averaging_constant", "bins")


class _Record(NamedTuple):
    settings: str
    statistics: Statistics


def all_reduce(observers: dict[str, Any], group: "torch.distributed.ProcessGroup | None" = None) -> None:
    """Replaces what each observer recorded by what its counterparts on all ranks recorded together.

    Args:
        observers: names, the same on every rank, to observers.
        group: the process group; the default one if None.

    Raises:
        RuntimeError: if an observer has no data on any rank, or ``torch.distributed`` is not initialized.
        ValueError: if the observers of the ranks differ, or this process is no member of ``group``. Errors come before
            anything is changed, and on every rank.
    """
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        raise RuntimeError("there is no process group: call torch.distributed.init_process_group first")
    world_size = distributed.get_world_size(group)
    if world_size < 0:
        raise ValueError("this process is no member of the group that shall share its observers")
    own = {name: record for name, observer in observers.items() if (record := _record(observer)) is not None}
    ranks: list[dict[str, _Record]] = [{}] * world_size
    distributed.all_gather_object(ranks, own, group=group)
    _check_same_observers(ranks)
    without_data = [name for name in own if not any(rank[name].statistics for rank in ranks)]
    if without_data:
        raise RuntimeError(
            f"never saw data on any rank: {', '.join(without_data)}; run the prepared model on calibration data first, "
            "or set the modules' qconfig to None to leave them in float"
        )
    merged = {
        name: observers[name]._merge([rank[name].statistics for rank in ranks if rank[name].statistics]) for name in own
    }
    for name, statistics in merged.items():
        observers[name]._set_statistics(statistics)


def _record(observer: Any) -> _Record | None:
    statistics = observer._statistics()
    if statistics is None:
        return None
    settings = {name: getattr(observer, name) for name in _SETTINGS if hasattr(observer, name)}
    described = (f"{name}={v.tolist() if isinstance(v, torch.Tensor) else v}" for name, v in settings.items())
    # Copies on the CPU: what is gathered must not depend on where a rank keeps its observers.
    return _Record(
        f"{type(observer).__name__}({', '.join(described)})",
        {name: value.detach().cpu() for name, value in statistics.items()},
    )


def _check_same_observers(ranks: list[dict[str, _Record]]) -> None:
    first = ranks[0]
    for number, rank in enumerate(ranks):
        if rank.keys() != first.keys():
            differing = ", ".join(sorted(rank.keys() ^ first.keys()))
            raise ValueError(f"rank {number} and rank 0 do not have the same observers: {differing}")
        for name, record in rank.items():
            if record.settings != first[name].settings:
                raise ValueError(
                    f"{name} differs: {record.settings} on rank {number}, {first[name].settings} on rank 0"
                )
    for name in first:
        shapes = {
            number: [tuple(value.shape) for value in rank[name].statistics.values()]
            for number, rank in enumerate(ranks)
            if rank[name].statistics
        }
        if any(shape != next(iter(shapes.values())) for shape in shapes.values()):
            raise ValueError(f"{name} recorded another number of channels on some rank: {shapes}")
