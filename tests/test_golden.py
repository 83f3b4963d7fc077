"""Torch's frozen results (golden/make_fixtures.py) come out of the reference and of the ops, bit for bit."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from golden.calls import as_torchq
from torchq import ops, reference


def load_cases():
    for path in sorted(Path(__file__).with_name("golden").glob("*.npz")):
        with np.load(path) as file:
            arrays = {key: torch.from_numpy(file[key]) for key in file.files if key != "metadata"}
            metadata = json.loads(str(file["metadata"]))
        for case in metadata["cases"]:
            arguments = {name: decode(value, arrays) for name, value in case["arguments"].items()}
            expected = decode(case["expected"], arrays)
            yield pytest.param(case["op"], arguments, expected, id=f"{case['op']}-{case['name']}")


def decode(value, arrays):
    match value:
        case {"array": key}:
            return arrays[key]
        case {"dtype": name}:
            return getattr(torch, name)
        case _:
            return value


def call_reference(op, arguments):
    return getattr(reference, op)(**arguments)


def call_ops(op, arguments):
    arguments = dict(arguments)
    if "weight" in arguments:
        zero_points, groups = arguments.pop("weight_zero_points"), arguments.pop("groups", 1)
        zero_points = None if zero_points is None else zero_points.int()
        arguments["weight"] = ops.pack_weight(arguments["weight"], zero_points, groups)
    return getattr(ops, op)(*arguments.values())


CASES = list(load_cases())


@pytest.mark.parametrize("call", [call_reference, call_ops], ids=["reference", "ops"])
@pytest.mark.parametrize(("op", "arguments", "expected"), CASES)
def test_gives_torchs_frozen_result(call, op, arguments, expected):
    result = call(*as_torchq(op, arguments))
    assert result.dtype == expected.dtype
    assert torch.equal(result, expected)


def test_fixtures_hold_every_op_that_torch_has():
    frozen = {case.values[0] for case in CASES}
    assert frozen == {
        "adaptive_avg_pool2d",
        "add",
        "avg_pool2d",
        "conv2d",
        "dequantize_per_channel",
        "dequantize_per_tensor",
        "linear",
        "linear_dequantize",
        "linear_dynamic",
        "max_pool2d",
        "quantize_per_channel",
        "quantize_per_tensor",
        "relu",
    }
