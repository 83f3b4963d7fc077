"""Files that torch.save wrote of torch.ao's models."""

import io
import subprocess
import sys

import pytest
import torch
from torch import nn

import torchq.quantization
from migrate import there
from migrate.compare import assert_same_states
from quantization.fx import nets
from torchq import migrate
from torchq.nn import quantized
from torchq.quantization import backend_config, get_default_qconfig_mapping
from torchq.quantization.quantize_fx import convert_fx

pytestmark = pytest.mark.usefixtures("one_thread")
NATIVE = backend_config.get_native_backend_config()


def saved(value):
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return file


@pytest.fixture
def eager(torch_ao):
    return there.quantized(torch_ao, torch.ao.nn.quantized.FloatFunctional)


@pytest.fixture
def graph(torch_ao):
    """A model of graph mode, whose second layer is a function."""
    from torch.ao.quantization import quantize_fx

    mapping = torch_ao.get_default_qconfig_mapping("fbgemm")
    observed = nets.prepared(torch_ao, nets.built(nets.Perceptron), mapping)
    return quantize_fx.convert_fx(observed)


def another(seed=5):
    """A model of torchq with other weights and qparams."""
    return there.quantized(torchq.quantization, quantized.FloatFunctional, seed)


def another_graph():
    model = nets.built(nets.Perceptron, seed=5)
    observed = nets.prepared(torchq.quantization, model, get_default_qconfig_mapping("fbgemm"), backend_config=NATIVE)
    return convert_fx(observed, backend_config=NATIVE)


def assert_same(given, expected):
    for value, other in zip(nets.flat(given), nets.flat(expected), strict=True):
        assert torch.equal(value, other)


def test_loads_a_whole_model(eager):
    x = torch.randn(5, 3, 12, 12)
    assert torch.equal(migrate.load(saved(eager))(x), eager(x))


def test_loads_a_whole_model_of_graph_mode(graph):
    x = nets.inputs(nets.Perceptron, 9)
    assert_same(migrate.load(saved(graph))(x), graph(x))


def test_fills_a_model_with_a_saved_state(eager):
    x, model = torch.randn(5, 3, 12, 12), another()
    assert not torch.equal(model(x), eager(x))
    assert migrate.load(saved(eager.state_dict()), model) is model
    assert torch.equal(model(x), eager(x))


def test_fills_a_model_of_graph_mode_with_a_saved_state(graph):
    x, model = nets.inputs(nets.Perceptron, 9), another_graph()
    assert_same(migrate.load(saved(graph.state_dict()), model)(x), graph(x))


@pytest.mark.parametrize("dtype", [torch.qint8, torch.float16], ids=["qint8", "float16"])
@pytest.mark.parametrize("name", there.RECURRENT)
def test_fills_a_recurrent_model_with_a_saved_state(torch_ao, name, dtype):
    theirs, x = there.recurrent(torch_ao, name, dtype), torch.randn(there.RECURRENT[name][1])
    model = there.recurrent(torchq.quantization, name, dtype, seed=5)
    assert_same_states(migrate.load(saved(theirs.state_dict()), model)(x), theirs(x))
    assert_same_states(migrate.load(saved(theirs))(x), theirs(x))


def test_file_may_be_a_path(eager, tmp_path):
    torch.save(eager, tmp_path / "model.pt")
    assert type(migrate.load(tmp_path / "model.pt").conv).__name__ == "ConvReLU2d"


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("dtype", ["quint8", "qint8", "qint32", "quint4x2"])
def test_tensors_in_a_state_become_qtensors(dtype, per_channel):
    x = torch.randn(4, 6)
    if dtype == "quint4x2" or per_channel:
        if dtype in ("quint8", "quint4x2"):
            q = torch.quantize_per_channel(x, torch.rand(4) + 0.1, torch.rand(4), 0, getattr(torch, dtype))
        else:
            q = torch.quantize_per_channel(
                x.t(), torch.rand(4) + 0.1, torch.zeros(4, dtype=torch.long), 1, getattr(torch, dtype)
            )
    else:
        q = torch.quantize_per_tensor(x, 0.1, 3, getattr(torch, dtype))
    layer = torch.load(saved({"q": q}), pickle_module=migrate.reading, weights_only=False)["q"]
    assert torch.equal(layer.dequantize(), q.dequantize())
    assert str(layer.qdtype) == f"torchq.{dtype}"


def test_state_of_a_layer_with_a_scale_that_torch_ao_does_not_save_is_refused(torch_ao):
    with pytest.raises(ValueError, match=r"torch\.ao saves no scale of '1', a ELU: migrate the model itself"):
        migrate.convert_state_dict({}, nn.Sequential(nn.ReLU(), quantized.ELU(0.1, 0)))


def test_state_of_another_model_is_refused(eager):
    with pytest.raises(RuntimeError, match="Missing key"):
        migrate.load(saved(eager.state_dict()), nn.Sequential(quantized.Linear(2, 3)))


def test_entry_that_is_no_tensor_is_refused():
    with pytest.raises(TypeError, match=r"cannot migrate 'layer\.extra', a dict"):
        migrate.convert_state_dict({"layer.extra": {}}, nn.Module())


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:'torch.load' received a zip file:UserWarning")
def test_program_of_torchscript_is_refused():
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(nn.ReLU()), file)
    file.seek(0)
    with pytest.raises(TypeError, match="a TorchScript program"):
        migrate.load(file)


@pytest.mark.parametrize(
    ("value", "model", "message"),
    [
        ([1], None, "holds a list"),
        ({}, None, "needs a model"),
        (nn.ReLU(), nn.ReLU(), "whole model, a ReLU"),
    ],
)
def test_file_that_does_not_fit_is_refused(value, model, message):
    with pytest.raises(TypeError, match=message):
        migrate.load(saved(value), model)


# torch itself imports torch.ao; what is None cannot be imported again.
WITHOUT_TORCH_AO = """
import sys
import torch
gone = ("torch.ao.", "torch.nn.quantized", "torch.nn.intrinsic")
for name in [name for name in sys.modules if name.startswith(gone)]:
    sys.modules[name] = None
from torchq import migrate
model = migrate.load(sys.argv[1])
torch.save(model(torch.load(sys.argv[2])), sys.argv[3])
"""


def test_loads_without_torch_ao(eager, tmp_path):
    model, x = nn.Sequential(eager.quant, eager.conv, eager.dequant), torch.randn(2, 3, 12, 12)
    files = [str(tmp_path / name) for name in ("model", "input", "output")]
    torch.save(model, files[0])
    torch.save(x, files[1])
    subprocess.run([sys.executable, "-c", WITHOUT_TORCH_AO, *files], check=True)
    assert torch.equal(torch.load(files[2]), model(x))
