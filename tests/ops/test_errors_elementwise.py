"""add, relu and clamp refuse what is not quantized alike, and name it."""

import pytest
import torch

from ops.refusals import BAD_SCALES, check_refusal, on_meta
from torchq import ops

Q = torch.ones(3, 4, dtype=torch.uint8)
ADD = {"a": Q, "a_scale": 0.1, "a_zero_point": 3, "b": Q, "b_scale": 0.1, "b_zero_point": 3}
ADD |= {"output_scale": 0.1, "output_zero_point": 3}
SIGNED = {"a": Q.to(torch.int8), "b": Q.to(torch.int8)}

ADD_CASES = {
    "float-a": ({"a": Q.float()}, "a must be uint8 or int8, got float32"),
    "int32-both": ({"a": Q.int(), "b": Q.int()}, "a must be uint8 or int8, got int32"),
    "other-dtype": ({"b": Q.to(torch.int8)}, "b must be uint8, got int8"),
    "other-shape": ({"b": Q[:2]}, "a and b must have the same shape, got [3, 4] and [2, 4]"),
    "broadcast": ({"b": Q[:1]}, "a and b must have the same shape"),
    "other-dimensions": ({"b": Q[None]}, "a and b must have the same shape"),
    "a-elsewhere": ({"a": on_meta(Q)}, "one device"),
    "b-elsewhere": ({"b": on_meta(Q)}, "one device"),
}


@pytest.mark.parametrize(("changed", "message"), ADD_CASES.values(), ids=ADD_CASES)
def test_add_refuses(changed, message):
    check_refusal(ops.add, ADD, changed, message)


@pytest.mark.parametrize("name", ["a_scale", "b_scale", "output_scale"])
@pytest.mark.parametrize(("scale", "quoted"), BAD_SCALES.values(), ids=BAD_SCALES)
def test_add_refuses_scale(name, scale, quoted):
    check_refusal(ops.add, ADD, {name: scale}, f"{name} must be a finite float32 above 0")
    check_refusal(ops.add, ADD, {name: scale}, quoted)


@pytest.mark.parametrize("name", ["a_zero_point", "b_zero_point", "output_zero_point"])
def test_add_refuses_zero_points_outside_the_dtype(name):
    check_refusal(ops.add, ADD, {name: 256}, f"{name} must lie in [0, 255], got 256")
    check_refusal(ops.add, ADD, {name: -1}, f"{name} must lie in [0, 255], got -1")
    check_refusal(ops.add, ADD | SIGNED, {name: 128}, f"{name} must lie in [-128, 127], got 128")
    check_refusal(ops.add, ADD | SIGNED, {name: -129}, f"{name} must lie in [-128, 127], got -129")


@pytest.mark.parametrize("dtype", [torch.float32, torch.int32, torch.bool], ids=str)
def test_relu_and_clamp_take_bytes_only(dtype):
    message = f"input must be uint8 or int8, got {str(dtype)[6:]}"
    check_refusal(ops.relu, {"input": Q, "zero_point": 3}, {"input": Q.to(dtype)}, message)
    check_refusal(ops.clamp, {"input": Q, "lowest": 1, "highest": 9}, {"input": Q.to(dtype)}, message)


@pytest.mark.parametrize("zero_point", [-1, 256], ids=str)
def test_relu_refuses_zero_points_outside_the_dtype(zero_point):
    message = f"zero_point must lie in [0, 255], got {zero_point}"
    check_refusal(ops.relu, {"input": Q, "zero_point": 3}, {"zero_point": zero_point}, message)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"lowest": -1}, "lowest must lie in [0, 255], got -1"),
        ({"highest": 256}, "highest must lie in [0, 255], got 256"),
        ({"lowest": 10}, "lowest must not exceed highest, got 10 and 9"),
    ],
    ids=["lowest-outside", "highest-outside", "crossed"],
)
def test_clamp_refuses_bounds(changed, message):
    check_refusal(ops.clamp, {"input": Q, "lowest": 1, "highest": 9}, changed, message)
