"""Observers of two processes end with the same statistics, those of all data."""

import pytest
import torch

from quantization.two_ranks import KINDS, OBSERVERS, WORLD_SIZE, run_rank, seen, shards
from torchq.quantization import MinMaxObserver, all_reduce_observers

pytestmark = pytest.mark.skipif(
    not (torch.distributed.is_available() and torch.distributed.is_gloo_available()), reason="this torch has no gloo"
)


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What each of the ranks left."""
    folder = tmp_path_factory.mktemp("ranks")
    torch.multiprocessing.spawn(run_rank, (str(folder),), nprocs=WORLD_SIZE)
    return [torch.load(folder / f"{rank}.pt") for rank in range(WORLD_SIZE)]


def merged(ranks, kind, name):
    """An observer with what rank 0 merged."""
    observer = OBSERVERS[name]()
    observer.load_state_dict(ranks[0]["merged"][f"{kind} {name}"])
    return observer


def assert_same_state(own, other):
    assert own.keys() == other.keys()
    for name, value in own.items():
        assert torch.equal(value, other[name])


@pytest.mark.parametrize("name", OBSERVERS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_rank_ends_with_the_same_bits(ranks, kind, name):
    assert_same_state(ranks[0]["merged"][f"{kind} {name}"], ranks[1]["merged"][f"{kind} {name}"])


@pytest.mark.parametrize("name", ["min-max", "min-max-symmetric", "per-channel", "float-qparams"])
@pytest.mark.parametrize("kind", KINDS)
def test_range_is_that_of_all_data(ranks, kind, name):
    whole = seen(name, [batch for rank in shards(kind) for batch in rank])
    for own, expected in zip(merged(ranks, kind, name).calculate_qparams(), whole.calculate_qparams(), strict=True):
        assert torch.equal(own, expected)


@pytest.mark.parametrize("name", OBSERVERS)
def test_rank_without_data_adds_nothing(ranks, name):
    assert_same_state(ranks[1]["merged"][f"none {name}"], seen(name, shards("none")[0]).state_dict())


@pytest.mark.parametrize("name", ["histogram", "histogram-symmetric"])
def test_histograms_of_the_same_range_become_that_of_all_data(ranks, name):
    whole = seen(name, [batch for rank in shards("same") for batch in rank])
    assert_same_state(merged(ranks, "same", name).state_dict(), whole.state_dict())


def test_histogram_of_another_range_is_moved_as_when_the_range_grows(ranks):
    own, wide = (seen("histogram", rank) for rank in shards("different"))
    # The second rank's range encloses the first's. One value at each end widens the first to it; less those two, it
    # is the first's histogram over the second's range.
    own(torch.stack([wide.min_val, wide.max_val]))
    own.histogram[[0, -1]] -= 1
    result = merged(ranks, "different", "histogram")
    assert torch.equal(result.histogram, own.histogram + wide.histogram)
    assert (result.min_val, result.max_val) == (wide.min_val, wide.max_val)


@pytest.mark.parametrize("name", ["moving-average", "moving-average-per-channel"])
def test_moving_averages_become_their_mean(ranks, name):
    own, other = (seen(name, rank) for rank in shards("different"))
    result = merged(ranks, "different", name)
    assert torch.equal(result.min_val, ((own.min_val.double() + other.min_val.double()) / 2).float())
    assert torch.equal(result.max_val, ((own.max_val.double() + other.max_val.double()) / 2).float())


def test_all_observers_of_a_model_are_merged(ranks):
    assert_same_state(ranks[0]["model"], {**ranks[1]["model"], **_parameters(ranks[0]["model"])})
    assert ranks[0]["model"]["stub.activation_post_process.min_val"] == 1
    assert ranks[0]["model"]["stub.activation_post_process.max_val"] == 2


def test_fake_quantizers_round_with_what_was_merged(ranks):
    # Ranges [0, 1] and [0, 2]: their mean, on 256 integers.
    assert ranks[0]["model"]["fake.activation_post_process.scale"].item() == pytest.approx(1.5 / 255)


def _parameters(state):
    return {name: value for name, value in state.items() if "activation_post_process" not in name}


def test_recorded_tensors_stay_with_their_rank(ranks):
    assert [torch.equal(rank["debug"][0], torch.full((1, 4), 1.0 + i)) for i, rank in enumerate(ranks)] == [True, True]


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("silent-observer", "RuntimeError: never saw data on any rank: MinMaxObserver; run the prepared model"),
        (
            "silent-model",
            "RuntimeError: never saw data on any rank: stub.activation_post_process, "
            "fake.activation_post_process.activation_post_process, linear.activation_post_process;",
        ),
        (
            "channels",
            "ValueError: PerChannelMinMaxObserver recorded another number of channels on some rank: {0: [",
        ),
        ("settings", "ValueError: MinMaxObserver differs: MinMaxObserver(dtype=torchq.quint8, "),
        ("names", "ValueError: rank 1 and rank 0 do not have the same observers: only-on-0, only-on-1"),
        ("width", "ValueError: HistogramObserver saw [-3.0"),
        ("width-left-alone", "True"),
        ("unmerged", "NotImplementedError: _Unmerged does not say what its ranks share: define _statistics"),
    ],
    ids=["no-data", "no-data-in-model", "channels", "settings", "names", "width", "width-left-alone", "unmerged"],
)
def test_what_cannot_be_merged_is_the_same_error_on_every_rank(ranks, case, message):
    assert [rank["errors"][case].startswith(message) for rank in ranks] == [True] * WORLD_SIZE


def test_process_outside_of_the_group_is_an_error(ranks):
    assert ranks[1]["errors"]["not-a-member"] == (
        "ValueError: this process is no member of the group that shall share its observers"
    )


def test_without_a_process_group_is_an_error():
    with pytest.raises(RuntimeError, match=r"call torch\.distributed\.init_process_group first"):
        MinMaxObserver().all_reduce()


def test_model_without_observers_is_an_error():
    with pytest.raises(ValueError, match="Linear has no observers: call prepare first"):
        all_reduce_observers(torch.nn.Linear(2, 2))
