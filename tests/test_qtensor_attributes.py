"""Asked what it is, a QTensor answers as the float tensor that it stands for."""

import pytest
import torch
from torch import Tensor

import torchq
from torchq.qtensor_functions import FUNCTIONS

# Where the answer has to differ: addresses, and that it is a subclass; and one that warns.
ITS_OWN = {"_cdata", "_python_dispatch", "volatile"}
TENSORS = {"T", "mT", "H", "mH", "data", "real"}
GETTERS = sorted(f.__self__.__name__ for f in FUNCTIONS if getattr(f, "__name__", "") == "__get__")
ATTRIBUTES = [name for name in GETTERS if name not in ITS_OWN | TENSORS]
# No float, whose dtype is cast with a module's.
METHODS = sorted({f.__name__ for f in FUNCTIONS if f.__name__.startswith(("is_", "_is_"))} - {"is_floating_point"})
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(params=["contiguous", "channels-last", "transposed"])
def pair(request):
    x = torch.linspace(-1, 1, 120).reshape(2, 3, 4, 5)
    if request.param == "channels-last":
        x = x.contiguous(memory_format=torch.channels_last)
    elif request.param == "transposed":
        x = x.transpose(1, 2)
    q = torchq.quantize_per_tensor(x, 0.1, 10, torchq.quint8)
    return q, q.dequantize()


def answer(ask, x):
    """What it says; the kind of the error where it does not."""
    try:
        return ask(x)
    except (RuntimeError, TypeError) as error:
        return type(error)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_attribute_is_the_float_tensors(name, pair):
    q, x = pair
    with torchq.no_float_fallback():
        assert answer(lambda t: getattr(t, name), q) == answer(lambda t: getattr(t, name), x)


@pytest.mark.parametrize("name", METHODS)
def test_question_is_answered_as_by_the_float_tensor(name, pair):
    q, x = pair
    with torchq.no_float_fallback():
        assert answer(lambda t: getattr(t, name)(), q) == answer(lambda t: getattr(t, name)(), x)


@pytest.mark.parametrize(
    "ask",
    [
        Tensor.size,
        lambda t: t.size(-1),
        Tensor.stride,
        lambda t: t.stride(0),
        Tensor.dim,
        Tensor.ndimension,
        Tensor.numel,
        Tensor.nelement,
        torch.numel,
        len,
        Tensor.element_size,
        Tensor.storage_offset,
        Tensor.get_device,
        lambda t: t.is_contiguous(memory_format=torch.channels_last),
        torch.is_tensor,
        torch.is_complex,
        torch.get_device,
    ],
    ids=lambda ask: getattr(ask, "__name__", ""),
)
def test_size_and_layout_are_the_float_tensors(ask, pair):
    q, x = pair
    assert ask(q) == ask(x)


@pytest.mark.parametrize("cast", ["float", "half", "double", "bfloat16"])
def test_casting_a_module_leaves_its_qtensors_alone(cast):
    q = torchq.quantize_per_tensor(torch.ones(2), 0.1, 0, torchq.quint8)
    module = torch.nn.Linear(2, 3)
    module.register_buffer("q", q)
    with torchq.no_float_fallback():
        getattr(module, cast)()
        module.to(torch.float16)
    assert torch.equal(module.q.int_repr(), q.int_repr())
    assert module.weight.dtype == torch.float16


@pytest.mark.parametrize("ask", [Tensor.is_floating_point, torch.is_floating_point])
def test_is_no_floating_point_tensor(ask):
    assert ask(torchq.quantize_per_tensor(torch.ones(2), 0.1, 0, torchq.quint8)) is False


def test_serves_as_a_key():
    q, other = (torchq.quantize_per_tensor(torch.ones(2), 0.1, 0, torchq.quint8) for _ in range(2))
    assert {q: "a", other: "b"}[q] == "a"


def test_formats_as_it_prints():
    q = torchq.quantize_per_tensor(torch.ones(2), 0.1, 0, torchq.quint8)
    torchq.float_fallbacks(clear=True)
    assert f"{q}" == str(q) == repr(q)
    assert torchq.float_fallbacks() == {}


def test_one_element_takes_a_format_specification():
    q = torchq.quantize_per_tensor(torch.tensor([0.5, 0.9]), 0.1, 0, torchq.quint8)
    assert f"{q.max():.3f}" == "0.900"
    assert f"{q[0]:>6.1f}" == "   0.5"
    with pytest.raises(TypeError, match="unsupported format string"):
        f"{q:.3f}"
