"""Tracing finds wrong dtypes and shapes too: fake functions refuse what the operators refuse."""

import pytest
import torch

from torchq import ops

X = torch.ones(2, 16, dtype=torch.uint8, device="meta")
IMAGE = torch.ones(1, 16, 4, 4, dtype=torch.uint8, device="meta")
PACKED = ops.pack_weight(torch.ones(8, 16, dtype=torch.int8)).to("meta")
SCALES = torch.ones(8, device="meta")
OUTPUT = (1.0, 0, torch.uint8)
WINDOW = (ops.window([1, 1], [1, 1], [0, 0], [1, 1]), False)

CASES = {
    "linear-of-floats": lambda: ops.linear(X.float(), 1.0, 0, PACKED, SCALES, None, *OUTPUT),
    "linear-of-int64": lambda: ops.linear_dequantize(X.long(), 1.0, 0, PACKED, SCALES, None),
    "dynamic-of-integers": lambda: ops.linear_dynamic(X, PACKED, SCALES, None, True, False),
    "plain-weight": lambda: ops.linear(X, 1.0, 0, PACKED.view(torch.int8), SCALES, None, *OUTPUT),
    "double-scales": lambda: ops.linear(X, 1.0, 0, PACKED, SCALES.double(), None, *OUTPUT),
    "short-bias": lambda: ops.linear(X, 1.0, 0, PACKED, SCALES, SCALES[:7], *OUTPUT),
    "conv-without-batch": lambda: ops.convolution(IMAGE[0], 1.0, 0, PACKED, SCALES, None, *WINDOW, *OUTPUT),
    "conv-of-floats": lambda: ops.convolution_dequantize(IMAGE.float(), 1.0, 0, PACKED, SCALES, None, *WINDOW),
    "sum-of-shapes": lambda: ops.add(X, 1.0, 0, X[:1], 1.0, 0, 1.0, 0),
    "sum-of-dtypes": lambda: ops.add(X, 1.0, 0, X.view(torch.int8), 1.0, 0, 1.0, 0),
}


@pytest.mark.parametrize("call", CASES.values(), ids=CASES)
def test_refuses(call):
    with pytest.raises(RuntimeError, match="must"):
        call()
