"""Normalizations, softmax, matmul, interpolation and embeddings refuse what does not fit, and name it."""

import pytest
import torch

from ops.refusals import check_refusal, on_meta
from torchq import ops

Q, ONES = torch.ones(2, 6, 4, dtype=torch.uint8), torch.ones(6)
INPUT = {"input": Q, "input_scale": 0.1, "input_zero_point": 3}
OUTPUT = {"output_scale": 0.1, "output_zero_point": 3}
AFFINE = {"weight": ONES, "bias": ONES, "eps": 1e-5}
CALLS = {
    "batch-norm": (ops.batch_norm, INPUT | AFFINE | {"mean": ONES, "variance": ONES} | OUTPUT),
    "group-norm": (ops.group_norm, INPUT | AFFINE | {"groups": 2} | OUTPUT),
    "layer-norm": (
        ops.layer_norm,
        INPUT | {"normalized_shape": [4], "weight": torch.ones(4), "bias": None, "eps": 0.1} | OUTPUT,
    ),
    "softmax": (ops.softmax, {"input": Q, "input_scale": 0.1} | OUTPUT),
}
every_call = pytest.mark.parametrize(("function", "good"), CALLS.values(), ids=CALLS)


@every_call
def test_refuse_what_is_not_quantized(function, good):
    check_refusal(function, good, {"input": Q.float()}, "input must be uint8 or int8, got float32")
    check_refusal(function, good, {"input_scale": 0.0}, "input_scale must be a finite float32 above 0")
    check_refusal(function, good, {"output_scale": float("nan")}, "output_scale must be a finite float32 above 0")
    check_refusal(function, good, {"output_zero_point": 256}, "output_zero_point must lie in [0, 255], got 256")
    if "input_zero_point" in good:
        check_refusal(function, good, {"input_zero_point": -1}, "input_zero_point must lie in [0, 255], got -1")


CASES = {
    "batch-norm": [
        ({"input": Q[0, 0]}, "input must be [N, C, *], got 1 dimensions"),
        ({"weight": ONES[:5]}, "weight must be contiguous with 6 elements, got [5]"),
        ({"bias": ONES.double()}, "bias must be float32, got float64"),
        ({"mean": ONES.repeat(2)[::2]}, "mean must be contiguous with 6 elements, got [6]"),
        ({"variance": -ONES}, "each of variance must be at least 0, got -1"),
        ({"variance": ONES * float("nan")}, "each of variance must be at least 0, got nan"),
        ({"eps": -1.0}, "eps must be finite and at least 0, got -1"),
        ({"mean": on_meta(ONES)}, "one device"),
    ],
    "group-norm": [
        ({"groups": 4}, "groups must divide the 6 channels, got 4"),
        ({"groups": 0}, "groups must divide the 6 channels, got 0"),
        ({"weight": ONES[:5]}, "weight must be contiguous with 6 elements, got [5]"),
        ({"eps": float("inf")}, "eps must be finite and at least 0, got inf"),
    ],
    "layer-norm": [
        ({"normalized_shape": [5]}, "normalized_shape must be the last dimensions of the input [2, 6, 4], got [5]"),
        ({"normalized_shape": []}, "normalized_shape must be the last dimensions of the input [2, 6, 4], got []"),
        ({"normalized_shape": [3, 2, 6, 4]}, "normalized_shape must be the last dimensions of the input [2, 6, 4]"),
        ({"weight": ONES}, "weight must be contiguous with 4 elements, got [6]"),
    ],
    "softmax": [({"input": torch.tensor(1, dtype=torch.uint8)}, "input must have at least one dimension")],
}


@pytest.mark.parametrize(
    ("call", "changed", "message"), [(name, *case) for name, cases in CASES.items() for case in cases], ids=str
)
def test_refuses(call, changed, message):
    check_refusal(*CALLS[call], changed, message)


