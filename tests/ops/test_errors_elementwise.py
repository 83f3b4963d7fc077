"""Elementwise operators refuse what is not quantized alike, and name it."""

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


both = pytest.mark.parametrize("function", [ops.add, ops.mul])


@both
@pytest.mark.parametrize(("changed", "message"), ADD_CASES.values(), ids=ADD_CASES)
def test_add_and_mul_refuse(function, changed, message):
    check_refusal(function, ADD, changed, message)


@both
@pytest.mark.parametrize("name", ["a_scale", "b_scale", "output_scale"])
@pytest.mark.parametrize(("scale", "quoted"), BAD_SCALES.values(), ids=BAD_SCALES)
def test_add_and_mul_refuse_scale(function, name, scale, quoted):
    check_refusal(function, ADD, {name: scale}, f"{name} must be a finite float32 above 0")
    check_refusal(function, ADD, {name: scale}, quoted)


@both
@pytest.mark.parametrize("name", ["a_zero_point", "b_zero_point", "output_zero_point"])
def test_add_and_mul_refuse_zero_points_outside_the_dtype(function, name):
    check_refusal(function, ADD, {name: 256}, f"{name} must lie in [0, 255], got 256")
    check_refusal(function, ADD, {name: -1}, f"{name} must lie in [0, 255], got -1")
    check_refusal(function, ADD | SIGNED, {name: 128}, f"{name} must lie in [-128, 127], got 128")
    check_refusal(function, ADD | SIGNED, {name: -129}, f"{name} must lie in [-128, 127], got -129")


TABLE = torch.zeros(256, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"input": Q.float()}, "input must be uint8 or int8, got float32"),
        ({"table": TABLE.float()}, "table must be uint8 or int8, got float32"),
        ({"table": TABLE[:255]}, "table must be contiguous of shape [256], got [255]"),
        ({"table": TABLE.repeat(2)[::2]}, "table must be contiguous of shape [256], got [256]"),
        ({"table": on_meta(TABLE)}, "one device"),
    ],
    ids=["float", "float-table", "short-table", "strided-table", "elsewhere"],
)
def test_lookup_refuses(changed, message):
    check_refusal(ops.lookup, {"input": Q, "table": TABLE}, changed, message)


PRELU = {"input": Q, "input_scale": 0.1, "input_zero_point": 3, "weight": torch.ones(4)}
PRELU |= {"output_scale": 0.1, "output_zero_point": 3}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"input": Q.int()}, "input must be uint8 or int8, got int32"),
        ({"input": Q[0]}, "input must be [N, C, *], got 1 dimensions"),
        ({"weight": torch.ones(3)}, "weight must be contiguous of shape [1] or [4], got [3]"),
        ({"weight": torch.ones(4).double()}, "weight must be float32, got float64"),
        ({"weight": on_meta(torch.ones(4))}, "one device"),
        ({"input_scale": 0.0}, "input_scale must be a finite float32 above 0"),
        ({"output_scale": -1.0}, "output_scale must be a finite float32 above 0"),
        ({"input_zero_point": 256}, "input_zero_point must lie in [0, 255], got 256"),
        ({"output_zero_point": -1}, "output_zero_point must lie in [0, 255], got -1"),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(next(iter(value))),
)
def test_prelu_refuses(changed, message):
    check_refusal(ops.prelu, PRELU, changed, message)


CAT = {"tensors": [Q, Q], "scales": [0.1, 0.2], "zero_points": [3, 4], "dim": 0}
CAT |= {"output_scale": 0.1, "output_zero_point": 3}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"tensors": [Q.float(), Q]}, "tensors must be uint8 or int8, got float32"),
        ({"tensors": [Q, Q.to(torch.int8)]}, "tensors must be uint8, got int8"),
        ({"tensors": [Q, on_meta(Q)]}, "one device"),
        ({"tensors": [Q, Q[0]]}, "all tensors must have 2 dimensions, got 1"),
        ({"tensors": [Q, Q[:, :3]]}, "must agree in all dimensions but dim 0, got [3, 4] and [3, 3]"),
        ({"scales": [0.1]}, "a scale and a zero point for each of 2 tensors, got 1 and 2"),
        ({"zero_points": [1, 2, 3]}, "a scale and a zero point for each of 2 tensors, got 2 and 3"),
        ({"dim": 2}, "dim must lie in [-2, 1] for tensors of 2 dimensions, got 2"),
        ({"scales": [0.1, 0.0]}, "each of scales must be a finite float32 above 0"),
        ({"zero_points": [3, 256]}, "each of zero_points must lie in [0, 255], got 256"),
        ({"output_scale": 0.0}, "output_scale must be a finite float32 above 0"),
        ({"output_zero_point": -1}, "output_zero_point must lie in [0, 255], got -1"),
    ],
    ids=str,
)
def test_cat_refuses(changed, message):
    check_refusal(ops.cat, CAT, changed, message)


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


def test_cat_refuses_no_tensors():
    with pytest.raises(ValueError, match="tensors must not be empty"):
        ops.cat([], [], [], 0, 0.1, 3)
