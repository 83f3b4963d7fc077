"""The convolutions refuse windows, shapes and weights that do not fit, and name them."""

import pytest
import torch

from ops.refusals import BAD_SCALES, check_refusal, on_meta
from torchq import ops

WEIGHT = torch.ones(8, 3, 3, 2, dtype=torch.int8)
PACKED = ops.pack_weight(WEIGHT, groups=2)
X, SCALES = torch.ones(2, 6, 5, 7, dtype=torch.uint8), torch.ones(8)
GOOD = {
    "input": X,
    "input_scale": 0.1,
    "input_zero_point": 3,
    "packed_weight": PACKED,
    "weight_scales": SCALES,
    "bias": torch.zeros(8),
    "kernel_size": [3, 2],
    "stride": [1, 1],
    "padding": [1, 0],
    "dilation": [1, 1],
    "groups": 2,
}
OUTPUT = {"output_scale": 0.1, "output_zero_point": 3, "output_dtype": torch.uint8}
CALLS = {"conv2d": (ops.conv2d, GOOD | OUTPUT), "conv2d-dequantize": (ops.conv2d_dequantize, GOOD)}

CASES = {
    "image-without-batch": ({"input": X[0]}, "input must be 4-d [N, C, H, W], got 3 dimensions"),
    "five-dimensions": ({"input": X[None]}, "input must be 4-d [N, C, H, W], got 5 dimensions"),
    "float-input": ({"input": X.float()}, "input must be uint8 or int8, got float32"),
    "too-few-channels": ({"input": X[:, :5]}, "input must have 6 channels, got 5"),
    "padding-beyond-int32": ({"padding": [2**63 - 1, 0]}, f"padding must lie in [0, 2147483647], got {2**63 - 1}"),
    "other-groups": ({"groups": 1}, "groups must be 2 as in the packed weight, got 1"),
    "other-kernel": ({"kernel_size": [2, 3]}, "kernel_size must be that of the packed weight, 3 x 2, got 2 x 3"),
    "no-kernel": ({"kernel_size": [0, 2]}, "kernel_size must lie in [1, 2147483647], got 0"),
    "three-kernel-sizes": ({"kernel_size": [3, 2, 1]}, "kernel_size must hold 2 numbers, got 3"),
    "no-stride": ({"stride": [1, 0]}, "stride must lie in [1, 2147483647], got 0"),
    "negative-stride": ({"stride": [-1, 1]}, "stride must lie in [1, 2147483647], got -1"),
    "one-of-three-strides": ({"stride": [1, 1, 1]}, "stride must hold 2 numbers, got 3"),
    "negative-padding": ({"padding": [0, -1]}, "padding must lie in [0, 2147483647], got -1"),
    "no-dilation": ({"dilation": [0, 1]}, "dilation must lie in [1, 2147483647], got 0"),
    "kernel-taller-than-the-image": (
        {"dilation": [4, 1]},
        "a kernel of 9 with its dilation does not fit an input of 5 padded by 1",
    ),
    "kernel-wider-than-the-image": (
        {"dilation": [1, 7]},
        "a kernel of 8 with its dilation does not fit an input of 7 padded by 0",
    ),
    "too-few-scales": ({"weight_scales": torch.ones(4)}, "weight_scales must be contiguous of shape [8], got 4"),
    "double-scales": ({"weight_scales": SCALES.double()}, "weight_scales must be float32, got float64"),
    "zero-scale": ({"weight_scales": SCALES * 0}, "each of weight_scales"),
    "too-few-biases": ({"bias": torch.zeros(4)}, "bias must be contiguous of shape [8], got 4 elements"),
    "double-bias": ({"bias": SCALES.double()}, "bias must be float32, got float64"),
    "plain-weight": ({"packed_weight": WEIGHT}, "packed_weight must be uint8, got int8"),
    "input-zero-point": ({"input_zero_point": 256}, "input_zero_point must lie in [0, 255], got 256"),
    "negative-input-zero-point": ({"input_zero_point": -1}, "input_zero_point must lie in [0, 255], got -1"),
    "input-elsewhere": ({"input": on_meta(X)}, "one device"),
    "packed-elsewhere": ({"packed_weight": on_meta(PACKED)}, "one device"),
    "scales-elsewhere": ({"weight_scales": on_meta(SCALES)}, "one device"),
    "bias-elsewhere": ({"bias": on_meta(SCALES)}, "one device"),
}


@pytest.mark.parametrize(("function", "good"), CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(("changed", "message"), CASES.values(), ids=CASES)
def test_refuses(function, good, changed, message):
    check_refusal(function, good, changed, message)


@pytest.mark.parametrize(("function", "good"), CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(("scale", "quoted"), BAD_SCALES.values(), ids=BAD_SCALES)
def test_refuses_input_scale(function, good, scale, quoted):
    check_refusal(function, good, {"input_scale": scale}, "input_scale must be a finite float32 above 0")
    check_refusal(function, good, {"input_scale": scale}, quoted)


@pytest.mark.parametrize(("scale", "quoted"), BAD_SCALES.values(), ids=BAD_SCALES)
def test_refuses_output_scale(scale, quoted):
    check_refusal(*CALLS["conv2d"], {"output_scale": scale}, quoted)


@pytest.mark.parametrize("dtype", [torch.int32, torch.float32], ids=str)
def test_refuses_output_dtypes_that_are_no_bytes(dtype):
    message = f"output_dtype must be uint8 or int8, got {str(dtype)[6:]}"
    check_refusal(*CALLS["conv2d"], {"output_dtype": dtype}, message)


def test_refuses_output_zero_points_outside_the_output_dtype():
    check_refusal(*CALLS["conv2d"], {"output_zero_point": 256}, "output_zero_point must lie in [0, 255], got 256")
    function, good = CALLS["conv2d"]
    signed = good | {"output_dtype": torch.int8}
    check_refusal(function, signed, {"output_zero_point": -129}, "output_zero_point must lie in [-128, 127], got -129")


@pytest.mark.parametrize(("function", "good"), CALLS.values(), ids=CALLS)
def test_refuses_the_weight_of_a_3d_convolution(function, good):
    packed = ops.pack_weight(torch.ones(8, 3, 2, 3, 2, dtype=torch.int8), groups=2)
    check_refusal(function, good, {"packed_weight": packed}, "kernel_size must be that of the packed weight")
