"""Ranges and parameters chosen from values are those that torch chooses."""

import math

import pytest
import torch

import torchq

needs = pytest.mark.skipif(not hasattr(torch, "choose_qparams_optimized"), reason="this torch does not choose them")


@needs
@pytest.mark.parametrize("bit_width", [2, 4, 8])
@pytest.mark.parametrize("n_bins", [50, 200])
def test_optimized_range_is_torchs(n_bins, bit_width):
    source = torch.Generator().manual_seed(0)
    for size in (1, 7, 64, 200):
        for magnitude in (0.1, 1.0, 10.0):
            row = magnitude * torch.randn(size, generator=source)
            theirs = torch.choose_qparams_optimized(row, size, n_bins, 0.16, bit_width)
            mine = torchq.choose_qparams_optimized(row, size, n_bins, 0.16, bit_width)
            assert [bound.tolist() for bound in mine] == [bound.tolist() for bound in theirs]


@needs
def test_optimized_range_is_of_the_first_values_only():
    row = torch.tensor([1.0, -2.0, 0.5, 100.0])
    theirs = torch.choose_qparams_optimized(row, 3, 200, 0.16, 4)
    assert [bound.tolist() for bound in torchq.choose_qparams_optimized(row, 3, 200, 0.16, 4)] == [
        bound.tolist() for bound in theirs
    ]


def test_a_range_below_float32s_resolution_ends_the_search():
    row = torch.tensor([1.0, 1.0000005])
    high, low = torchq.choose_qparams_optimized(row, 2, 200, 0.16, 4)
    assert (low.item(), high.item()) == (row[0].item(), row[1].item())


ROW = torch.randn(8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((ROW.double(), 8, 200, 0.16, 4), TypeError, r"input must be float32, got torch\.float64"),
        ((ROW, 9, 200, 0.16, 4), ValueError, r"numel must lie in \[1, 8\], got 9"),
        ((ROW, 0, 200, 0.16, 4), ValueError, r"numel must lie in \[1, 8\], got 0"),
        ((ROW, 8, 0, 0.16, 4), ValueError, r"n_bins must lie in \[1, inf\], got 0"),
        ((ROW, 8, 200, 1.5, 4), ValueError, r"ratio must lie in \[0, 1\], got 1\.5"),
        ((ROW, 8, 200, 0.16, 9), ValueError, r"bit_width must lie in \[1, 8\], got 9"),
        ((ROW * math.nan, 8, 200, 0.16, 4), ValueError, "input must be finite, got values from nan to nan"),
    ],
    ids=["dtype", "too-many", "none", "bins", "ratio", "bits", "nan"],
)
def test_what_is_out_of_range_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        torchq.choose_qparams_optimized(*arguments)


@pytest.mark.skipif(not hasattr(torch, "_choose_qparams_per_tensor"), reason="this torch does not choose them")
@pytest.mark.parametrize("reduce_range", [False, True])
def test_parameters_of_a_range_are_torchs(reduce_range):
    source = torch.Generator().manual_seed(0)
    for exponents in torch.randint(-45, 3, (300, 2), generator=source).tolist():
        low, high = (sign * 10.0**exponent for sign, exponent in zip((-1, 1), exponents, strict=True))
        for bounds in ((low, high), (0.0, high), (low, 0.0), (high, high)):
            x = torch.tensor(bounds)
            assert torchq._choose_qparams_per_tensor(x, reduce_range) == torch._choose_qparams_per_tensor(
                x, reduce_range
            )
