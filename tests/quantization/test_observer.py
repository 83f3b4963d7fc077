import copy

import pytest
import torch

import torchq
from torchq.quantization import (
    HistogramObserver,
    MinMaxObserver,
    MovingAverageMinMaxObserver,
    PerChannelMinMaxObserver,
    PlaceholderObserver,
    default_weight_observer,
)

RECORDING = [MinMaxObserver, MovingAverageMinMaxObserver, PerChannelMinMaxObserver, HistogramObserver]


def observed(observer, *batches):
    for batch in batches:
        observer(batch)
    return observer


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


def test_moving_average_moves_by_its_constant():
    observer = observed(MovingAverageMinMaxObserver(0.5), torch.tensor([0.0, 1.0]), torch.tensor([0.0, 2.0]))
    assert observer.max_val.item() == 1.5


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"quant_min": 0}, "both quant_min and quant_max"),
        ({"quant_min": -1, "quant_max": 100}, r"lie in \[0, 255\], got \[-1, 100\]"),
        ({"quant_min": 0, "quant_max": 0}, "enclose 0"),
        ({"qscheme": torchq.per_channel_affine}, "supports torchq.per_tensor_affine, torchq.per_tensor_symmetric"),
        ({"qscheme": torchq.per_tensor_symmetric, "reduce_range": True}, "symmetric quint8"),
        ({"is_dynamic": True}, "PlaceholderObserver"),
        ({"eps": 0}, "eps must lie in .*, got 0"),
        ({"eps": 1e-45}, "eps must lie in .*, got 1e-45"),
    ],
    ids=["one-end", "outside-dtype", "one-value", "scheme", "reduced-symmetric", "dynamic", "zero-eps", "small-eps"],
)
def test_refuses_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        MinMaxObserver(**arguments)


@pytest.mark.parametrize("constant", [5.0, -0.1, float("nan")], ids=str)
def test_refuses_an_averaging_constant_that_is_no_weight(constant):
    with pytest.raises(ValueError, match=rf"averaging_constant must lie in \[0, 1\], got {constant}"):
        MovingAverageMinMaxObserver(averaging_constant=constant)


def test_refuses_an_unknown_dtype():
    with pytest.raises(TypeError, match=r"torch\.float16"):
        MinMaxObserver(dtype=torch.float16)


@pytest.mark.skipif(not hasattr(torch, "qint8"), reason="this torch has no quantized dtypes")
def test_takes_the_dtypes_and_schemes_of_torch():
    observer = MinMaxObserver(dtype=torch.qint8, qscheme=torch.per_tensor_symmetric)
    assert (observer.dtype, observer.qscheme) == (torchq.qint8, torchq.per_tensor_symmetric)


def test_forgets_on_reset():
    observer = observed(HistogramObserver(), torch.ones(4))
    observer.reset_min_max_vals()
    assert not observer.has_data
    assert observer.histogram.sum() == 0


@pytest.mark.parametrize("observer", RECORDING)
def test_state_dict_round_trip_keeps_the_qparams(observer):
    saved = observed(observer(), torch.randn(4, 30, generator=torch.Generator().manual_seed(0)))
    loaded = observer()
    loaded.load_state_dict(saved.state_dict())
    assert torch.equal(loaded.calculate_qparams()[0], saved.calculate_qparams()[0])


@pytest.mark.parametrize("observer", RECORDING)
def test_records_inference_tensors_beside_others(observer):
    x = torch.randn(4, 30, generator=torch.Generator().manual_seed(0))
    expected = observed(observer(), x, 2 * x).calculate_qparams()
    mixed = observer()
    with torch.inference_mode():
        mixed(x.clone())
    mixed(2 * x)
    assert torch.equal(mixed.calculate_qparams()[0], expected[0])


def test_placeholder_has_no_qparams():
    with pytest.raises(RuntimeError, match="records nothing"):
        PlaceholderObserver().calculate_qparams()


def test_factory_replaces_fixed_arguments():
    observer = default_weight_observer.with_args(eps=0.5)(dtype=torchq.quint8)
    assert (observer.dtype, observer.qscheme, observer.eps.item()) == (torchq.quint8, torchq.per_tensor_symmetric, 0.5)


def test_factory_calls_callable_arguments_for_each_observer():
    bins = iter([8, 16])
    factory = HistogramObserver.with_callable_args(bins=lambda: next(bins))
    assert [factory().bins, factory().bins, factory(bins=4).bins] == [8, 16, 4]
