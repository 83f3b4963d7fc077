"""Recurrent cells with dynamic quantization; and what recurrent modules say of arguments that do not fit."""

import re
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import torchq
from torchq import ops
from torchq.nn.quantized import dynamic
from torchq.quantization import (
    QConfig,
    default_dynamic_qconfig,
    default_observer,
    float16_dynamic_qconfig,
    per_channel_dynamic_qconfig,
)

pytestmark = pytest.mark.usefixtures("one_thread")
IN, H, B = 6, 5, 3
CELLS = ["LSTMCell", "GRUCell", "RNNCell"]
KINDS = ["LSTM", "GRU", *CELLS]


def values(*size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def made(kind, qconfig=per_channel_dynamic_qconfig, **options):
    torch.manual_seed(0)
    module = getattr(nn, kind)(IN, H, **options).eval()
    module.qconfig = qconfig
    return getattr(dynamic, kind).from_float(module)


def tensors(result):
    return result if isinstance(result, tuple) else (result,)


def states(kind):
    hidden = values(B, H, seed=1)
    return (hidden, values(B, H, seed=2)) if kind.startswith("LSTM") else hidden


@pytest.mark.parametrize("granularity", ["per_tensor", "per_token"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_cell_gives_a_step_of_the_layer(kind, granularity):
    cell, layer = made(kind + "Cell", bias=False), made(kind, bias=False)
    cell.granularity = layer.granularity = granularity
    layer.set_weight_bias({f"{key}_l0": weight for key, weight in cell.get_weight().items()})
    x, hx = values(B, IN), states(kind)
    _, expected = layer(x[None], tuple(s[None] for s in hx) if kind == "LSTM" else hx[None])
    given = tensors(cell(x, hx))
    assert all(torch.equal(a, b[0]) for a, b in zip(given, tensors(expected), strict=True))


@pytest.mark.parametrize("granularity", ["per_tensor", "per_token"])
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_simple_cell_applies_its_function_to_the_sum_of_the_products(nonlinearity, granularity):
    cell, x, hx = made("RNNCell", nonlinearity=nonlinearity), values(B, IN), states("RNNCell")
    cell.granularity = granularity
    per_token = granularity == "per_token"

    def expected(reduce_range):
        ih, hh = (getattr(cell, which).operands() for which in ("ih", "hh"))
        sums = ops.linear_dynamic(hx, *hh, per_token, reduce_range) + ops.linear_dynamic(
            x, *ih, per_token, reduce_range
        )
        return getattr(torch, nonlinearity)(sums)

    assert torch.equal(cell(x, hx), expected(not per_token))
    assert not torch.equal(cell(x, hx), expected(per_token))


@pytest.mark.parametrize("kind", CELLS)
def test_no_state_means_zeros(kind):
    cell, x = made(kind), values(B, IN)
    zeros = torch.zeros(B, H)
    expected = tensors(cell(x, (zeros, zeros) if kind == "LSTMCell" else zeros))
    assert all(torch.equal(a, b) for a, b in zip(tensors(cell(x)), expected, strict=True))


@pytest.mark.parametrize("qconfig", [per_channel_dynamic_qconfig, float16_dynamic_qconfig], ids=["int8", "float16"])
@pytest.mark.parametrize("kind", CELLS)
def test_input_without_a_batch_is_a_batch_of_one(kind, qconfig):
    cell, x, hx = made(kind, qconfig), values(B, IN), states(kind)
    single = tuple(s[0] for s in hx) if kind == "LSTMCell" else hx[0]
    batch = tuple(s[:1] for s in hx) if kind == "LSTMCell" else hx[:1]
    given, expected = tensors(cell(x[0], single)), tensors(cell(x[:1], batch))
    assert all(torch.equal(a, b[0]) for a, b in zip(given, expected, strict=True))


@pytest.mark.parametrize("kind", CELLS)
def test_float16_weights_give_what_torch_gives_with_rounded_ones(kind):
    cell, x, hx = made(kind, float16_dynamic_qconfig), values(B, IN), states(kind)
    torch.manual_seed(0)
    rounded = getattr(nn, kind)(IN, H)
    with torch.no_grad():
        for parameter in (rounded.weight_ih, rounded.weight_hh):
            parameter.copy_(parameter.half())
        expected = tensors(rounded(x, hx))
    assert all(torch.equal(a, b) for a, b in zip(tensors(cell(x, hx)), expected, strict=True))


@pytest.mark.parametrize("kind", CELLS)
def test_computes_in_float32_and_keeps_the_dtype(kind):
    cell, x = made(kind), values(B, IN).half()
    given, expected = tensors(cell(x)), tensors(cell(x.float()))
    assert all(torch.equal(a, b.half()) for a, b in zip(given, expected, strict=True))


@pytest.mark.parametrize("dtype", [torchq.qint8, torch.float16], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_reference_module_becomes_the_quantized_one(kind, dtype):
    source = made(kind, float16_dynamic_qconfig if dtype is torch.float16 else default_dynamic_qconfig)
    weights, biases = source.get_weight(), source.get_bias()
    names = (
        "input_size",
        "hidden_size",
        "num_layers",
        "bias",
        "batch_first",
        "dropout",
        "bidirectional",
        "nonlinearity",
    )
    reference = SimpleNamespace(**{name: getattr(source, name) for name in names if hasattr(source, name)})
    if kind in CELLS:
        reference.weight_ih_dtype = dtype
        reference.get_quantized_weight_ih = lambda: weights["weight_ih"]
        reference.get_quantized_weight_hh = lambda: weights["weight_hh"]
        reference.bias_ih, reference.bias_hh = biases["bias_ih"], biases["bias_hh"]
    else:
        reference.weight_ih_l0_dtype = dtype
        reference.get_quantized_weight_bias_dict = lambda: {**weights, **biases}
    module = getattr(dynamic, kind).from_reference(reference)
    x = values(B, IN) if kind in CELLS else values(2, B, IN)
    assert torch.equal(tensors(module(x))[0], tensors(source(x))[0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: dynamic.LSTM(4, 3, dtype=torchq.quint8),
            "takes weights of torchq.qint8 or torch.float16, got torchq.q",
        ),
        (lambda: dynamic.GRUCell(4, 3, dtype=torch.float32), "or torch.float16, got torch.float32"),
        (lambda: dynamic.RNNBase("RNN", 4, 3), "mode must be 'LSTM' or 'GRU', got 'RNN'"),
        (lambda: dynamic.LSTM(4, 0), "must be at least 1, got 4, 0 and 1"),
        (lambda: dynamic.LSTMCell(0, 3), "must be at least 1, got 0 and 3"),
        (lambda: dynamic.GRU(4, 3, dropout=1.5), r"dropout must lie in [0, 1], got 1.5"),
        (lambda: dynamic.LSTM(4, 3, proj_size=3), r"proj_size must lie in [0, hidden_size) in an LSTM"),
        (lambda: dynamic.RNNBase("GRU", 4, 3, proj_size=2), "be 0 in a GRU, got 2"),
        (lambda: dynamic.RNNCell(4, 3, nonlinearity="elu"), "nonlinearity must be 'tanh' or 'relu', got 'elu'"),
        (lambda: dynamic.LSTM(4, 3, granularity="per_row"), "'per_tensor' or 'per_token', got 'per_row'"),
    ],
)
def test_argument_that_does_not_fit_is_an_error_naming_it(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


@pytest.mark.parametrize(
    ("kind", "arguments", "error", "message"),
    [
        (
            "LSTM",
            lambda: (values(2, B, 7),),
            ValueError,
            f"takes an input of shape [T, B, {IN}] or [T, {IN}], got (2, 3, 7)",
        ),
        ("GRU", lambda: (values(IN),), ValueError, "got (6,)"),
        (
            "LSTM",
            lambda: (values(2, B, IN), (values(1, B, H), values(2, B, H))),
            ValueError,
            "a cell state of shape (1, 3, 5)",
        ),
        (
            "GRU",
            lambda: (values(2, B, IN), values(1, 2, H)),
            ValueError,
            "a hidden state of shape (1, 3, 5), got (1, 2, 5)",
        ),
        ("GRU", lambda: (values(2, IN), values(1, B, H)), ValueError, "a hidden state of shape (1, 5), got (1, 3, 5)"),
        (
            "LSTM",
            lambda: (values(2, B, IN), values(1, B, H)),
            TypeError,
            "takes a hidden and a cell state, got a Tensor",
        ),
        (
            "LSTM",
            lambda: (values(2, B, IN), (values(1, B, H),)),
            TypeError,
            "takes a hidden and a cell state, got 1 values",
        ),
        ("GRU", lambda: (values(2, B, IN).long(),), TypeError, "takes a float tensor, got torch.int64"),
        ("GRU", lambda: (values(2, B, IN), [0.0]), TypeError, "hidden state takes a float tensor, got a list"),
        (
            "LSTMCell",
            lambda: (values(2, B, IN),),
            ValueError,
            f"takes an input of shape [B, {IN}] or [{IN}], got (2, 3, 6)",
        ),
        ("GRUCell", lambda: (values(B, IN), values(2, H)), ValueError, "a hidden state of shape (3, 5), got (2, 5)"),
        ("RNNCell", lambda: (values(B, IN), values(H)), ValueError, "a hidden state of shape (3, 5), got (5,)"),
        ("LSTMCell", lambda: (values(B, IN), values(B, H)), TypeError, "takes a hidden and a cell state, got a Tensor"),
    ],
)
def test_input_that_does_not_fit_is_an_error_naming_both(kind, arguments, error, message):
    with pytest.raises(error, match=f"DynamicQuantized{kind}.*{re.escape(message)}"):
        made(kind)(*arguments())


def test_weights_that_do_not_fit_change_nothing():
    module, x = made("LSTM"), values(2, B, IN)
    before, good = module(x)[0], {**module.get_weight(), **module.get_bias()}
    wrong = {
        "takes weight_ih_l0, .*; bias_ih_l0 is missing, nothing is too much": {"bias_ih_l0": None},
        "nothing is missing, weight_ih_l1 is too much": {"weight_ih_l1": good["weight_ih_l0"]},
        r"weight_hh_l0 of DynamicQuantizedLSTM takes a weight of shape \(20, 5\)": {
            "weight_hh_l0": good["weight_ih_l0"]
        },
    }
    for message, change in wrong.items():
        with pytest.raises(ValueError, match=message):
            module.set_weight_bias({**good, **change})
    with pytest.raises(TypeError, match="weight_hh_l0 of DynamicQuantizedLSTM takes a QTensor as weight, got Tensor"):
        module.set_weight_bias({**good, "weight_hh_l0": values(20, 5)})
    assert torch.equal(module(x)[0], before)


def test_float16_weight_that_does_not_fit_is_an_error():
    cell = made("GRUCell", float16_dynamic_qconfig)
    weights, biases = cell.get_weight(), cell.get_bias()
    for value, error, message in (
        (
            torch.full((15, 6), 70000.0),
            ValueError,
            "takes a weight that float16 can hold, up to 65504.0, got .* 70000.0",
        ),
        (torch.full((15, 6), float("nan")), ValueError, "takes a weight that float16 can hold"),
        (torch.zeros(15, 5), ValueError, r"takes a weight of shape \(15, 6\), got \(15, 5\)"),
        (torch.zeros(15, 6).int(), TypeError, "takes a float tensor as weight, got torch.int32"),
    ):
        with pytest.raises(error, match=f"weight_ih of DynamicQuantizedGRUCell {message}"):
            cell.set_weight_bias({"weight": {**weights, "weight_ih": value}, "bias": biases})
    with pytest.raises(ValueError, match=r"takes a bias of shape \(15,\), got \(3,\)"):
        cell.set_weight_bias({"weight": weights, "bias": {**biases, "bias_ih": torch.zeros(3)}})


def test_state_of_another_dtype_is_an_error():
    int8, half = (made("GRUCell", qconfig) for qconfig in (default_dynamic_qconfig, float16_dynamic_qconfig))
    with pytest.raises(RuntimeError, match=r"weight must be torch\.float16, got torch\.int8"):
        half.load_state_dict(int8.state_dict(), strict=False)
    int8.granularity = "per_token"
    with pytest.raises(RuntimeError, match="quantizes no input, got granularity='per_token'"):
        half.load_state_dict({"per_token": int8.state_dict()["per_token"]}, strict=False)


def test_other_type_or_qconfig_is_an_error():
    module = nn.GRU(IN, H)
    with pytest.raises(ValueError, match="GRU has no qconfig"):
        dynamic.GRU.from_float(module)
    module.qconfig = default_dynamic_qconfig
    with pytest.raises(TypeError, match=r"LSTM\.from_float takes LSTM, got GRU"):
        dynamic.LSTM.from_float(module)
    module.qconfig = QConfig(activation=default_observer, weight=default_observer)
    with pytest.raises(ValueError, match=r"weights must be observed with dtype torchq\.qint8, got torchq\.quint8"):
        dynamic.GRU.from_float(module)
