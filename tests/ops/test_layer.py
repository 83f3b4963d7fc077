"""A prepared layer gives the integers of linear and convolution, and refuses what it was not prepared for."""

import re

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import torchq
from ops.refusals import check_refusal
from ops.samples import samples_of
from torchq import ops

SAMPLES = [
    sample
    for op in ("linear", "convolution")
    for sample in samples_of(op)
    if sample.expected.numel() < 50_000 or sample.parallel
]


def prepared(sample):
    """The packed weight and the layer of a sample."""
    arguments = sample.arguments
    packed = ops.pack_weight(arguments["weight"], arguments["weight_zero_points"], arguments.get("groups", 1))
    window = (arguments.get("window", ()), arguments.get("transposed", False))
    inputs = (arguments["input_scale"], arguments["input_zero_point"], arguments["input"].dtype)
    outputs = [arguments[name] for name in ("output_scale", "output_zero_point", "output_dtype", "relu")]
    return packed, ops.prepare_layer(packed, arguments["weight_scales"], arguments["bias"], *window, *inputs, *outputs)


def run(sample, packed, layer):
    arguments = sample.arguments
    residual = [arguments.get(name) for name in ("residual", "residual_scale", "residual_zero_point")]
    if residual[0] is None:
        return ops.run_layer(arguments["input"], packed, layer)
    return ops.run_layer_add(arguments["input"], packed, layer, *residual)


@pytest.mark.parametrize("threads", [1, 2], indirect=True)
@pytest.mark.parametrize("op", ["linear", "convolution"])
def test_gives_the_integers_of_the_operator(op, cpu_capability, threads):
    wrong = []
    for sample in SAMPLES:
        if sample.op != op or sample.parallel:
            continue
        packed, layer = prepared(sample)
        for _ in range(2):
            result = run(sample, packed, layer)
            if not torch.equal(result, sample.expected) or result.stride() != sample.run().stride():
                wrong.append(str(sample))
    assert wrong == []


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.parallel], ids=str)
def test_large_layers_on_several_threads(sample, threads):
    packed, layer = prepared(sample)
    assert torch.equal(run(sample, packed, layer), sample.expected)


X, WEIGHT, SCALES = torch.ones(2, 8, 4, 4, dtype=torch.uint8), torch.ones(6, 8, 3, 3, dtype=torch.int8), torch.ones(6)
PACKED = ops.pack_weight(WEIGHT)
PREPARE = {
    "packed_weight": PACKED,
    "weight_scales": SCALES,
    "bias": SCALES,
    "window": ops.window((3, 3), (1, 1), (1, 1), (1, 1)),
    "transposed": False,
    "input_scale": 0.1,
    "input_zero_point": 3,
    "input_dtype": torch.uint8,
    "output_scale": 0.1,
    "output_zero_point": 4,
    "output_dtype": torch.int8,
    "relu": True,
}
RUN = {"input": X, "packed_weight": PACKED, "layer": ops.prepare_layer(**PREPARE)}

PREPARE_CASES = {
    "no-window": ({"window": ()}, "packed_weight holds a convolution's weight"),
    "other-kernel": ({"window": ops.window((3, 2), (1, 1), (1, 1), (1, 1))}, "kernel_size must be that of the packed"),
    "short-window": ({"window": (3, 3, 1)}, "window must hold kernel_size, stride, padding and dilation"),
    "float-input": ({"input_dtype": torch.float32}, "input_dtype must be uint8 or int8, got float32"),
    "float-output": ({"output_dtype": torch.float32}, "output_dtype must be uint8 or int8, got float32"),
    "input-scale": ({"input_scale": 0.0}, "input_scale must be a finite float32 above 0"),
    "output-scale": ({"output_scale": -1.0}, "output_scale must be a finite float32 above 0"),
    "input-zero-point": ({"input_zero_point": 256}, "input_zero_point must lie in [0, 255], got 256"),
    "output-zero-point": ({"output_zero_point": 128}, "output_zero_point must lie in [-128, 127], got 128"),
    "few-scales": ({"weight_scales": SCALES[:5]}, "weight_scales must be contiguous of shape [6], got 5"),
    "few-biases": ({"bias": SCALES[:5]}, "bias must be contiguous of shape [6], got 5"),
    "plain-weight": ({"packed_weight": WEIGHT}, "packed_weight must be uint8, got int8"),
}
OTHER = ops.pack_weight(torch.ones(7, 8, 3, 3, dtype=torch.int8))


def forged(place: int, value: int) -> torch.Tensor:
    """The layer with another number in its window, [kernel, stride, padding, dilation] of two dimensions each."""
    layer = RUN["layer"].clone()
    layer[WINDOW : WINDOW + 64].view(torch.int64)[place] = value
    return layer


