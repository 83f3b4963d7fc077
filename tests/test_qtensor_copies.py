"""QTensors are saved, loaded, copied and moved with their parameters."""

import copy
import io
import pickle

import pytest
import torch

import torchq

X = torch.linspace(-3, 3, 24).reshape(2, 3, 4)
QTENSORS = {
    "per-tensor": torchq.quantize_per_tensor(X, 0.05, 100, torchq.quint8),
    "per-tensor-int32": torchq.quantize_per_tensor(X, 1e-6, -7, torchq.qint32),
    "per-channel": torchq.quantize_per_channel(
        X, torch.tensor([0.1, 0.02, 0.05]), torch.tensor([1, -2, 3]), 1, torchq.qint8
    ),
    "scalar": torchq.quantize_per_tensor(torch.tensor(1.0), 0.05, 100, torchq.quint8),
    "empty": torchq.quantize_per_tensor(torch.ones(0, 3), 0.05, 100, torchq.quint8),
    "transposed": torchq.quantize_per_tensor(X, 0.05, 100, torchq.quint8).transpose(0, 2),
}


def saved_and_loaded(value, **options):
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, **options)


COPIES = {
    "pickle": lambda q: pickle.loads(pickle.dumps(q)),
    "save": lambda q: saved_and_loaded(q, weights_only=False),
    "save-weights-only": lambda q: saved_and_loaded(q, weights_only=True),
    "save-in-a-dictionary": lambda q: saved_and_loaded({"a": [q]}, weights_only=True)["a"][0],
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "clone": lambda q: q.clone(),
    "torch-clone": torch.clone,
    "detach": lambda q: q.detach(),
    "torch-detach": torch.detach,
    "data": lambda q: q.data,
    "cpu": lambda q: q.cpu(),
    "to-device": lambda q: q.to("cpu"),
    "to-device-object": lambda q: q.to(torch.device("cpu")),
    "to-device-and-dtype": lambda q: q.to("cpu", torch.float32),
    "to-float32": lambda q: q.to(torch.float32),
    "to-copy": lambda q: q.to("cpu", copy=True),
    "to-like": lambda q: q.to(torch.ones(1)),
    "contiguous": lambda q: q.contiguous(),
}
OF_THEIR_OWN = {"pickle", "save", "save-weights-only", "deepcopy", "clone", "torch-clone", "to-copy"}
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("q", QTENSORS.values(), ids=QTENSORS)
@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_copy_has_the_same_integers_and_parameters(duplicate, q):
    with torchq.no_float_fallback():
        result = duplicate(q)
        assert type(result) is torchq.QTensor
        assert result.has_qparams_of(q)
        assert torch.equal(result, q)
    assert result.qdtype is q.qdtype
    assert result.qscheme() is q.qscheme()
    assert torch.equal(result.int_repr(), q.int_repr())


@pytest.mark.parametrize("name", sorted(OF_THEIR_OWN))
def test_copy_has_memory_of_its_own(name):
    q = torchq.quantize_per_tensor(X, 0.05, 100, torchq.quint8)
    result = COPIES[name](q)
    q[:] = 0.0
    assert not torch.equal(result.int_repr(), q.int_repr())


@pytest.mark.parametrize("name", ["detach", "data", "copy", "cpu"])
def test_others_share_memory(name):
    q = torchq.quantize_per_tensor(X, 0.05, 100, torchq.quint8)
    result = COPIES[name](q)
    q[:] = 0.0
    assert torch.equal(result.int_repr(), q.int_repr())


def test_deepcopy_keeps_two_references_to_one_tensor():
    q = QTENSORS["per-tensor"]
    first, second = copy.deepcopy([q, q])
    assert first is second


def test_another_float_dtype_gives_plain_values():
    q = QTENSORS["per-tensor"]
    assert torch.equal(q.to(torch.float64), q.dequantize().double())
    assert torch.equal(q.double(), q.dequantize().double())
    assert torch.equal(q.float(), q.dequantize())


def test_memory_format_moves_the_integers():
    q = torchq.quantize_per_tensor(torch.randn(1, 3, 4, 5), 0.05, 100, torchq.quint8)
    for moved in (q.to(memory_format=torch.channels_last), q.contiguous(memory_format=torch.channels_last)):
        assert moved.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(moved, q)


def test_meta_device_keeps_the_parameters():
    q = QTENSORS["per-tensor"].to("meta")
    assert (q.device.type, q.shape, q.q_scale(), q.q_zero_point()) == ("meta", (2, 3, 4), 0.05, 100)


def test_module_carries_one_as_a_buffer():
    module = torch.nn.Module()
    module.register_buffer("q", QTENSORS["per-channel"])
    loaded = saved_and_loaded(module.state_dict(), weights_only=True)["q"]
    assert torch.equal(loaded, QTENSORS["per-channel"])
    assert torch.equal(copy.deepcopy(module).q, module.q)


def holder(q, parameter):
    module = torch.nn.Module()
    if parameter:
        module.q = torch.nn.Parameter(q, requires_grad=False)
    else:
        module.register_buffer("q", q)
    return module


@pytest.mark.parametrize("parameter", [False, True], ids=["buffer", "parameter"])
@pytest.mark.parametrize("q", QTENSORS.values(), ids=QTENSORS)
def test_state_of_equal_parameters_is_loaded_into_a_module(q, parameter):
    module = holder(q._with_data(torch.zeros_like(q.int_repr())), parameter)
    with torchq.no_float_fallback():
        module.load_state_dict(holder(q, parameter).state_dict())
    assert type(module.q) is torchq.QTensor
    assert torch.equal(module.q, q)


@pytest.mark.parametrize("assign", [False, True], ids=["copied", "assigned"])
@pytest.mark.parametrize("parameter", [False, True], ids=["buffer", "parameter"])
def test_state_of_other_parameters_is_loaded_with_them(parameter, assign):
    q = QTENSORS["per-tensor"]
    module = holder(torchq.QTensor(q.int_repr(), 0.1, 100), parameter)
    module.load_state_dict({"q": q}, assign=assign)
    assert torch.equal(module.q, q)


def test_parameter_is_one_without_a_gradient():
    q = QTENSORS["per-channel"]
    module = holder(q, parameter=True)
    assert [name for name, _ in module.named_parameters()] == ["q"]
    assert torch.equal(module.to("cpu").q, q)
    assert q.requires_grad_(False) is q


def test_equal_compares_parameters_too():
    q = torchq.quantize_per_tensor(X, 0.05, 100, torchq.quint8)
    same_integers = torchq.QTensor(q.int_repr(), 0.1, 100)
    assert torch.equal(q, q.clone())
    assert not torch.equal(q, same_integers)
    assert not q.equal(same_integers)
    assert torch.equal(q, q.dequantize())
