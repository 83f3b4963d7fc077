"""Loading the compiled library, choosing the instruction set level, and what importing torchq does not need."""

import ast
import os
import subprocess
import sys
import textwrap
import threading
import tokenize
from pathlib import Path

import pytest
import torch

import torchq
from ops.samples import samples_of
from torchq import _library

ROOT = Path(__file__).parents[1]


def run_python(program: str, **environment: str) -> subprocess.CompletedProcess:
    """Runs a program in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if name != "TORCHQ_CPU_CAPABILITY"}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=kept | environment,
        check=False,
    )


LOWERED = """
    import torch, torchq
    print(torchq.get_cpu_capability(), torchq.cpu_capabilities())
    print(torchq.ops.quantize_per_tensor(torch.tensor([-1.0, 0.0, 1.0, 2.0]), 0.1, 10, torch.uint8).tolist())
"""


@pytest.mark.parametrize("capability", _library._CPU_CAPABILITIES)
def test_environment_variable_lowers_the_level_to_the_best_that_the_cpu_has(capability):
    finished = run_python(LOWERED, TORCHQ_CPU_CAPABILITY=capability)
    names = _library._CPU_CAPABILITIES[: _library._CPU_CAPABILITIES.index(capability) + 1]
    best = [name for name in names if name in torchq.cpu_capabilities()][-1]
    assert finished.stdout.splitlines() == [f"{best} {torchq.cpu_capabilities()}", "[0, 10, 20, 30]"]


def test_unknown_level_in_the_environment_is_an_error_that_names_it():
    finished = run_python("import torchq", TORCHQ_CPU_CAPABILITY="avx1024")
    assert finished.returncode != 0
    assert "TORCHQ_CPU_CAPABILITY" in finished.stderr
    assert "'avx1024'" in finished.stderr
    assert ", ".join(_library._CPU_CAPABILITIES) in finished.stderr.replace(" and ", ", ")


def test_empty_variable_means_none():
    finished = run_python("import torchq; print(torchq.get_cpu_capability())", TORCHQ_CPU_CAPABILITY="")
    assert finished.stdout.strip() == torchq.cpu_capabilities()[-1]


@pytest.mark.parametrize("name", ["avx1024", "", "AVX2", "best"])
def test_setting_an_unknown_level_is_an_error_that_names_it(name):
    before = torchq.get_cpu_capability()
    with pytest.raises(ValueError, match=f"this CPU runs scalar.*got {name!r}"):
        torchq.set_cpu_capability(name)
    assert torchq.get_cpu_capability() == before


def test_level_that_the_cpu_lacks_cannot_be_set(monkeypatch):
    monkeypatch.setattr(_library, "cpu_capabilities", lambda: ("scalar",))
    with pytest.raises(ValueError, match="this CPU runs scalar, got 'avx2'"):
        torchq.set_cpu_capability("avx2")


def test_missing_library_says_where_and_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(_library, "_PATH", tmp_path / "_C.so")
    with pytest.raises(ImportError, match=r"missing: .*_C\.so does not exist.*make build.*pip install"):
        _library._load()


def test_broken_library_says_why_and_what_to_do(monkeypatch, tmp_path):
    broken = tmp_path / "_C.so"
    broken.write_text("no library")
    monkeypatch.setattr(_library, "_PATH", broken)
    with pytest.raises(ImportError, match=r"cannot be loaded beside torch .*Build it again") as caught:
        _library._load()
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("version", ["2.9.1", "1.13.0+cu117", "2.9.0a0+git1234", "unknown"])
def test_older_torch_is_an_error_that_names_both_versions(monkeypatch, version):
    monkeypatch.setattr(torch, "__version__", version)
    with pytest.raises(ImportError) as caught:
        _library._load()
    message = str(caught.value)
    assert "torch 2.10 or newer" in message
    assert version in message
    assert "pip install --upgrade torch" in message


@pytest.mark.parametrize("version", ["2.10.0", "2.13.0+cpu", "3.0.0a0+git1234"])
def test_newer_torch_is_accepted(monkeypatch, version):
    monkeypatch.setattr(torch, "__version__", version)
    _library._load()


WITHOUT_TORCH_AO = """
    import sys
    import torch

    for name in [name for name in sys.modules if name == "torch.ao" or name.startswith("torch.ao.")]:
        sys.modules[name] = None  # importing it from now on is an ImportError
    sys.modules["torch.ao.quantization"] = sys.modules["torch.ao.nn.quantized"] = None
    del torch.ao

    class Gone:
        def __getattr__(self, name):
            raise AssertionError(f"torch.ops.quantized.{name} was asked for")

    torch.ops.quantized = Gone()
    for name in ("quint8", "qint8", "qint32", "quantize_per_tensor", "quantize_per_channel", "per_tensor_affine"):
        if hasattr(torch, name):
            delattr(torch, name)

    import torchq
    import torchq.nn.quantized
    from torchq.quantization import QuantWrapper, convert, get_default_qconfig, prepare, quantize_dynamic

    q = torchq.quantize_per_tensor(torch.tensor([-1.0, 0.0, 1.0, 2.0]), 0.1, 10, torchq.quint8)
    print(torch.relu(q).int_repr().tolist())
    model = QuantWrapper(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())).eval()
    model.qconfig = get_default_qconfig("fbgemm")
    prepared = prepare(model)
    prepared(torch.randn(1, 3, 8, 8))
    print(tuple(convert(prepared)(torch.randn(1, 3, 8, 8)).shape))
    print(tuple(quantize_dynamic(torch.nn.Sequential(torch.nn.Linear(4, 5)).eval())(torch.randn(2, 4)).shape))
