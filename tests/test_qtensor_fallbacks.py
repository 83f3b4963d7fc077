"""What has no integer form is computed in float, named and counted, or refused."""

import threading

import pytest
import torch
import torch.nn.functional as F

import torchq

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def q():
    torchq.float_fallbacks(clear=True)
    return torchq.quantize_per_tensor(torch.linspace(-2, 3, 12).reshape(3, 4), 0.05, 100, torchq.quint8)


@pytest.fixture
def channels():
    torchq.float_fallbacks(clear=True)
    scales, zero_points = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([1, 2, 3])
    return torchq.quantize_per_channel(torch.ones(3, 4), scales, zero_points, 0, torchq.quint8)


FLOAT_CALLS = {
    "torch.exp": torch.exp,
    "torch.Tensor.add": lambda q: q + 1.0,
    "torch.add": lambda q: torch.add(q, q),
    "torch.Tensor.matmul": lambda q: q @ q.t(),
    "torch.nn.functional.linear": lambda q: F.linear(q, torch.ones(2, 4)),
    "torch.nn.functional.elu": lambda q: F.elu(q, 0.1, False),
    "torch.softmax": lambda q: torch.softmax(q, 1),
    "torch.Tensor.sum": lambda q: q.sum(),
    "torch.where": lambda q: torch.where(torch.ones(3, 4) > 0, q, 0.0),
    "torch.Tensor.cumsum": lambda q: q.cumsum(1),
    "torch.nn.functional.dropout": lambda q: F.dropout(q, 0.0, training=True),
    "torch.Tensor.norm": lambda q: q.norm(),
    "torch.clamp": lambda q: torch.clamp(q, torch.tensor(0.0), torch.tensor(1.0)),
    "torch.cat": lambda q: torch.cat([q, torch.ones(1, 4)]),
}


@pytest.mark.parametrize(("name", "call"), FLOAT_CALLS.items(), ids=FLOAT_CALLS)
def test_computes_in_float_and_counts(name, call, q):
    result = call(q)
    assert type(result) is torch.Tensor
    assert torch.equal(result, call(q.dequantize()))
    assert torchq.float_fallbacks() == {name: 1}


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("torch.cat", lambda q: torch.cat([q, q], out=torch.empty(0))),
        ("torch.concatenate", lambda q: torch.concatenate([q, q], axis=1)),
        ("torch.stack", lambda q: torch.stack([q, q], out=torch.empty(0))),
        ("torch.Tensor.mean", lambda q: q.mean(axis=1)),
        ("torch.mean", lambda q: torch.mean(q, 1, out=torch.empty(0))),
        ("torch.clamp", lambda q: torch.clamp(q, 0.0, 1.0, out=torch.empty(0))),
    ],
    ids=["cat", "concatenate", "stack", "mean-axis", "mean-out", "clamp"],
)
def test_keywords_without_an_integer_form_are_torchs(name, call, q):
    assert torch.equal(call(q), call(q.dequantize()))
    assert torchq.float_fallbacks() == {name: 1}


def test_errors_of_type_are_not_taken_for_such_keywords(q):
    with pytest.raises(TypeError, match="float"):
        torch.clamp(q, "low", 1.0)
    with pytest.raises(TypeError):
        torch.cat([q, q], dim="first")
    assert torchq.float_fallbacks() == {}


@pytest.mark.parametrize(("name", "call"), FLOAT_CALLS.items(), ids=FLOAT_CALLS)
def test_is_refused_by_name_where_float_is_forbidden(name, call, q):
    with torchq.no_float_fallback(), pytest.raises(RuntimeError, match=rf"{name} has no integer form.*forbidden"):
        call(q)
    assert torchq.float_fallbacks() == {}


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("torch.relu", torch.relu),
        ("torch.Tensor.reshape", lambda q: q.reshape(-1)),
        ("torch.clamp", lambda q: torch.clamp(q, 0.0, 1.0)),
    ],
    ids=["relu", "reshape", "clamp"],
)
def test_channels_have_no_integer_form_of_these(name, call, channels):
    assert torch.equal(call(channels), call(channels.dequantize()))
    assert torchq.float_fallbacks() == {name: 1}


def test_int32_has_no_integer_relu(q):
    wide = torchq.quantize_per_tensor(torch.tensor([-1.0, 1.0]), 0.1, 0, torchq.qint32)
    assert torch.relu(wide).tolist() == [0.0, 1.0]
    assert torchq.float_fallbacks() == {"torch.relu": 1}


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32], ids=str)
@pytest.mark.parametrize(
    "view", [lambda q, dtype: q.view(dtype), lambda q, dtype: q.view(dtype=dtype)], ids=["position", "name"]
)
def test_integers_are_not_reinterpreted(view, dtype, q):
    """A view as another dtype shows the bits of the float values, as for any tensor, or is refused."""
    try:
        result = view(q, dtype)
    except (RuntimeError, TypeError):
        return
    assert torch.equal(result, q.dequantize().view(dtype))


def test_cat_of_differing_dtypes_is_float(q):
    other = torchq.quantize_per_tensor(torch.ones(1, 4), 0.05, 100, torchq.qint8)
    assert torch.equal(torch.stack([q[:1], other]), torch.stack([q[:1].dequantize(), other.dequantize()]))
    assert sum(torchq.float_fallbacks().values()) == 1


def test_counts_add_up_until_they_are_cleared(q):
    torch.exp(q)
    torch.exp(q)
    torch.sin(q)
    assert torchq.float_fallbacks(clear=True) == {"torch.exp": 2, "torch.sin": 1}
    assert torchq.float_fallbacks() == {}


def test_counts_that_were_handed_out_do_not_change(q):
    counts = torchq.float_fallbacks()
    torch.exp(q)
    assert counts == {}


def test_forbidding_ends_with_its_block(q):
    with torchq.no_float_fallback():
        with torchq.no_float_fallback():
            pass
        with pytest.raises(RuntimeError, match="forbidden"):
            torch.exp(q)
    torch.exp(q)


def test_forbidding_ends_with_an_error(q):
    with pytest.raises(KeyError), torchq.no_float_fallback():
        raise KeyError
    torch.exp(q)


def test_forbidding_is_a_matter_of_the_thread(q):
    results = []
    with torchq.no_float_fallback():
        worker = threading.Thread(target=lambda: results.append(torch.exp(q)))
        worker.start()
        worker.join()
    assert torch.equal(results[0], torch.exp(q.dequantize()))
