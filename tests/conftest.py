"""Fixtures of all tests."""

from collections.abc import Iterator
from types import ModuleType

import pytest
import torch

import torchq


@pytest.fixture(params=torchq.cpu_capabilities())
def cpu_capability(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs a test at each instruction set level that this CPU has."""
    before = torchq.get_cpu_capability()
    torchq.set_cpu_capability(request.param)
    # A level that is switched off by accident must fail, not pass as another.
    assert torchq.get_cpu_capability() == request.param
    yield request.param
    torchq.set_cpu_capability(before)


@pytest.fixture(params=[1, 2], ids=["one-thread", "two-threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Runs a test with one thread and with two."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    assert torch.get_num_threads() == request.param
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Keeps small work off the other threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def torch_ao() -> Iterator[ModuleType]:
    """torch.ao.quantization on its fbgemm engine; tests that compare with it are skipped where it is gone."""
    module = pytest.importorskip("torch.ao.quantization", reason="torch.ao is what torchq is compared with")
    if "fbgemm" not in torch.backends.quantized.supported_engines:
        pytest.skip("this torch has no fbgemm engine")
    engine = torch.backends.quantized.engine
    torch.backends.quantized.engine = "fbgemm"
    yield module
    torch.backends.quantized.engine = engine