"""


def test_works_when_torch_ao_and_the_quantized_dtypes_are_gone():
    finished = run_python(WITHOUT_TORCH_AO)
    assert finished.stdout.splitlines() == ["[10, 10, 20, 30]", "(1, 4, 6, 6)", "(2, 5)"], finished.stderr


def test_importing_adds_no_module_of_torch_ao():
    finished = run_python("""
        import sys, torch
        before = set(sys.modules)
        import torchq, torchq.nn.quantized.dynamic, torchq.quantization
        print(sorted(name for name in set(sys.modules) - before if name.startswith("torch.ao")))
    """)
    assert finished.stdout.strip() == "[]", finished.stderr


def without_strings(path):
    """A source's code, without comments and with every string empty."""
    with tokenize.open(path) as file:
        source = file.read()
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.unparse(tree)


def test_sources_name_torch_ao_in_strings_only():
    """Nothing of torchq imports it, asks for its operators, or makes a tensor of a quantized dtype."""
    for path in (ROOT / "torchq").rglob("*.py"):
        code = without_strings(path)
        for forbidden in (
            "import torch.ao",
            "from torch.ao",
            "torch.ops.quantized",
            "torch.quantize_per_",
            "torch._empty_affine",
        ):
            assert forbidden not in code, path


def test_concurrent_python_threads_get_their_own_results():
    calls = [
        sample
        for op in ("linear", "convolution", "linear_dynamic", "quantize_per_tensor", "avg_pool")
        for sample in samples_of(op)
    ]
    calls = [sample for sample in calls if sample.expected.numel() < 20_000][::5]
    for sample in calls:
        assert torch.equal(sample.run().nan_to_num(), sample.expected.nan_to_num()), sample
    wrong, start = [], threading.Barrier(6)

    def work(shift: int) -> None:
        start.wait()
        for round_ in range(2):
            for index in range(len(calls)):
                sample = calls[(index * 7 + shift + round_) % len(calls)]
                if not torch.equal(sample.run().nan_to_num(), sample.expected.nan_to_num()):
                    wrong.append(str(sample))

    workers = [threading.Thread(target=work, args=(shift,)) for shift in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


def test_level_may_change_while_other_threads_compute(one_thread):
    """Results do not depend on it, so nobody may notice."""
    (sample,) = [sample for sample in samples_of("linear") if sample.name == "rows-97"]
    before, done, wrong = torchq.get_cpu_capability(), threading.Event(), []

    def compute() -> None:
        while not done.is_set():
            if not torch.equal(sample.run(), sample.expected):
                wrong.append(sample)

    worker = threading.Thread(target=compute)
    worker.start()
    try:
        for _ in range(100):
            for capability in torchq.cpu_capabilities():
                torchq.set_cpu_capability(capability)
    finally:
        done.set()
        worker.join()
        torchq.set_cpu_capability(before)
    assert wrong == []
