"""The convolutions refuse windows, shapes and weights that do not fit, and name them."""

import pytest
import torch

from ops.refusals import BAD_SCALES, check_refusal, on_meta
from torchq import ops

WEIGHT = torch.ones(8, 3, 3, 2, dtype=torch.int8)
PACKED = ops.pack_weight(WEIGHT, groups=2)
X, SCALES = torch.ones(2, 6, 5, 7, dtype=torch.uint8), torch.ones(8)


def window(kernel_size=(3, 2), stride=(1, 1), padding=(1, 0), dilation=(1, 1), output_padding=()):
    return {"window": ops.window(kernel_size, stride, padding, dilation, output_padding)}


GOOD = {
    "input": X,
    "input_scale": 0.1,
    "input_zero_point": 3,
    "packed_weight": PACKED,
    "weight_scales": SCALES,
    "bias": torch.zeros(8),
    **window(),
    "transposed": False,
}
OUTPUT = {"output_scale": 0.1, "output_zero_point": 3, "output_dtype": torch.uint8}
CALLS = {
    "convolution": (ops.convolution, GOOD | OUTPUT),
    "convolution-dequantize": (ops.convolution_dequantize, GOOD),
}
TRANSPOSED = (ops.convolution, GOOD | OUTPUT | window(output_padding=(0, 0)) | {"transposed": True})

CASES = {
    "no-batch": ({"input": X[0]}, "input must be [N, C, *spatial] with 2 spatial dimensions as the window, got 3"),
    "two-dimensions": (
        {"input": X[0, 0]},
        "input must be [N, C, *spatial] with 2 spatial dimensions as the window, got 2",
    ),
    "six-dimensions": (
        {"input": X[None, None]},
        "input must be [N, C, *spatial] with 2 spatial dimensions as the window",
    ),
    "float-input": ({"input": X.float()}, "input must be uint8 or int8, got float32"),
    "too-few-channels": ({"input": X[:, :5]}, "input must have 6 channels, got 5"),
    "padding-beyond-int32": (window(padding=(2**63 - 1, 0)), f"padding must lie in [0, 2147483647], got {2**63 - 1}"),
    "other-kernel": (window((2, 3)), "kernel_size must be that of the packed weight, [3, 2], got [2, 3]"),
    "no-kernel": (window((0, 2)), "kernel_size must lie in [1, 2147483647], got 0"),
    "three-kernel-sizes": (
        window((3, 2, 1)),
        "window must hold kernel_size, stride, padding and dilation of 1 to 3 dim",
    ),
    "no-stride": (window(stride=(1, 0)), "stride must lie in [1, 2147483647], got 0"),
    "negative-stride": (window(stride=(-1, 1)), "stride must lie in [1, 2147483647], got -1"),
    "empty-window": ({"window": []}, "window must not be empty"),
    "negative-padding": (window(padding=(0, -1)), "padding must lie in [0, 2147483647], got -1"),
    "no-dilation": (window(dilation=(0, 1)), "dilation must lie in [1, 2147483647], got 0"),
    "kernel-taller-than-the-image": (
        window(dilation=(4, 1)),
        "a kernel of 9 with its dilation does not fit an input of 5 padded by 1",
    ),
    "kernel-wider-than-the-image": (
        window(dilation=(1, 7)),
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


TRANSPOSED_CASES = {
    "no-output-padding": (window(), "window must hold kernel_size, stride, padding, dilation and output_padding"),
    "negative-output-padding": (window(output_padding=(0, -1)), "output_padding must lie in [0, 2147483647], got -1"),
    "output-padding-of-the-stride": (
        window(stride=(2, 2), output_padding=(2, 0)),
        "output_padding must be below stride or dilation, got 2 with stride 2 and dilation 1",
    ),
    "nothing-left": (
        window(padding=(4, 0), output_padding=(0, 0)),
        "an input of 5 gives an output of -1, which must be at least 1",
    ),
}


@pytest.mark.parametrize(("changed", "message"), TRANSPOSED_CASES.values(), ids=TRANSPOSED_CASES)
def test_transposed_refuses(changed, message):
    check_refusal(*TRANSPOSED, changed, message)


RESIDUAL = torch.ones(2, 8, 5, 6, dtype=torch.uint8)
WITH_RESIDUAL = (
    ops.convolution,
    GOOD | OUTPUT | {"residual": RESIDUAL, "residual_scale": 0.1, "residual_zero_point": 3},
)
RESIDUAL_CASES = {
    "shape": ({"residual": RESIDUAL[:1]}, "residual must"),
    "dtype": ({"residual": RESIDUAL.view(torch.int8)}, "residual must be"),
    "device": ({"residual": on_meta(RESIDUAL)}, "one device"),
    "zero-point": ({"residual_zero_point": 256}, "residual_zero_point must lie in [0, 255], got 256"),
}


@pytest.mark.parametrize(("changed", "message"), RESIDUAL_CASES.values(), ids=RESIDUAL_CASES)
def test_refuses_a_residual(changed, message):
    check_refusal(*WITH_RESIDUAL, changed, message)


@pytest.mark.parametrize(("scale", "quoted"), BAD_SCALES.values(), ids=BAD_SCALES)
def test_refuses_residual_scale(scale, quoted):
    check_refusal(*WITH_RESIDUAL, {"residual_scale": scale}, quoted)


def test_refuses_a_residual_of_a_depthwise_convolution():
    depthwise = {
        "packed_weight": ops.pack_weight(torch.ones(6, 1, 3, 2, dtype=torch.int8), groups=6),
        "weight_scales": torch.ones(6),
        "bias": None,
        "residual": torch.ones(2, 6, 5, 6, dtype=torch.uint8),
    }
    arguments = WITH_RESIDUAL[1] | depthwise
    with pytest.raises(RuntimeError, match="a depthwise convolution takes no residual"):
        ops.convolution(**arguments)


@pytest.mark.parametrize(("function", "good"), CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(("scale", "quoted"), BAD_SCALES.values(), ids=BAD_SCALES)
def test_refuses_input_scale(function, good, scale, quoted):
    check_refusal(function, good, {"input_scale": scale}, "input_scale must be a finite float32 above 0")
    check_refusal(function, good, {"input_scale": scale}, quoted)


@pytest.mark.parametrize(("scale", "quoted"), BAD_SCALES.values(), ids=BAD_SCALES)
def test_refuses_output_scale(scale, quoted):
    check_refusal(*CALLS["convolution"], {"output_scale": scale}, quoted)


@pytest.mark.parametrize("dtype", [torch.int32, torch.float32], ids=str)
def test_refuses_output_dtypes_that_are_no_bytes(dtype):
    message = f"output_dtype must be uint8 or int8, got {str(dtype)[6:]}"
    check_refusal(*CALLS["convolution"], {"output_dtype": dtype}, message)


def test_refuses_output_zero_points_outside_the_output_dtype():
    function, good = CALLS["convolution"]
    check_refusal(function, good, {"output_zero_point": 256}, "output_zero_point must lie in [0, 255], got 256")
    signed = good | {"output_dtype": torch.int8}
    check_refusal(function, signed, {"output_zero_point": -129}, "output_zero_point must lie in [-128, 127], got -129")


@pytest.mark.parametrize(("function", "good"), CALLS.values(), ids=CALLS)
def test_refuses_the_weight_of_a_3d_convolution(function, good):
    packed = ops.pack_weight(torch.ones(8, 3, 2, 3, 2, dtype=torch.int8), groups=2)
    check_refusal(function, good, {"packed_weight": packed}, "kernel_size must be that of the packed weight")
