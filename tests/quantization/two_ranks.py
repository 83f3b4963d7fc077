"""What two processes of one group do with their observers; the test compares what they leave in files.

Run in a process of its own: ``run_rank`` is what torch.multiprocessing starts.
"""

import datetime
from pathlib import Path

import torch
from torch import distributed, nn

import torchq
from torchq.quantization import (
    HistogramObserver,
    MinMaxObserver,
    MovingAverageMinMaxObserver,
    MovingAveragePerChannelMinMaxObserver,
    ObserverBase,
    PerChannelMinMaxObserver,
    QConfig,
    QuantStub,
    RecordingObserver,
    all_reduce_observers,
    default_fixed_qparams_range_0to1_observer,
    default_fused_act_fake_quant,
    default_placeholder_observer,
    default_weight_observer,
    prepare,
)

WORLD_SIZE = 2
OBSERVERS = {
    "min-max": MinMaxObserver,
    "min-max-symmetric": MinMaxObserver.with_args(dtype=torchq.qint8, qscheme=torchq.per_tensor_symmetric),
    "per-channel": PerChannelMinMaxObserver.with_args(ch_axis=1),
    "float-qparams": PerChannelMinMaxObserver.with_args(qscheme=torchq.per_channel_affine_float_qparams),
    "moving-average": MovingAverageMinMaxObserver.with_args(averaging_constant=0.25),
    "moving-average-per-channel": MovingAveragePerChannelMinMaxObserver.with_args(averaging_constant=0.25),
    "histogram": HistogramObserver,
    "histogram-symmetric": HistogramObserver.with_args(dtype=torchq.qint8, qscheme=torchq.per_tensor_symmetric),
}


def shards(kind: str) -> list[list[torch.Tensor]]:
    """Returns the batches of each rank.

    Args:
        kind: ``"different"`` ranges on each rank, the ``"same"`` range on both, or the last with ``"none"``.
    """
    generator = torch.Generator().manual_seed(0)
    ranks = [[torch.randn(4, 4, 500, generator=generator) * scale for scale in (1, 2)] for _ in range(WORLD_SIZE)]
    if kind == "different":
        return [ranks[0], [8 * batch + 1 for batch in ranks[1]]]
    if kind == "none":
        return [ranks[0], []]
    for batch in (batch for rank in ranks for batch in rank):
        batch.clamp_(-3, 5)
        batch[..., :2] = torch.tensor([-3.0, 5.0])
    return ranks


KINDS = ["different", "same", "none"]


def seen(name: str, batches: list[torch.Tensor]) -> ObserverBase:
    """Returns an observer that saw some batches."""
    observer = OBSERVERS[name]()
    for batch in batches:
        observer(batch)
    return observer


def model() -> nn.Module:
    """Returns a prepared model, with observers that have nothing to merge beside others."""
    stubs = {name: QuantStub() for name in ("stub", "debug", "fixed", "fake")}
    net = nn.ModuleDict({**stubs, "linear": nn.Linear(4, 2)})
    net.qconfig = QConfig(activation=HistogramObserver, weight=default_weight_observer)
    fixed = default_fixed_qparams_range_0to1_observer
    for name, factory in (("debug", RecordingObserver), ("fixed", fixed), ("fake", default_fused_act_fake_quant)):
        net[name].qconfig = QConfig(activation=factory, weight=default_weight_observer)
    return prepare(net.eval())


def _message(call) -> str:
    try:
        call()
    except (RuntimeError, ValueError, NotImplementedError) as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


class _Unmerged(ObserverBase):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def calculate_qparams(self) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.tensor([1.0]), torch.tensor([0])


def _errors(rank: int) -> dict[str, str]:
    channels, settings, names = PerChannelMinMaxObserver(), MinMaxObserver(eps=2.0 ** -(rank + 1)), nn.ModuleDict()
    channels(torch.ones(2 + rank, 3))
    names[f"only-on-{rank}"] = MinMaxObserver()
    wide = HistogramObserver()
    wide(torch.tensor([3e38 * (1 - 2 * rank)]))
    first_rank = distributed.new_group([0])
    return {
        "silent-observer": _message(MinMaxObserver().all_reduce),
        "silent-model": _message(lambda: all_reduce_observers(model())),
        "channels": _message(channels.all_reduce),
        "settings": _message(settings.all_reduce),
        "names": _message(lambda: all_reduce_observers(names)),
        "width": _message(wide.all_reduce),
        "width-left-alone": str(wide.max_val.item() == wide.min_val.item()),
        "unmerged": _message(_Unmerged(torchq.quint8).all_reduce),
        "not-a-member": _message(lambda: MinMaxObserver().all_reduce(first_rank)) if rank == 1 else "",
    }


def run_rank(rank: int, folder: str) -> None:
    """Merges observers with the other rank and saves what comes of it as ``<rank>.pt``."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        store=distributed.FileStore(str(Path(folder, "store")), WORLD_SIZE),
        rank=rank,
        world_size=WORLD_SIZE,
        timeout=datetime.timedelta(minutes=5),
    )
    try:
        merged = {}
        for kind in KINDS:
            for name in OBSERVERS:
                observer = seen(name, shards(kind)[rank])
                observer.all_reduce()
                merged[f"{kind} {name}"] = dict(observer.state_dict())
        prepared = model()
        for part in prepared.values():
            part(torch.full((1, 4), 1.0 + rank))
        default_placeholder_observer().all_reduce()
        all_reduce_observers(prepared)
        debug = prepared["debug"].activation_post_process.get_tensor_value()
        result = {"merged": merged, "model": dict(prepared.state_dict()), "debug": debug, "errors": _errors(rank)}
        torch.save(result, Path(folder, f"{rank}.pt"))
    finally:
        distributed.destroy_process_group()
