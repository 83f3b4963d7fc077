"""Every operator gives the reference's result, to the bit, at every level of the CPU, on one thread and on two."""

import math
import platform
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

import torchq
from ops.samples import SAMPLES
from ops.samples.sample import MULTIPLIES_PACKED_WEIGHT, RECURRENT

CSRC = Path(__file__).parents[2] / "csrc"
THREADS = (1, 2)


@contextmanager
def running_with(capability: str, threads: int) -> Iterator[None]:
    before = torchq.get_cpu_capability(), torch.get_num_threads()
    torchq.set_cpu_capability(capability)
    torch.set_num_threads(threads)
    try:
        # A level that is switched off by accident must fail, not pass as another.
        assert (torchq.get_cpu_capability(), torch.get_num_threads()) == (capability, threads)
        yield
    finally:
        torchq.set_cpu_capability(before[0])
        torch.set_num_threads(before[1])


def difference(result: Tensor, expected: Tensor) -> str:
    """What tells two results apart, empty if nothing: NaN equals NaN, -0.0 does not equal 0.0."""
    if (result.dtype, result.shape) != (expected.dtype, expected.shape):
        return f"{result.dtype} {tuple(result.shape)} for {expected.dtype} {tuple(expected.shape)}"
    differs = result != expected
    if result.is_floating_point():
        differs &= ~(result.isnan() & expected.isnan())
        differs |= (result == 0) & (result.signbit() != expected.signbit())
    if not differs.any():
        return ""
    where = tuple(differs.nonzero()[0].tolist())
    return f"{int(differs.sum())} of {differs.numel()}, the first at {where}: {result[where]} for {expected[where]}"


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_gives_the_reference_at_every_level_and_thread_count(sample):
    wrong = []
    for capability in torchq.cpu_capabilities():
        for threads in THREADS:
            with running_with(capability, threads):
                results, expected = tree_leaves(sample.run()), tree_leaves(sample.expected)
            differs = "; ".join(filter(None, map(difference, results, expected)))
            if differs or len(results) != len(expected):
                wrong.append(f"{capability} on {threads}: {differs}")
    assert wrong == []


def test_levels_are_those_that_the_cpu_reports():
    cpuinfo = Path("/proc/cpuinfo")
    if platform.machine() != "x86_64" or not cpuinfo.exists():
        pytest.skip("needs the flags of an x86 in /proc/cpuinfo")
    flags = set(re.search(r"^flags\s*:(.*)$", cpuinfo.read_text(), re.MULTILINE).group(1).split())
    expected = ["scalar"]
    if flags >= {"avx2", "fma"}:
        expected.append("avx2")
        if "avx_vnni" in flags:
            expected.append("avx_vnni")
        if flags >= {"avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512_vnni"}:
            expected.append("avx512_vnni")
            if "avx512vbmi" in flags:
                expected.append("avx512_vbmi")
    assert torchq.cpu_capabilities() == tuple(expected)


def test_samples_have_names_of_their_own():
    repeated = [name for name, count in Counter(map(str, SAMPLES)).items() if count > 1]
    assert repeated == []


def serial_limit(name: str) -> int:
    found = re.search(rf"constexpr int64_t {name} = ([\d']+);", (CSRC / "cpu" / "tensors.h").read_text())
    return int(found.group(1).replace("'", ""))


@pytest.mark.parametrize("sample", [sample for sample in SAMPLES if sample.parallel], ids=str)
def test_large_samples_are_beyond_the_serial_limit(sample):
    if sample.op in MULTIPLIES_PACKED_WEIGHT:
        weight = sample.arguments["weight"]
        products = sample.expected.numel() * weight[0].numel()
        # Groups are computed one after the other, but for narrow ones; so are the phases of transposed convolutions.
        groups = sample.arguments.get("groups", 1)
        joined = groups == weight.shape[0] or (
            weight.shape[0] == groups * weight.shape[1] and weight.shape[1] in (4, 8)
        )
        pieces = 1 if joined else groups
        if sample.arguments.get("transposed", False):
            dims = weight.dim() - 2
            pieces *= math.prod(sample.arguments["window"][dims : 2 * dims])
        assert products // pieces > serial_limit("kSerialMacs")
    elif sample.op in RECURRENT:
        x, weight = sample.arguments["input"], sample.arguments["weight_ih"]
        assert x.numel() * weight.shape[0] > serial_limit("kSerialMacs")
    elif sample.op == "matmul":
        assert sample.expected.numel() * sample.arguments["a"].shape[-1] > serial_limit("kSerialMacs")
    else:
        sizes = [leaf.numel() for leaf in tree_leaves(sample.op_arguments) if isinstance(leaf, Tensor)]
        assert max(sample.expected.numel(), *sizes) > serial_limit("kSerialElements")


def test_every_operator_with_threads_has_a_large_sample():
    serial = {"pack_weight", "unpack_weight"}
    assert {sample.op for sample in SAMPLES if sample.parallel} == {sample.op for sample in SAMPLES} - serial
