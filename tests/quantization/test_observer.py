import copy

import pytest
import torch

import torchq
from quantization.observing import RECORDING, observed
from torchq.quantization import (
    HistogramObserver,
    MinMaxObserver,
    MovingAverageMinMaxObserver,
    MovingAveragePerChannelMinMaxObserver,
    PerChannelMinMaxObserver,
    default_float_qparams_observer,
    default_float_qparams_observer_4bit,
)


def test_min_max_maps_the_range_onto_all_integers():
    scale, zero_point = observed(MinMaxObserver(), torch.tensor([-1.0, 0.0, 4.1])).calculate_qparams()
    assert torch.equal(scale, torch.tensor([5.1 / 255]))
    assert zero_point.tolist() == [50]


def test_range_always_encloses_zero():
    scale, zero_point = observed(MinMaxObserver(), torch.tensor([2.0, 5.1])).calculate_qparams()
    assert torch.equal(scale, torch.tensor([5.1 / 255]))
    assert zero_point.tolist() == [0]


def test_constant_zero_gives_the_smallest_scale():
    scale, _ = observed(MinMaxObserver(), torch.zeros(3)).calculate_qparams()
    assert scale.item() == torch.finfo(torch.float32).eps


@pytest.mark.parametrize(("dtype", "zero_point"), [(torchq.quint8, 128), (torchq.qint8, 0)], ids=str)
def test_symmetric_puts_zero_in_the_middle(dtype, zero_point):
    observer = MinMaxObserver(dtype=dtype, qscheme=torchq.per_tensor_symmetric)
    assert observed(observer, torch.tensor([-1.0, 3.0])).calculate_qparams()[1].tolist() == [zero_point]


def test_per_channel_observes_any_axis():
    x = torch.tensor([[[0.0, -2.55]], [[5.1, 0.0]]])
    scale, _ = observed(PerChannelMinMaxObserver(ch_axis=-1), x).calculate_qparams()
    assert torch.equal(scale, torch.tensor([5.1, 2.55]) / 255)


def test_per_channel_takes_one_value_per_channel():
    scale, _ = observed(PerChannelMinMaxObserver(), torch.tensor([5.1, 2.55])).calculate_qparams()
    assert torch.equal(scale, torch.tensor([5.1, 2.55]) / 255)


def test_moving_average_moves_by_its_constant():
    observer = observed(MovingAverageMinMaxObserver(0.5), torch.tensor([0.0, 1.0]), torch.tensor([0.0, 2.0]))
    assert observer.max_val.item() == 1.5


def test_moving_average_per_channel_moves_each_channel_by_its_constant():
    batches = torch.tensor([[0.0, 1.0], [-2.0, 0.0]]), torch.tensor([[0.0, 2.0], [-8.0, 0.0]])
    observer = observed(MovingAveragePerChannelMinMaxObserver(0.5), *batches)
    assert (observer.min_val.tolist(), observer.max_val.tolist()) == ([0.0, -5.0], [1.5, 0.0])


def test_moving_averages_that_round_past_each_other_stay_a_range():
    # -1 + (tiny + 1) is 0, and 0 + (tiny - 0) is tiny, which lies below.
    tiny = torch.tensor([-1e-45])
    observer = observed(MovingAverageMinMaxObserver(1.0), torch.tensor([0.0, -1.0]), tiny)
    assert (observer.min_val.item(), observer.max_val.item()) == (0, 0)


@pytest.mark.parametrize(
    ("factory", "steps"), [(default_float_qparams_observer, 255), (default_float_qparams_observer_4bit, 15)]
)
def test_float_qparams_map_the_smallest_value_to_0_and_the_largest_to_the_last_integer(factory, steps):
    scale, zero_point = observed(factory(), torch.tensor([[2.0, 7.0], [-8.0, -3.0]])).calculate_qparams()
    assert torch.equal(scale, torch.full((2,), 5.0) / steps)
    assert torch.equal(zero_point, torch.tensor([-2.0, 8.0]) / scale)


def test_float_qparams_of_a_constant_channel_have_scale_1():
    scale, zero_point = observed(default_float_qparams_observer(), torch.tensor([[3.0, 3.0]])).calculate_qparams()
    assert (scale.tolist(), zero_point.tolist()) == ([1.0], [-3.0])


@pytest.mark.parametrize("observer", RECORDING)
def test_returns_its_input(observer):
    x = torch.randn(4, 3)
    assert observer()(x) is x


@pytest.mark.parametrize("observer", RECORDING)
@pytest.mark.parametrize("batches", [[], [torch.empty(0, 3)]], ids=["no-tensor", "empty-tensor"])
def test_without_data_has_no_qparams(observer, batches):
    with pytest.raises(RuntimeError, match=f"{observer.__name__} never saw data"):
        observed(observer(), *batches).calculate_qparams()


@pytest.mark.parametrize("observer", RECORDING)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e39], ids=str)
def test_refuses_values_that_are_not_finite_in_float32(observer, value):
    with pytest.raises(ValueError, match=f"{observer.__name__} saw NaN or infinity"):
        observer()(torch.tensor([[1.0, value]], dtype=torch.float64))


def test_refusal_leaves_the_record_as_it_was():
    observer = observed(HistogramObserver(), torch.randn(100, generator=torch.Generator().manual_seed(0)))
    before = copy.deepcopy(observer.state_dict())
    with pytest.raises(ValueError, match="NaN"):
        observer(torch.tensor([float("nan")]))
    assert all(torch.equal(value, before[name]) for name, value in observer.state_dict().items())


@pytest.mark.parametrize("observer", [MinMaxObserver, HistogramObserver])
def test_refuses_a_range_without_a_float32_width(observer):
    with pytest.raises(ValueError, match="too wide"):
        observed(observer(), torch.tensor([-3e38, 3e38])).calculate_qparams()


def test_refuses_to_average_values_too_far_apart_for_float32():
    observer = observed(MovingAverageMinMaxObserver(), torch.tensor([-3e38]))
    with pytest.raises(ValueError, match="too far from what it saw before"):
        observer(torch.tensor([3e38]))


def test_names_the_module_it_observes():
    observer = MinMaxObserver()
    observer.module_name = "features.0"
    with pytest.raises(RuntimeError, match=r"MinMaxObserver of 'features\.0' never saw data"):
        observer.calculate_qparams()


def test_refuses_what_is_no_tensor():
    with pytest.raises(TypeError, match="expects a tensor, got tuple"):
        MinMaxObserver()((torch.zeros(2),))


def test_refuses_another_number_of_channels():
    with pytest.raises(ValueError, match="saw 3 channels before, now 4"):
        observed(PerChannelMinMaxObserver(), torch.zeros(3, 2), torch.zeros(4, 2))


def test_forgets_on_reset():
    observer = observed(HistogramObserver(), torch.ones(4))
    observer.reset_min_max_vals()
    assert not observer.has_data
    assert observer.histogram.sum() == 0


@pytest.mark.parametrize("observer", RECORDING)
def test_records_inference_tensors_beside_others(observer):
    x = torch.randn(4, 30, generator=torch.Generator().manual_seed(0))
    expected = observed(observer(), x, 2 * x).calculate_qparams()
    mixed = observer()
    with torch.inference_mode():
        mixed(x.clone())
    mixed(2 * x)
    assert torch.equal(mixed.calculate_qparams()[0], expected[0])
