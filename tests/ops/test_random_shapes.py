"""Products of shapes and options that nobody chose equal the reference, at every level of the CPU."""

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import torchq
from ops.samples.conv import convolutions
from ops.samples.linear import products
from ops.samples.values import BYTES, INT8, full_range

FEW = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
options = st.fixed_dictionaries(
    {
        "output_dtype": st.sampled_from(BYTES),
        "with_bias": st.booleans(),
        "relu": st.booleans(),
        "asymmetric": st.booleans(),
        "seed": st.integers(0, 2**16),
    }
)
dtypes = st.sampled_from(BYTES)


def check(samples):
    for sample in samples:
        assert torch.equal(sample.run(), sample.expected), f"{sample.op} at {torchq.get_cpu_capability()}"


@FEW
@given(m=st.integers(0, 40), k=st.integers(1, 150), n=st.integers(1, 200), dtype=dtypes, chosen=options)
def test_linear(cpu_capability, one_thread, m, k, n, dtype, chosen):
    x, weight = full_range(m, k, dtype=dtype, seed=chosen["seed"]), full_range(n, k, dtype=INT8, seed=chosen["seed"])
    check(products("random", x, weight, **chosen))


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@FEW
@given(
    batch=st.integers(0, 3),
    groups=st.integers(1, 4),
    channels=st.integers(1, 20),
    outputs=st.integers(1, 20),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=pairs,
    padding=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    dilation=pairs,
    room=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    last=st.booleans(),
    dtype=dtypes,
    chosen=options,
)
def test_convolution(
    cpu_capability,
    one_thread,
    batch,
    groups,
    channels,
    outputs,
    kernel,
    stride,
    padding,
    dilation,
    room,
    last,
    dtype,
    chosen,
):
    # An image that the kernel fits, with some room to move.
    spread = [d * (size - 1) + 1 for d, size in zip(dilation, kernel, strict=True)]
    height, width = (max(1, size - 2 * p) + r for size, p, r in zip(spread, padding, room, strict=True))
    x = full_range(batch, groups * channels, height, width, dtype=dtype, seed=chosen["seed"])
    x = x.contiguous(memory_format=torch.channels_last) if last else x
    window = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    check(convolutions("random", x, (groups * outputs, *kernel), **window, **chosen))
