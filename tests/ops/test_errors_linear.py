"""The linear operators refuse what they cannot compute exactly, and name it."""

import math

import pytest
import torch

from ops.refusals import BAD_SCALES, check_refusal, on_meta
from torchq import ops

PACKED = ops.pack_weight(torch.ones(8, 16, dtype=torch.int8))
CONVOLUTION = ops.pack_weight(torch.ones(8, 16, 1, 2, dtype=torch.int8))
GROUPED = ops.pack_weight(torch.ones(8, 16, dtype=torch.int8), groups=2)
X, SCALES = torch.ones(3, 16, dtype=torch.uint8), torch.ones(8)
WEIGHT = {"packed_weight": PACKED, "weight_scales": SCALES, "bias": torch.zeros(8)}
INPUT = {"input": X, "input_scale": 0.1, "input_zero_point": 3}
OUTPUT = {"output_scale": 0.1, "output_zero_point": 3, "output_dtype": torch.uint8}
CALLS = {
    "linear": (ops.linear, INPUT | WEIGHT | OUTPUT),
    "linear-dequantize": (ops.linear_dequantize, INPUT | WEIGHT),
    "linear-dynamic": (
        ops.linear_dynamic,
        {"input": X.float()} | WEIGHT | {"per_token": True, "reduce_range": False},
    ),
}
STATIC = {name: call for name, call in CALLS.items() if name != "linear-dynamic"}

WEIGHT_CASES = {
    "too-few-scales": (
        {"weight_scales": torch.ones(7)},
        "weight_scales must be contiguous of shape [8], got 7 elements",
    ),
    "scales-of-two-dimensions": ({"weight_scales": torch.ones(8, 1)}, "weight_scales must be contiguous of shape [8]"),
    "scale-not-repeated": ({"weight_scales": torch.ones(1)}, "got 1 elements"),
    "scales-with-gaps": ({"weight_scales": torch.ones(8, 2)[:, 0]}, "weight_scales must be contiguous"),
    "double-scales": ({"weight_scales": SCALES.double()}, "weight_scales must be float32, got float64"),
    "zero-scale": ({"weight_scales": SCALES * 0}, "each of weight_scales"),
    "negative-scale": ({"weight_scales": -SCALES}, "got -1"),
    "nan-scale": ({"weight_scales": SCALES * math.nan}, "got nan"),
    "infinite-scale": ({"weight_scales": SCALES / 0}, "got inf"),
    "too-few-biases": ({"bias": torch.zeros(7)}, "bias must be contiguous of shape [8], got 7 elements"),
    "bias-of-two-dimensions": ({"bias": torch.zeros(8, 1)}, "bias must be contiguous of shape [8]"),
    "bias-with-gaps": ({"bias": torch.zeros(8, 2)[:, 0]}, "bias must be contiguous"),
    "double-bias": ({"bias": SCALES.double()}, "bias must be float32, got float64"),
    "int32-bias": ({"bias": SCALES.int()}, "bias must be float32, got int32"),
    "matrix-for-packed": ({"packed_weight": PACKED[None]}, "packed_weight must be the contiguous 1-d tensor"),
    "plain-weight": ({"packed_weight": torch.ones(8, 16, dtype=torch.int8)}, "packed_weight must be uint8, got int8"),
    "convolution": ({"packed_weight": CONVOLUTION}, "packed_weight holds a convolution's weight"),
    "grouped": ({"packed_weight": GROUPED}, "packed_weight holds a convolution's weight"),
    "packed-elsewhere": ({"packed_weight": on_meta(PACKED)}, "one device"),
    "scales-elsewhere": ({"weight_scales": on_meta(SCALES)}, "one device"),
    "bias-elsewhere": ({"bias": on_meta(SCALES)}, "one device"),
}


@pytest.mark.parametrize(("function", "good"), CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(("changed", "message"), WEIGHT_CASES.values(), ids=WEIGHT_CASES)
def test_refuses_weight(function, good, changed, message):
    check_refusal(function, good, changed, message)


@pytest.mark.parametrize(("function", "good"), CALLS.values(), ids=CALLS)
def test_refuses_rows_of_another_length(function, good):
    message = "input's last dimension must be 16 as the weight's, got 15"
    check_refusal(function, good, {"input": good["input"][:, :15]}, message)


@pytest.mark.parametrize(("function", "good"), CALLS.values(), ids=CALLS)
def test_refuses_a_scalar(function, good):
    check_refusal(function, good, {"input": good["input"][0, 0]}, "input must have at least one dimension")


@pytest.mark.parametrize(("function", "good"), CALLS.values(), ids=CALLS)
def test_refuses_an_input_elsewhere(function, good):
    check_refusal(function, good, {"input": on_meta(good["input"])}, "one device")


@pytest.mark.parametrize(("function", "good"), STATIC.values(), ids=STATIC)
@pytest.mark.parametrize("dtype", [torch.float32, torch.int32, torch.bool], ids=str)
def test_refuses_inputs_that_are_no_bytes(function, good, dtype):
    message = f"input must be uint8 or int8, got {str(dtype)[6:]}"
    check_refusal(function, good, {"input": X.to(dtype)}, message)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float64, torch.float16], ids=str)
def test_dynamic_takes_float32_only(dtype):
    function, good = CALLS["linear-dynamic"]
    check_refusal(function, good, {"input": X.to(dtype)}, f"input must be float32, got {str(dtype)[6:]}")


@pytest.mark.parametrize(("function", "good"), STATIC.values(), ids=STATIC)
@pytest.mark.parametrize(("scale", "quoted"), BAD_SCALES.values(), ids=BAD_SCALES)
def test_refuses_input_scale(function, good, scale, quoted):
    check_refusal(function, good, {"input_scale": scale}, "input_scale must be a finite float32 above 0")
    check_refusal(function, good, {"input_scale": scale}, quoted)


@pytest.mark.parametrize(("function", "good"), STATIC.values(), ids=STATIC)
def test_refuses_input_zero_points_outside_the_dtype(function, good):
    check_refusal(function, good, {"input_zero_point": 256}, "input_zero_point must lie in [0, 255], got 256")
    signed = good | {"input": X.to(torch.int8)}
    check_refusal(function, signed, {"input_zero_point": 128}, "input_zero_point must lie in [-128, 127], got 128")


@pytest.mark.parametrize(("scale", "quoted"), BAD_SCALES.values(), ids=BAD_SCALES)
def test_refuses_output_scale(scale, quoted):
    function, good = CALLS["linear"]
    check_refusal(function, good, {"output_scale": scale}, "output_scale must be a finite float32 above 0")
    check_refusal(function, good, {"output_scale": scale}, quoted)


def test_refuses_output_zero_points_outside_the_output_dtype():
    function, good = CALLS["linear"]
    check_refusal(function, good, {"output_zero_point": -1}, "output_zero_point must lie in [0, 255], got -1")
    signed = good | {"output_dtype": torch.int8}
    check_refusal(function, signed, {"output_zero_point": 200}, "output_zero_point must lie in [-128, 127], got 200")


@pytest.mark.parametrize("dtype", [torch.int32, torch.float32, torch.int64], ids=str)
def test_refuses_output_dtypes_that_are_no_bytes(dtype):
    function, good = CALLS["linear"]
    check_refusal(function, good, {"output_dtype": dtype}, f"output_dtype must be uint8 or int8, got {str(dtype)[6:]}")
