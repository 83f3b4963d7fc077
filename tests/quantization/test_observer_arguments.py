import re

import pytest
import torch

import torchq
from quantization.observing import observed
from torchq.quantization import (
    HistogramObserver,
    MinMaxObserver,
    MovingAverageMinMaxObserver,
    MovingAveragePerChannelMinMaxObserver,
    ObserverBase,
    PerChannelMinMaxObserver,
    UniformQuantizationObserverBase,
    default_weight_observer,
)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"quant_min": 0}, "both quant_min and quant_max"),
        ({"quant_min": -1, "quant_max": 100}, r"lie in \[0, 255\], got \[-1, 100\]"),
        ({"quant_min": 0, "quant_max": 0}, r"enclose 0 and differ, got \[0, 0\]"),
        ({"quant_min": 1, "quant_max": 9}, r"enclose 0 and differ, got \[1, 9\]"),
        ({"dtype": torchq.quint4x2, "qscheme": torchq.per_tensor_symmetric}, "no symmetric scheme for torchq.quint4x2"),
        ({"qscheme": torchq.per_channel_affine}, "supports torchq.per_tensor_affine, torchq.per_tensor_symmetric"),
        ({"qscheme": torchq.per_tensor_symmetric, "reduce_range": True}, "symmetric torchq.quint8"),
        ({"eps": 0}, "eps must lie in .*, got 0"),
        ({"eps": 1e-45}, "eps must lie in .*, got 1e-45"),
    ],
    ids=[
        "one-end",
        "outside",
        "one-value",
        "no-zero",
        "symmetric-4-bit",
        "scheme",
        "reduced-symmetric",
        "zero-eps",
        "small-eps",
    ],
)
def test_refuses_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        MinMaxObserver(**arguments)


def test_refuses_float_qparams_whose_smallest_integer_is_not_0():
    with pytest.raises(ValueError, match=r"quant_min must be 0, got -128 of torchq\.qint8"):
        PerChannelMinMaxObserver(dtype=torchq.qint8, qscheme=torchq.per_channel_affine_float_qparams)


@pytest.mark.parametrize(
    "observer", [PerChannelMinMaxObserver, MovingAveragePerChannelMinMaxObserver, HistogramObserver]
)
def test_refuses_to_be_dynamic(observer):
    with pytest.raises(ValueError, match=r"use PlaceholderObserver\(is_dynamic=True\)"):
        observer(is_dynamic=True)


def test_moving_average_is_dynamic_only_without_memory():
    assert MovingAverageMinMaxObserver(averaging_constant=1, is_dynamic=True).is_dynamic
    with pytest.raises(ValueError, match=r"averaging_constant=1 only, .* got 0\.01"):
        MovingAverageMinMaxObserver(is_dynamic=True)


def test_refuses_a_histogram_without_bins():
    with pytest.raises(ValueError, match="bins must be 1 or more, got 0"):
        HistogramObserver(bins=0)


@pytest.mark.parametrize("constant", [5.0, -0.1, float("nan")], ids=str)
def test_refuses_an_averaging_constant_that_is_no_weight(constant):
    with pytest.raises(ValueError, match=rf"averaging_constant must lie in \[0, 1\], got {constant}"):
        MovingAverageMinMaxObserver(averaging_constant=constant)


def test_refuses_an_unknown_dtype():
    with pytest.raises(TypeError, match=r"got torch\.float16; observers also take torch\.uint8"):
        MinMaxObserver(dtype=torch.float16)


@pytest.mark.parametrize(
    ("dtype", "quant_min", "quant_max"),
    [
        (torch.uint8, 0, 255),
        (torch.int8, -128, 127),
        (torch.uint16, 0, 65535),
        (torch.int16, -32768, 32767),
        (torch.int32, -(2**31), 2**31 - 1),
        (torchq.quint4x2, 0, 15),
    ],
    ids=str,
)
def test_range_is_that_of_the_dtype(dtype, quant_min, quant_max):
    observer = MinMaxObserver(dtype=dtype)
    assert (observer.dtype, observer.quant_min, observer.quant_max) == (dtype, quant_min, quant_max)


@pytest.mark.parametrize("dtype", [torchq.quint4x2, torchq.qint32, torch.int16], ids=str)
def test_reduce_range_leaves_other_ranges_than_those_of_8_bits(dtype):
    whole, reduced = MinMaxObserver(dtype=dtype), MinMaxObserver(dtype=dtype, reduce_range=True)
    assert (reduced.quant_min, reduced.quant_max) == (whole.quant_min, whole.quant_max)


def test_zero_point_of_32_bits_does_not_overflow():
    observer = MinMaxObserver(dtype=torchq.qint32)
    assert observed(observer, torch.tensor([-4096.0])).calculate_qparams()[1].tolist() == [2**31 - 1]


@pytest.mark.skipif(not hasattr(torch, "qint8"), reason="this torch has no quantized dtypes")
def test_takes_the_dtypes_and_schemes_of_torch():
    observer = MinMaxObserver(dtype=torch.qint8, qscheme=torch.per_tensor_symmetric)
    assert (observer.dtype, observer.qscheme) == (torchq.qint8, torchq.per_tensor_symmetric)


def test_factory_kwargs_place_the_buffers():
    observer = observed(MovingAverageMinMaxObserver(factory_kwargs={"dtype": torch.float64}), torch.tensor([0.1]))
    assert [buffer.dtype for buffer in observer.buffers()] == [torch.float64] * 3


def test_base_keeps_torch_dtypes_as_torchq_ones():
    class Mine(ObserverBase):
        def forward(self, x):
            return x

        def calculate_qparams(self):
            return torch.tensor([1.0]), torch.tensor([0])

    assert Mine(torch.float16).dtype is torch.float16
    if hasattr(torch, "quint8"):
        assert Mine(torch.quint8).dtype is torchq.quint8


def test_factory_replaces_fixed_arguments():
    observer = default_weight_observer.with_args(eps=0.5)(dtype=torchq.quint8)
    assert (observer.dtype, observer.qscheme, observer.eps.item()) == (torchq.quint8, torchq.per_tensor_symmetric, 0.5)


def test_factory_calls_callable_arguments_for_each_observer():
    bins = iter([8, 16])
    factory = HistogramObserver.with_callable_args(bins=lambda: next(bins))
    assert [factory().bins, factory().bins, factory(bins=4).bins] == [8, 16, 4]


@pytest.mark.parametrize(("axis", "size"), [(0, ()), (2, (3, 4)), (-3, (3, 4))])
def test_channels_that_a_tensor_has_not_are_an_error(axis, size):
    with pytest.raises(ValueError, match=rf"has ch_axis {axis}, got a tensor of shape \({re.escape(str(size)[1:])}"):
        PerChannelMinMaxObserver(ch_axis=axis)(torch.ones(size))


def test_observer_of_ones_own_chooses_qparams_as_torchqs_do():
    class Mine(UniformQuantizationObserverBase):
        def forward(self, x):
            self.min_val, self.max_val = x.min(), x.max()
            return x

        def calculate_qparams(self):
            return self._calculate_qparams(self.min_val, self.max_val)

    x = torch.linspace(-1, 2, 7)
    mine, expected = Mine(dtype=torchq.quint8), MinMaxObserver()
    mine(x), expected(x)
    assert mine.calculate_qparams() == expected.calculate_qparams()
