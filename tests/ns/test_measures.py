"""Measures of how far two tensors are apart."""

import math

import pytest
import torch

import torchq
from torchq.ns.fx import utils
from torchq.ns.fx.utils import compute_cosine_similarity, compute_normalized_l2_error, compute_sqnr

NAMES = ["compute_sqnr", "compute_normalized_l2_error", "compute_cosine_similarity"]


def values(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", NAMES)
def test_gives_the_number_of_torch_ao(torch_ao, name):
    from torch.ao.ns.fx import utils as theirs

    x, y = values(6, 5), values(6, 5) + 0.01 * values(6, 5, seed=1)
    # Sums of 30 squares in another order, before a root, a quotient, and a logarithm of about 100, times 20.
    torch.testing.assert_close(getattr(utils, name)(x, y), getattr(theirs, name)(x, y), rtol=30 * 2**-23, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_quantized_tensors_are_dequantized(name):
    x, measure = values(6, 5), getattr(utils, name)
    q = torchq.quantize_per_tensor(x, 0.05, 100, torchq.quint8)
    assert torch.equal(measure(x, q), measure(x, q.dequantize()))
    assert torch.equal(measure(q, x), measure(q.dequantize(), x))


@pytest.mark.parametrize("name", NAMES)
def test_lists_and_tuples_give_a_list(name):
    x, y, measure = values(3, 4), values(3, 4, seed=1), getattr(utils, name)
    assert measure([x, (y, x)], (y, [x, y])) == [measure(x, y), [measure(y, x), measure(x, y)]]


def test_sqnr_of_equal_tensors_is_infinite():
    assert compute_sqnr(values(3), values(3)) == math.inf


def test_sqnr_falls_by_six_decibels_with_twice_the_noise():
    x, noise = values(100), values(100, seed=1)
    difference = compute_sqnr(x, x + 0.25 * noise) - compute_sqnr(x, x + 0.5 * noise)
    assert difference.item() == pytest.approx(20 * math.log10(2), abs=1e-3)  # noise of a quarter has 22 bits left


def test_normalized_error_is_relative():
    assert compute_normalized_l2_error(torch.tensor([3.0, 4.0]), torch.tensor([3.0, 9.0])) == 1


def test_cosine_does_not_see_length():
    # A quotient of sums of two squares and a root: four roundings.
    assert compute_cosine_similarity(values(3), 5 * values(3)).item() == pytest.approx(1, abs=4 * 2**-23)


def test_shapes_may_differ_where_the_number_of_elements_does_not():
    assert compute_sqnr(values(2, 3), values(2, 3).view(1, 2, 3)) == math.inf


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (values(2, 3), values(3), ValueError, r"tensors of the same size, got \(2, 3\) and \(3,\)"),
        ([values(2)], [values(2), values(2)], ValueError, "as many tensors in x as in y, got 1 and 2"),
        (torch.ones(2, dtype=torch.int8), values(2), TypeError, r"got torch.int8 as x"),
        (values(2), None, TypeError, r"got NoneType as y"),
        ([values(2)], values(2), TypeError, r"got list as x"),
    ],
    ids=["size", "count", "integers", "none", "list-and-tensor"],
)
def test_what_cannot_be_compared_is_refused(name, x, y, error, message):
    with pytest.raises(error, match=f"{name} takes.*{message}"):
        getattr(utils, name)(x, y)
