"""quantize and dequantize refuse what they cannot do, and name it."""

import math

import pytest
import torch

from ops.refusals import BAD_SCALES, check_refusal, on_meta
from torchq import ops

X = torch.ones(3, 4)
Q = torch.ones(3, 4, dtype=torch.uint8)
SCALES, ZERO_POINTS = torch.ones(3), torch.zeros(3, dtype=torch.int64)
QUANTIZE = {"input": X, "scale": 0.1, "zero_point": 3, "dtype": torch.uint8}
DEQUANTIZE = {"input": Q, "scale": 0.1, "zero_point": 3}
PER_CHANNEL = {"input": X, "scales": SCALES, "zero_points": ZERO_POINTS, "axis": 0, "dtype": torch.uint8}
PER_CHANNEL_BACK = {"input": Q, "scales": SCALES, "zero_points": ZERO_POINTS, "axis": 0}


@pytest.mark.parametrize("scale", [0.0, -0.5, math.nan, math.inf, -math.inf, 1e39, 1e-40, 1e-60], ids=str)
def test_quantize_refuses_scales_that_divide_by_nothing(scale):
    check_refusal(ops.quantize_per_tensor, QUANTIZE, {"scale": scale}, f"got {scale}", ValueError)


@pytest.mark.parametrize(("scale", "quoted"), BAD_SCALES.values(), ids=BAD_SCALES)
def test_dequantize_refuses_such_scales_too(scale, quoted):
    check_refusal(ops.dequantize_per_tensor, DEQUANTIZE, {"scale": scale}, quoted)


@pytest.mark.parametrize(("scale", "quoted"), BAD_SCALES.values(), ids=BAD_SCALES)
def test_quantize_operator_checks_scales_without_its_wrapper(scale, quoted):
    check_refusal(torch.ops.torchq.quantize_per_tensor, QUANTIZE, {"scale": scale}, quoted)


@pytest.mark.parametrize(
    ("dtype", "zero_point", "allowed"),
    [
        (torch.uint8, -1, "[0, 255]"),
        (torch.uint8, 256, "[0, 255]"),
        (torch.int8, -129, "[-128, 127]"),
        (torch.int8, 128, "[-128, 127]"),
        (torch.int32, 2**31, "[-2147483648, 2147483647]"),
        (torch.int32, -(2**31) - 1, "[-2147483648, 2147483647]"),
        (torch.uint8, 2**40, "[0, 255]"),
    ],
    ids=str,
)
def test_zero_point_has_to_be_one_of_the_integers(dtype, zero_point, allowed):
    good, changed = QUANTIZE | {"dtype": dtype}, {"zero_point": zero_point}
    check_refusal(ops.quantize_per_tensor, good, changed, f"zero_point must lie in {allowed}", ValueError)
    check_refusal(torch.ops.torchq.quantize_per_tensor, good, changed, f"{allowed}, got {zero_point}")
    good = DEQUANTIZE | {"input": Q.to(dtype)}
    check_refusal(ops.dequantize_per_tensor, good, changed, f"zero_point must lie in {allowed}, got {zero_point}")
    good, changed = PER_CHANNEL | {"dtype": dtype}, {"zero_points": torch.tensor([0, zero_point, 0])}
    message = f"each of zero_points must lie in {allowed}, got {zero_point}"
    check_refusal(ops.quantize_per_channel, good, changed, message)
    check_refusal(ops.dequantize_per_channel, PER_CHANNEL_BACK | {"input": Q.to(dtype)}, changed, message)


@pytest.mark.parametrize("dtype", [torch.int16, torch.int64, torch.float32, torch.bool], ids=str)
def test_quantizes_to_three_dtypes_only(dtype):
    check_refusal(ops.quantize_per_tensor, QUANTIZE, {"dtype": dtype}, str(dtype), TypeError)
    message = "dtype must be uint8, int8 or int32"
    check_refusal(torch.ops.torchq.quantize_per_tensor, QUANTIZE, {"dtype": dtype}, message)
    check_refusal(ops.quantize_per_channel, PER_CHANNEL, {"dtype": dtype}, message)


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.bool], ids=str)
def test_quantizes_floating_inputs_only(dtype):
    message = f"input must be float32, float64, float16 or bfloat16, got {str(dtype)[6:]}"
    check_refusal(ops.quantize_per_tensor, QUANTIZE, {"input": X.to(dtype)}, message)
    check_refusal(ops.quantize_per_channel, PER_CHANNEL, {"input": X.to(dtype)}, message)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.bool], ids=str)
