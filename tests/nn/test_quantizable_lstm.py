"""The LSTM in parts, in float: it computes what nn.LSTM computes."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

import torchq
from torchq.nn import quantizable, quantized
from torchq.quantization import default_qconfig, get_default_qat_qconfig, prepare
from torchq.quantization.hooks import has_observer

pytestmark = pytest.mark.usefixtures("one_thread")
WIDTH, HIDDEN, T, B = 6, 5, 4, 3
OPTIONS = {
    "plain": {},
    "layers": {"num_layers": 3, "bias": False},
    "both-ways": {"num_layers": 2, "bidirectional": True},
    "batch-first": {"batch_first": True, "bidirectional": True},
}


def values(*size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def made(name, qconfig=default_qconfig, **more):
    torch.manual_seed(0)
    module = nn.LSTM(WIDTH, HIDDEN, **OPTIONS[name], **more).eval()
    module.qconfig = qconfig
    return module


def example(name):
    return values(B, T, WIDTH) if name == "batch-first" else values(T, B, WIDTH)


def states(module, *batch):
    count = module.num_layers * (2 if module.bidirectional else 1)
    return values(count, *batch, HIDDEN, seed=1), values(count, *batch, HIDDEN, seed=2)


def parts(result):
    return [result[0], *result[1]]


def assert_near(given, expected):
    # Sums of at most 16 products of values below 4, in another order, over at most 12 steps that do not grow.
    assert given.shape == expected.shape
    assert (given - expected).abs().max() <= 12 * 16 * 4 * 2**-24


@pytest.mark.parametrize("split_gates", [False, True], ids=["joined", "split"])
@pytest.mark.parametrize("name", OPTIONS)
def test_computes_what_the_float_module_computes(name, split_gates):
    module, x = made(name), example(name)
    observed = quantizable.LSTM.from_float(module, split_gates=split_gates)
    for hx in (None, states(module, B)):
        for given, expected in zip(parts(observed(x, hx)), parts(module(x, hx)), strict=True):
            assert_near(given, expected)


@pytest.mark.parametrize("name", OPTIONS)
def test_input_without_a_batch_is_a_batch_of_one(name):
    module, x = made(name), values(T, WIDTH)
    hx = states(module)
    for given, expected in zip(parts(quantizable.LSTM.from_float(module)(x, hx)), parts(module(x, hx)), strict=True):
        assert_near(given, expected)


@pytest.mark.parametrize("split_gates", [False, True], ids=["joined", "split"])
@pytest.mark.parametrize("bias", [False, True])
def test_cell_computes_what_the_float_cell_computes(bias, split_gates):
    torch.manual_seed(0)
    cell = nn.LSTMCell(WIDTH, HIDDEN, bias)
    cell.qconfig = default_qconfig
    given = quantizable.LSTMCell.from_float(cell, split_gates=split_gates)
    for hx in (None, (values(B, HIDDEN, seed=1), values(B, HIDDEN, seed=2))):
        for ours, expected in zip(given(values(B, WIDTH), hx), cell(values(B, WIDTH), hx), strict=True):
            assert_near(ours, expected)
    assert given.igates.qconfig is default_qconfig


def test_cell_begins_with_zeros_of_its_own_scales_and_dtypes():
    cell = quantizable.LSTMCell(4, 3)
    assert [state.tolist() for state in cell.initialize_hidden(1)] == [[[0.0] * 3]] * 2
    cell.initial_hidden_state_qparams, cell.hidden_state_dtype = (0.5, -3), torchq.qint8
    cell.initial_cell_state_qparams = (0.25, 7)
    hidden, state = cell.initialize_hidden(2, is_quantized=True)
    assert (hidden.q_scale(), hidden.q_zero_point(), hidden.qdtype) == (0.5, -3, torchq.qint8)
    assert (state.q_scale(), state.q_zero_point(), state.qdtype) == (0.25, 7, torchq.quint8)
    assert torch.equal(state.dequantize(), torch.zeros(2, 3))


def test_linear_layers_and_functionals_are_observed_and_nothing_else():
    observed = quantizable.LSTM.from_float(made("both-ways"))
    names = {name.rpartition(".")[2] for name, part in observed.named_modules() if has_observer(part)}
    assert names == {"igates", "hgates", "gates", "fgate_cx", "igate_cgate", "fgate_cx_igate_cgate", "ogate_cy"}
    assert sum(has_observer(part) for part in observed.modules()) == 4 * 7
    assert not observed.training


def test_training_module_gets_fake_quantizers_and_gradients():
    module = made("layers", get_default_qat_qconfig(), dropout=0.5).train()
    observed = quantizable.LSTM.from_float(module)
    assert observed.training
    cell = observed.layers[0].layer_fw.cell
    assert type(cell.igates) is torchq.nn.qat.Linear
    x = example("layers")
    output, _ = observed(x)
    assert not torch.equal(observed(x)[0], output)  # dropout
    output.sum().backward()
    assert cell.igates.weight.grad.abs().sum() > 0


def test_changing_the_parts_leaves_the_float_module_alone():
    module = made("plain")
    before = module.weight_ih_l0.clone()
    observed = quantizable.LSTM.from_float(module)
    with torch.no_grad():
        observed.layers[0].layer_fw.cell.igates.weight.zero_()
    assert torch.equal(module.weight_ih_l0, before)


def test_qconfig_may_be_given():
    module = nn.LSTM(4, 3).eval()
    observed = quantizable.LSTM.from_float(module, default_qconfig)
    assert has_observer(observed.layers[0].layer_fw.cell.igates)
    with pytest.raises(ValueError, match="QuantizableLSTM is made of a module with a qconfig, got none"):
        quantizable.LSTM.from_float(module)


def test_observers_are_named_after_the_module_in_the_model():
    model = nn.ModuleDict({"rnn": made("plain")}).eval()
    model.qconfig = default_qconfig
    cell = prepare(model)["rnn"].layers[0].layer_fw.cell
    assert cell.igates.activation_post_process.module_name == "rnn.layers.0.layer_fw.cell.igates"
    with pytest.raises(ValueError, match=r"rnn\.layers\.0\.layer_fw\.cell\.gates"):
        cell.gates.add(torch.tensor([float("nan")]), torch.zeros(1))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: quantizable.LSTM(4, 3, dropout=2), ValueError, r"dropout must lie in \[0, 1\], got 2"),
        (lambda: quantizable.LSTM.from_float(nn.GRU(4, 3)), TypeError, "takes LSTM, got GRU"),
        (lambda: quantizable.LSTM.from_float(nn.LSTM(4, 3, proj_size=2)), ValueError, "got other.proj_size=2"),
        (lambda: quantizable.LSTMCell.from_float(nn.GRUCell(4, 3)), TypeError, "takes LSTMCell, got GRUCell"),
        (lambda: quantizable.LSTMCell.from_float(nn.LSTMCell(4, 3)), ValueError, "LSTMCell has no qconfig"),
        (
            lambda: quantizable.LSTMCell.from_params(values(12, 4), values(12, 3), values(12)),
            ValueError,
            "bi and bh go together",
        ),
        (lambda: quantized.LSTM.from_observed(nn.LSTM(4, 3)), TypeError, "takes quantizable.LSTM, got LSTM"),
        (lambda: quantized.LSTM.from_float(nn.LSTM(4, 3)), NotImplementedError, "made of an observed"),
        (lambda: quantizable.LSTM.from_observed(nn.LSTM(4, 3)), NotImplementedError, "made of an observed one"),
    ],
)
def test_module_that_cannot_be_made_is_an_error(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (lambda: (values(T, B, 7),), ValueError, r"shape \[T, B, 6\] or \[T, 6\], got \(4, 3, 7\)"),
        (lambda: (values(0, B, WIDTH),), ValueError, r"got \(0, 3, 6\)"),
        (
            lambda: (values(T, B, WIDTH), (values(1, B, 4), values(1, B, 5))),
            ValueError,
            r"a hidden state .*, 3, 5\)",
        ),
        (lambda: (values(T, B, WIDTH), (values(1, B, 5), values(2, B, 5))), ValueError, r"a cell state .* \(1, 3, 5\)"),
        (lambda: (pack_sequence([values(2, WIDTH)]),), TypeError, "takes a tensor, got a PackedSequence"),
    ],
)
def test_input_that_does_not_fit_is_an_error(arguments, error, message):
    with pytest.raises(error, match=f"QuantizableLSTM takes .*{message}|QuantizableLSTM {message}"):
        quantizable.LSTM(WIDTH, HIDDEN)(*arguments())