A, B = torch.ones(2, 3, 5, dtype=torch.uint8), torch.ones(2, 5, 4, dtype=torch.uint8)
MATMUL = {"a": A, "a_scale": 0.1, "a_zero_point": 3, "b": B, "b_scale": 0.1, "b_zero_point": 3} | OUTPUT


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"a": A.float()}, "a must be uint8 or int8, got float32"),
        ({"b": B.to(torch.int8)}, "b must be uint8, got int8"),
        ({"b": B[0]}, "the same number of dimensions, got [2, 3, 5] and [5, 4]"),
        ({"a": A[0, 0], "b": B[0, :, 0]}, "a and b must be [..., M, K] and [..., K, N]"),
        ({"b": B[:1]}, "a and b must have the same batch dimensions, got [2, 3, 5] and [1, 5, 4]"),
        ({"b": B[:, :4]}, "the columns of a must be as many as the rows of b, got [2, 3, 5] and [2, 4, 4]"),
        ({"a": A[..., :0], "b": B[:, :0]}, "an output must sum over 1 to 33025 products to be exact in int32, got 0"),
        ({"b": on_meta(B)}, "one device"),
        ({"a_scale": 0.0}, "a_scale must be a finite float32 above 0"),
        ({"b_scale": 0.0}, "b_scale must be a finite float32 above 0"),
        ({"b_zero_point": 256}, "b_zero_point must lie in [0, 255], got 256"),
    ],
    ids=str,
)
def test_matmul_refuses(changed, message):
    check_refusal(ops.matmul, MATMUL, changed, message)


def test_matmul_refuses_sums_too_long_for_int32():
    a, b = torch.ones(1, 33_026, dtype=torch.uint8), torch.ones(33_026, 1, dtype=torch.uint8)
    with pytest.raises(RuntimeError, match="1 to 33025 products to be exact in int32, got 33026"):
        ops.matmul(a, 0.1, 0, b, 0.1, 0, 0.1, 0)


IMAGE = torch.ones(1, 3, 4, 5, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"input": IMAGE.float()}, "input must be uint8 or int8, got float32"),
        ({"input": IMAGE[0]}, "input must be 4-d [N, C, H, W], got 3 dimensions"),
        ({"output_size": [3]}, "output_size must hold 2 numbers, got 1"),
        ({"output_size": [3, 0]}, "height and width must be at least 1, got 4 x 5 to 3 x 0"),
        ({"input": IMAGE[:, :, :0]}, "height and width must be at least 1, got 0 x 5 to 6 x 7"),
        ({"factors": [1.0]}, "factors must hold 2 numbers or none, got 1"),
        ({"factors": [1.0, 0.0]}, "each of factors must be finite and above 0, got 0"),
    ],
    ids=str,
)
def test_upsample_refuses(changed, message):
    good = {"input": IMAGE, "output_size": [6, 7], "align_corners": False, "factors": []}
    check_refusal(ops.upsample_bilinear, good, changed, message)


ROWS, INDICES, OFFSETS = torch.ones(9, 16 + 8, dtype=torch.uint8), torch.tensor([1, 8, 0]), torch.tensor([0, 2, 3])
BAG = {"packed_weight": ROWS, "bits": 8, "indices": INDICES, "offsets": OFFSETS}
BAG |= {"per_sample_weights": torch.ones(3), "mode": 0}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"packed_weight": ROWS.float()}, "packed_weight must be uint8, got float32"),
        ({"packed_weight": ROWS[0]}, "packed_weight must"),
        ({"packed_weight": ROWS[:, :8]}, "packed_weight must be contiguous [rows, bytes of a row], got [9, 8]"),
        ({"bits": 2}, "bits must be 8 or 4, got 2"),
        ({"mode": 2}, "mode must be 0 (sum) or 1 (mean), got 2"),
        ({"mode": 1}, "per_sample_weights go with mode 0 (sum), got 1"),
        ({"indices": INDICES.float()}, "indices must be int32 or int64, got float32"),
        ({"indices": INDICES[None]}, "indices must have 1 dimension, got 2"),
        ({"indices": torch.tensor([1, 9, 0])}, "each of indices must lie in [0, 8], got 9"),
        ({"indices": torch.tensor([1, -1, 0])}, "each of indices must lie in [0, 8], got -1"),
        ({"offsets": torch.tensor([1, 2, 3])}, "offsets must begin with 0 and end with the 3 indices"),
        ({"offsets": torch.tensor([0, 2])}, "offsets must begin with 0 and end with the 3 indices"),
        ({"offsets": torch.tensor([0, 3, 2, 3])}, "offsets must not decrease, got 3 before 2"),
        ({"offsets": torch.tensor([], dtype=torch.int64)}, "offsets must begin with 0 and end with the 3 indices"),
        ({"per_sample_weights": torch.ones(2)}, "one entry per index, 3, got [2]"),
        ({"per_sample_weights": torch.ones(3).double()}, "per_sample_weights must be float32, got float64"),
        ({"indices": on_meta(INDICES)}, "one device"),
    ],
    ids=str,
)
def test_embedding_bag_refuses(changed, message):
    check_refusal(ops.embedding_bag, BAG, changed, message)