def test_dequantizes_quantized_dtypes_only(dtype):
    message = f"input must be uint8, int8 or int32, got {str(dtype)[6:]}"
    check_refusal(ops.dequantize_per_tensor, DEQUANTIZE, {"input": Q.to(dtype)}, message)
    check_refusal(ops.dequantize_per_channel, PER_CHANNEL_BACK, {"input": Q.to(dtype)}, message)


CHANNEL_CASES = {
    "axis-beyond": ({"axis": 2}, "axis must lie in [-2, 1] for an input of 2 dimensions, got 2"),
    "axis-before": ({"axis": -3}, "axis must lie in [-2, 1] for an input of 2 dimensions, got -3"),
    "too-few-scales": ({"scales": torch.ones(2)}, "scales must have shape [3]"),
    "scales-of-the-other-axis": ({"axis": 1}, "scales must have shape [4], the input's size along axis, got 3"),
    "scales-of-two-dimensions": ({"scales": torch.ones(3, 1)}, "scales must have shape [3]"),
    "scale-not-repeated": ({"scales": torch.tensor(0.1)}, "scales must have shape [3]"),
    "too-many-zero-points": ({"zero_points": torch.zeros(4).long()}, "zero_points must have shape [3]"),
    "zero-scale": ({"scales": torch.tensor([1.0, 0.0, 1.0])}, "each of scales must be a finite float32 above 0"),
    "nan-scale": ({"scales": torch.tensor([1.0, math.nan, 1.0])}, "got nan"),
    "infinite-scale": ({"scales": torch.tensor([1.0, math.inf, 1.0])}, "got inf"),
    "negative-scale": ({"scales": torch.tensor([1.0, 1.0, -2.5])}, "got -2.5"),
    "double-scale-beyond-float32": ({"scales": torch.tensor([1.0, 1.0, 1e39]).double() * 1e10}, "got"),
    "scales-elsewhere": ({"scales": on_meta(SCALES)}, "one device"),
    "zero-points-elsewhere": ({"zero_points": on_meta(ZERO_POINTS)}, "one device"),
}


@pytest.mark.parametrize(("changed", "message"), CHANNEL_CASES.values(), ids=CHANNEL_CASES)
def test_channels_need_a_scale_and_a_zero_point_each(changed, message):
    check_refusal(ops.quantize_per_channel, PER_CHANNEL, changed, message)
    check_refusal(ops.dequantize_per_channel, PER_CHANNEL_BACK, changed, message)


def test_zero_points_of_channels_are_integers():
    changed = {"zero_points": torch.tensor([0.5, 0.0, 0.0])}
    check_refusal(ops.quantize_per_channel, PER_CHANNEL, changed, "torch.float32", TypeError)
    check_refusal(ops.dequantize_per_channel, PER_CHANNEL_BACK, changed, "torch.float32", TypeError)


def test_a_scalar_has_no_channels():
    with pytest.raises(RuntimeError, match="at least one dimension"):
        ops.quantize_per_channel(torch.tensor(1.0), torch.ones(1), torch.zeros(1).long(), 0, torch.uint8)


def test_operators_check_the_dtypes_of_scales_and_zero_points_without_their_wrappers():
    raw = PER_CHANNEL | {"scales": SCALES.double()}
    quantize = torch.ops.torchq.quantize_per_channel
    check_refusal(quantize, raw, {"scales": SCALES}, "scales must be float64, got float32")
    check_refusal(quantize, raw, {"zero_points": ZERO_POINTS.int()}, "zero_points must be int64, got int32")


def test_sparse_input_is_refused():
    check_refusal(ops.dequantize_per_tensor, DEQUANTIZE, {"input": Q.to_sparse()}, "Sparse", NotImplementedError)