# Where the window begins: kernel 3, 3, stride 1, 1.
WINDOW = next(
    i
    for i in range(0, RUN["layer"].numel() - 32, 8)
    if RUN["layer"][i : i + 32].view(torch.int64).tolist() == [3, 3, 1, 1]
)
RUN_CASES = {
    "int8": ({"input": X.to(torch.int8)}, "input must be uint8 as the layer was prepared for, got int8"),
    "float": ({"input": X.float()}, "input must be uint8 or int8, got float32"),
    "channels": ({"input": X[:, :7]}, "input must have 8 channels, got 7"),
    "dimensions": ({"input": X[0]}, "input must be [N, C, *spatial] with 2 spatial dimensions as the window, got 3"),
    "other-weight": ({"packed_weight": OTHER}, "layer must be what prepare_layer made for this packed_weight"),
    "cut": ({"layer": RUN["layer"][:-64]}, "layer must be what prepare_layer made for this packed_weight"),
    "shifted": ({"layer": RUN["layer"][1:]}, "layer must be what prepare_layer made for this packed_weight"),
    "short": ({"layer": RUN["layer"][:64]}, "layer must be what prepare_layer made for this packed_weight"),
    "zeros": ({"layer": torch.zeros(4096, dtype=torch.uint8)}, "layer must be what prepare_layer made"),
    "forged-kernel": ({"layer": forged(0, 9)}, "layer must be what prepare_layer made for this packed_weight"),
    "forged-stride": ({"layer": forged(3, 0)}, "layer must be what prepare_layer made for this packed_weight"),
    "forged-padding": ({"layer": forged(5, -1)}, "layer must be what prepare_layer made for this packed_weight"),
    "forged-dilation": ({"layer": forged(7, 0)}, "layer must be what prepare_layer made for this packed_weight"),
    "float-layer": ({"layer": RUN["layer"].float()}, "layer must be uint8, got float32"),
}


@pytest.mark.parametrize(("changed", "message"), PREPARE_CASES.values(), ids=PREPARE_CASES)
def test_prepare_refuses(changed, message):
    check_refusal(ops.prepare_layer, PREPARE, changed, message)


@pytest.mark.parametrize(("changed", "message"), RUN_CASES.values(), ids=RUN_CASES)
def test_run_refuses(changed, message):
    check_refusal(ops.run_layer, RUN, changed, message)


ADD = RUN | {"residual": torch.ones(2, 6, 4, 4, dtype=torch.int8), "residual_scale": 0.1, "residual_zero_point": 0}
LINEAR = ops.pack_weight(torch.ones(6, 8, dtype=torch.int8))
PREPARED_LINEAR = ops.prepare_layer(**(PREPARE | {"packed_weight": LINEAR, "window": ()}))
DEPTHWISE = ops.pack_weight(torch.ones(8, 1, 3, 3, dtype=torch.int8), groups=8)
PREPARED_DEPTHWISE = ops.prepare_layer(
    **(PREPARE | {"packed_weight": DEPTHWISE, "weight_scales": torch.ones(8), "bias": None})
)
ADD_CASES = {
    **RUN_CASES,
    "linear": ({"packed_weight": LINEAR, "layer": PREPARED_LINEAR}, "layer must be a convolution's"),
    "depthwise": (
        {"packed_weight": DEPTHWISE, "layer": PREPARED_DEPTHWISE},
        "a depthwise convolution takes no residual",
    ),
    "residual-dtype": ({"residual": ADD["residual"].view(torch.uint8)}, "residual must be int8, got uint8"),
    "residual-shape": (
        {"residual": ADD["residual"][:, :5]},
        "residual must have the output's shape, [2, 6, 4, 4], got [2, 5, 4, 4]",
    ),
    "residual-scale": ({"residual_scale": 0.0}, "residual_scale must be a finite float32 above 0"),
    "residual-zero-point": ({"residual_zero_point": 128}, "residual_zero_point must lie in [-128, 127], got 128"),
}


@pytest.mark.parametrize(("changed", "message"), ADD_CASES.values(), ids=ADD_CASES)
def test_run_with_a_residual_refuses(changed, message):
    check_refusal(ops.run_layer_add, ADD, changed, message)


@pytest.mark.skipif(len(torchq.cpu_capabilities()) == 1, reason="this CPU has one level")
def test_run_refuses_a_layer_of_another_capability():
    best = torchq.get_cpu_capability()
    torchq.set_cpu_capability("scalar")
    try:
        with pytest.raises(RuntimeError, match="prepared for another CPU capability; prepare it again"):
            ops.run_layer(**RUN)
    finally:
        torchq.set_cpu_capability(best)


def test_tracing_is_refused():
    with FakeTensorMode() as mode, pytest.raises(RuntimeError, match=re.escape("torchq.run_layer.default")):
        ops.run_layer(*map(mode.from_tensor, RUN.values()))
