"""The pools refuse windows that do not fit, and name them."""

import pytest
import torch

from ops.refusals import check_refusal
from torchq import ops

Q = torch.ones(2, 3, 6, 5, dtype=torch.uint8)
WINDOW = {"kernel_size": [3, 2], "stride": [2, 1], "padding": [1, 0]}
CALLS = {
    "max": (ops.max_pool, {"input": Q} | WINDOW | {"dilation": [1, 1], "ceil_mode": False}),
    "avg": (
        ops.avg_pool,
        {"input": Q, "zero_point": 3}
        | WINDOW
        | {"ceil_mode": False, "count_include_pad": True, "divisor_override": None},
    ),
    "adaptive-avg": (ops.adaptive_avg_pool, {"input": Q, "zero_point": 3, "output_size": [2, 2]}),
}
WINDOWED = {name: call for name, call in CALLS.items() if name != "adaptive-avg"}
AVERAGING = {name: call for name, call in CALLS.items() if name != "max"}

INPUT_CASES = {
    "float": (Q.float(), "input must be uint8 or int8, got float32"),
    "int32": (Q.int(), "input must be uint8 or int8, got int32"),
    "two-dimensions": (Q[0, 0], "input must be [N, C, *spatial] with 1 to 3 spatial dimensions, got 2 dimensions"),
    "six-dimensions": (
        Q[None, None],
        "input must be [N, C, *spatial] with 1 to 3 spatial dimensions, got 6 dimensions",
    ),
    "no-batch": (Q[0], "must hold 1 numbers, one per spatial dimension, got 2"),
    "no-rows": (Q[:, :, :0], "input must not be empty in a spatial dimension, got 0"),
}
WINDOW_CASES = {
    "no-kernel": ({"kernel_size": [0, 2]}, "kernel_size, stride and dilation must be at least 1, got 0, 2 and 1"),
    "no-stride": ({"stride": [2, 0]}, "kernel_size, stride and dilation must be at least 1, got 2, 0 and 1"),
    "three-sizes": ({"kernel_size": [3, 2, 2]}, "kernel_size must hold 2 numbers, one per spatial dimension, got 3"),
    "three-strides": ({"stride": [3, 2, 2]}, "stride must hold 2 numbers, one per spatial dimension, got 3"),
    "three-paddings": ({"padding": [1, 0, 0]}, "padding must hold 2 numbers, one per spatial dimension, got 3"),
    "negative-padding": ({"padding": [-1, 0]}, "padding must lie in [0, kernel_size / 2], got -1 for a kernel of 3"),
    "padding-beyond-half": ({"padding": [2, 0]}, "padding must lie in [0, kernel_size / 2], got 2 for a kernel of 3"),
    "kernel-beyond-the-image": (
        {"kernel_size": [9, 2]},
        "a kernel of 9 with its dilation does not fit an input of 6 padded by 1",
    ),
}


@pytest.mark.parametrize(("function", "good"), CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(("q", "message"), INPUT_CASES.values(), ids=INPUT_CASES)
def test_refuses_input(function, good, q, message):
    check_refusal(function, good, {"input": q}, message)


@pytest.mark.parametrize(("function", "good"), WINDOWED.values(), ids=WINDOWED)
@pytest.mark.parametrize(("changed", "message"), WINDOW_CASES.values(), ids=WINDOW_CASES)
def test_refuses_window(function, good, changed, message):
    check_refusal(function, good, changed, message)


def test_average_refuses_a_window_whose_sum_could_leave_int32():
    image = torch.zeros(1, 1, 4096, 2100, dtype=torch.uint8)
    with pytest.raises(RuntimeError, match="a window must hold at most 8421504 pixels, got 8601600"):
        ops.adaptive_avg_pool(image, 0, [1, 1])
    with pytest.raises(RuntimeError, match="a window must hold at most 8421504 pixels, got 8601600"):
        ops.avg_pool(image, 0, [4096, 2100], [1, 1], [0, 0])


def test_largest_window_is_exact():
    image = torch.full((1, 1, 4096, 2056), 255, dtype=torch.uint8)  # 8421376 pixels
    assert ops.adaptive_avg_pool(image, 0, [1, 1]).item() == 255


@pytest.mark.parametrize("name", ["kernel_size", "stride", "dilation"])
def test_refuses_an_extent_beyond_int32(name):
    function, good = CALLS["max"]
    check_refusal(function, good, {name: [2**62, 2]}, f"{name} must be at most 2147483647, got {2**62}")


def test_refuses_a_result_too_large_to_allocate():
    with pytest.raises(RuntimeError, match="cannot be allocated"):
        ops.adaptive_avg_pool(Q, 3, [2**31 - 1, 2**31 - 1])


def test_max_refuses_dilation_that_spreads_the_kernel_beyond_the_image():
    function, good = CALLS["max"]
    message = "a kernel of 9 with its dilation does not fit an input of 6 padded by 1"
    check_refusal(function, good, {"dilation": [4, 1]}, message)
    check_refusal(function, good, {"dilation": [1, 0]}, "kernel_size, stride and dilation must be at least 1")
    check_refusal(
        function, good, {"dilation": [1, 1, 1]}, "dilation must hold 2 numbers, one per spatial dimension, got 3"
    )


@pytest.mark.parametrize(("function", "good"), AVERAGING.values(), ids=AVERAGING)
def test_averages_refuse_zero_points_outside_the_dtype(function, good):
    check_refusal(function, good, {"zero_point": 256}, "zero_point must lie in [0, 255], got 256")
    signed = good | {"input": Q.to(torch.int8)}
    check_refusal(function, signed, {"zero_point": 128}, "zero_point must lie in [-128, 127], got 128")


@pytest.mark.parametrize("divisor", [0, -4], ids=str)
def test_average_refuses_divisors_that_are_not_positive(divisor):
    function, good = CALLS["avg"]
    check_refusal(function, good, {"divisor_override": divisor}, f"divisor_override must be above 0, got {divisor}")


@pytest.mark.parametrize("size", [[0, 2], [2, -1]], ids=str)
def test_adaptive_average_refuses_empty_outputs(size):
    function, good = CALLS["adaptive-avg"]
    check_refusal(function, good, {"output_size": size}, f"output_size must be at least 1, got {min(size)}")


def test_adaptive_average_refuses_three_sizes():
    function, good = CALLS["adaptive-avg"]
    check_refusal(
        function, good, {"output_size": [1, 2, 3]}, "output_size must hold 2 numbers, one per spatial dimension, got 3"
    )


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8], ids=str)
def test_maximum_of_padding_alone_is_the_lowest_integer(dtype, cpu_capability):
    """A dilated window can miss a small image altogether."""
    q = torch.full((1, 17, 2, 2), 100, dtype=dtype)
    y = ops.max_pool(q, [2, 2], [1, 1], [1, 1], [3, 3])
    assert torch.equal(y, torch.full((1, 17, 1, 1), torch.iinfo(dtype).min, dtype=dtype))
