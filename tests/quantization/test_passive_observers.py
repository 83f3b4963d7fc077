import copy

import pytest
import torch

import torchq
from torchq.quantization import (
    FixedQParamsObserver,
    NoopObserver,
    PlaceholderObserver,
    RecordingObserver,
    ReuseInputObserver,
    default_affine_fixed_qparams_observer,
    default_debug_observer,
    default_fixed_qparams_range_0to1_observer,
    default_fixed_qparams_range_neg1to1_observer,
    default_reuse_input_observer,
    default_symmetric_fixed_qparams_observer,
)

RANGELESS = [PlaceholderObserver, NoopObserver, ReuseInputObserver, RecordingObserver]


@pytest.mark.parametrize("observer", [*RANGELESS, default_fixed_qparams_range_0to1_observer])
def test_returns_its_input(observer):
    x = torch.tensor([float("nan"), 1.0])
    assert observer()(x) is x


@pytest.mark.parametrize("observer", RANGELESS)
def test_has_no_qparams(observer):
    watching = observer()
    watching.module_name = "conv"
    watching(torch.ones(2))
    with pytest.raises(RuntimeError, match=f"{observer.__name__} of 'conv' records no range"):
        watching.calculate_qparams()


def test_recording_observer_keeps_copies_in_order():
    observer, x = default_debug_observer(), torch.tensor([1.0, float("nan")], requires_grad=True)
    observer(x), observer(2 * x)
    with torch.no_grad():
        x.zero_()
    first, second = observer.get_tensor_value()
    assert torch.equal(first.nan_to_num(7), torch.tensor([1.0, 7.0]))
    assert torch.equal(second.nan_to_num(7), torch.tensor([2.0, 7.0]))
    assert not second.requires_grad


def test_recording_observer_can_be_copied_with_what_it_kept():
    observer = RecordingObserver()
    observer(torch.ones(2, requires_grad=True) * 2)
    assert torch.equal(copy.deepcopy(observer).get_tensor_value()[0], torch.full((2,), 2.0))


def test_recording_observer_keeps_quantized_tensors():
    observer, q = RecordingObserver(), torchq.quantize_per_tensor(torch.ones(2), 0.5, 3, torchq.quint8)
    observer(q)
    assert observer.get_tensor_value()[0].q_zero_point() == 3


def test_placeholder_means_dynamic_by_its_compute_dtype():
    assert PlaceholderObserver(compute_dtype=torchq.quint8).is_dynamic
    assert not PlaceholderObserver().is_dynamic


def test_placeholder_knows_a_scheme_and_eps():
    observer = PlaceholderObserver(qscheme=torchq.per_channel_symmetric, eps=0.5)
    assert (observer.qscheme, observer.eps) == (torchq.per_channel_symmetric, 0.5)
    assert PlaceholderObserver().qscheme is torchq.per_tensor_affine


def test_placeholder_shows_its_dtype():
    assert repr(PlaceholderObserver(torch.float16)) == "PlaceholderObserver(dtype=torch.float16, is_dynamic=False)"


@pytest.mark.parametrize(
    ("factory", "scale", "zero_point"),
    [
        (default_fixed_qparams_range_0to1_observer, 1 / 256, 0),
        (default_fixed_qparams_range_neg1to1_observer, 2 / 256, 128),
        (default_affine_fixed_qparams_observer, 1 / 256, 0),
        (default_symmetric_fixed_qparams_observer, 2 / 256, 128),
    ],
    ids=["0-to-1", "-1-to-1", "affine", "symmetric"],
)
def test_fixed_qparams_are_those_given_whatever_it_sees(factory, scale, zero_point):
    observer = factory()
    observer(torch.tensor([1e9]))
    assert torch.equal(observer.calculate_qparams()[0], torch.tensor([scale]))
    assert torch.equal(observer.calculate_qparams()[1], torch.tensor([zero_point]))


def test_fixed_qparams_are_state():
    loaded = FixedQParamsObserver(1.0, 0)
    loaded.load_state_dict(FixedQParamsObserver(0.25, 7).state_dict())
    assert (loaded.scale.tolist(), loaded.zero_point.tolist()) == ([0.25], [7])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": 0.0}, r"scale must be finite and > 0 in float32, got 0\.0"),
        ({"scale": 1e-46}, "got 1e-46"),
        ({"scale": float("inf")}, "got inf"),
        ({"scale": float("nan")}, "got nan"),
        ({"zero_point": 256}, r"zero_point must lie in \[0, 255\], got 256"),
        ({"dtype": torchq.qint8}, r"torchq\.qint8 must lie in \[-128, 127\], got \[0, 255\]"),
        ({"qscheme": torchq.per_channel_affine}, "cannot be torchq.per_channel_affine"),
        ({"is_dynamic": True}, "is_dynamic must be False"),
    ],
    ids=["zero", "underflow", "inf", "nan", "zero-point", "range", "per-channel", "dynamic"],
)
def test_fixed_qparams_refuse_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        FixedQParamsObserver(**{"scale": 1.0, "zero_point": 0, **arguments})


def test_reuse_input_is_the_default_for_what_keeps_qparams():
    assert isinstance(default_reuse_input_observer(), ReuseInputObserver)


def test_noop_carries_a_dtype_and_an_operator():
    observer = NoopObserver(dtype=torch.float32, custom_op_name="lstm")
    assert (observer.dtype, observer.custom_op) == (torch.float32, "lstm")
