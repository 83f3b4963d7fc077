"""LSTM and attention through prepare and convert, and for training."""

import copy

import pytest
import torch
from torch import nn

import torchq
from torchq.nn import quantizable, quantized
from torchq.quantization import (
    MinMaxObserver,
    QConfig,
    QuantStub,
    convert,
    default_qconfig,
    get_default_qat_qconfig,
    get_default_qconfig,
    prepare,
    prepare_qat,
    quantize,
    quantize_qat,
)

pytestmark = pytest.mark.usefixtures("one_thread")
WIDTH, T, B = 8, 6, 4
KINDS = {
    "LSTM": lambda: nn.LSTM(WIDTH, WIDTH, 2, dropout=0.1),
    "MultiheadAttention": lambda: nn.MultiheadAttention(WIDTH, 2),
}


class Model(nn.Module):
    def __init__(self, kind):
        super().__init__()
        torch.manual_seed(0)
        self.quant = QuantStub()
        self.part = KINDS[kind]()

    def forward(self, x):
        x = self.quant(x)
        return self.part(x)[0] if isinstance(self.part, nn.LSTM | quantizable.LSTM) else self.part(x, x, x)[0]


def values(seed=0):
    return torch.randn(T, B, WIDTH, generator=torch.Generator().manual_seed(seed))


def run(model):
    for seed in range(3):
        model(values(seed))


def made(kind, qconfig=None):
    model = Model(kind).eval()
    model.qconfig = get_default_qconfig() if qconfig is None else qconfig
    return model


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def test_becomes_a_module_in_parts_and_then_a_quantized_one(kind):
    model = made(kind)
    prepared = prepare(model)
    assert type(prepared.part) is getattr(quantizable, kind)
    run(prepared)
    with torchq.no_float_fallback():
        given = convert(prepared)(values(9))
    converted = convert(prepared)
    assert type(converted.part) is getattr(quantized, kind)
    assert torchq.quantization.float_modules(converted) == {}
    # A few steps of 8 bits, of values up to 1.
    assert (given.dequantize() - model(values(9))).abs().max() <= 0.06
    assert (given.dequantize() - model(values(9))).abs().max() > 0
    assert type(model.part) is getattr(nn, kind)


def test_one_call_does_the_same(kind):
    model = made(kind)
    prepared = prepare(model)
    run(prepared)
    given = quantize(model, run, ())
    assert type(given.part) is getattr(quantized, kind)
    assert torch.equal(given(values(9)), convert(prepared)(values(9)))


def test_state_fills_another_converted_model_and_one_made_by_hand(kind):
    first = quantize(made(kind), run, ())
    other = quantize(made(kind, default_qconfig), run, ())
    assert not torch.equal(other(values(9)).dequantize(), first(values(9)).dequantize())
    other.load_state_dict(first.state_dict())
    assert torch.equal(other(values(9)), first(values(9)))
    arguments = (WIDTH, WIDTH, 2) if kind == "LSTM" else (WIDTH, 2)
    other.part = getattr(quantized, kind)(*arguments)
    other.load_state_dict(first.state_dict())
    assert torch.equal(other(values(9)), first(values(9)))
    assert torch.equal(copy.deepcopy(first)(values(9)), first(values(9)))


def test_uncalibrated_module_is_an_error_naming_it(kind):
    prepared = prepare(made(kind))
    prepared.quant(values())
    inner = "0.layer_fw.cell.igates" if kind == "LSTM" else "out_proj"
    with pytest.raises(RuntimeError, match=rf"cannot convert 'part': cannot convert '{inner}'"):
        convert(prepared)


def test_trains_with_fake_quantizers_and_converts(kind):
    model = made(kind, get_default_qat_qconfig()).train()
    trained = prepare_qat(model)
    layer = trained.part.layers[0].layer_fw.cell.igates if kind == "LSTM" else trained.part.linear_Q
    assert type(layer) is torchq.nn.qat.Linear
    before = layer.weight.clone()
    optimizer = torch.optim.SGD(trained.parameters(), 0.1)
    for seed in range(4):
        optimizer.zero_grad()
        trained(values(seed)).square().mean().backward()
        optimizer.step()
    assert not torch.equal(layer.weight, before)
    trained.eval()
    expected = trained(values(9))
    converted = convert(trained)
    assert type(converted.part) is getattr(quantized, kind)
    # What is simulated, but for ties and sums that fake quantization adds in another order.
    assert (converted(values(9)).dequantize() - expected).abs().max() <= 0.05


def test_one_call_trains_and_converts(kind):
    model = made(kind, get_default_qat_qconfig())

    def train(trained):
        trained(values()).sum().backward()

    assert type(quantize_qat(model, train, ()).part) is getattr(quantized, kind)


def watch_by_hook(cell, seen):
    cell.input_gate.register_forward_hook(lambda *_: seen.append("input_gate"))


def watch_by_observer(cell, seen):
    cell.gates.activation_post_process = Watcher(seen)


def put_a_part_in(cell, seen):
    cell.cell_gate = WatchedTanh(seen)


class Watcher(nn.Module):
    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def forward(self, x):
        self.seen.append("watcher")
        return x


class WatchedTanh(Watcher):
    def forward(self, x):
        return torch.tanh(super().forward(x))


@pytest.mark.parametrize("watch", [watch_by_hook, watch_by_observer, put_a_part_in])
def test_parts_of_an_lstm_that_are_watched_compute_the_same(watch):
    model, seen = quantize(made("LSTM"), run, ()), []
    expected, states = model.part(model.quant(values(9)))
    watch(model.part.layers[1].layer_fw.cell, seen)
    given, last = model.part(model.quant(values(9)))
    assert len(seen) == T
    assert torch.equal(given, expected)
    assert all(torch.equal(a, b) for a, b in zip(last, states, strict=True))


@pytest.mark.parametrize("dtype", [torchq.quint8, torchq.qint8], ids=str)
@pytest.mark.parametrize("split_gates", [False, True], ids=["joined", "split"])
def test_gates_may_be_split_and_activations_signed(dtype, split_gates):
    torch.manual_seed(0)
    module = nn.LSTM(WIDTH, WIDTH, bidirectional=True).eval()
    module.qconfig = QConfig(MinMaxObserver.with_args(dtype=dtype), default_qconfig.weight)
    observed = quantizable.LSTM.from_float(module, split_gates=split_gates)
    expected, _ = observed(values())
    x = torchq.quantize_per_tensor(values(), 0.03, 128 if dtype is torchq.quint8 else 0, dtype)
    lstm = quantized.LSTM.from_observed(observed)
    assert lstm.split_gates is split_gates
    with torchq.no_float_fallback():
        given, (hidden, cell) = lstm(x)
        again, _ = lstm(x[:3])
    assert given.qdtype is hidden.qdtype is cell.qdtype is dtype
    assert (given.dequantize() - expected).abs().max() <= 0.15
    assert torch.equal(again[..., :WIDTH], given[:3, :, :WIDTH])


def test_steps_go_on_from_the_states_of_those_before():
    lstm = quantize(made("LSTM"), run, ()).part
    x = torchq.quantize_per_tensor(values(), 0.03, 128, torchq.quint8)
    lstm.layers = lstm.layers[:1]  # joined states of several layers have one scale
    lstm.num_layers = 1
    expected, (_, cell) = lstm(x)
    first, states = lstm(x[:2])
    rest, (_, last) = lstm(x[2:], states)
    assert torch.equal(torch.cat([first, rest]), expected)
    assert torch.equal(last, cell)


def test_model_without_anything_to_train_is_an_error():
    model = nn.Sequential(nn.ReLU()).train()
    model.qconfig = get_default_qat_qconfig()
    with pytest.raises(ValueError, match="found nothing to quantize"):
        prepare_qat(model)


def test_empty_dictionary_leaves_them_in_float(kind):
    prepared = prepare(made(kind), prepare_custom_config_dict={})
    assert type(prepared.part) is getattr(nn, kind)


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"kdim": 6, "vdim": 5}, {"add_bias_kv": True}], ids=str)
def test_dequantized_attention_has_the_weights_as_they_are_quantized(options):
    torch.manual_seed(0)
    module = nn.MultiheadAttention(WIDTH, 2, **options).eval()
    for parameter in module.parameters():
        parameter.data.normal_()
    module.qconfig = get_default_qconfig()
    observed = quantizable.MultiheadAttention.from_float(module)
    inputs = [torch.randn(T, B, width) for width in (WIDTH, module.kdim, module.vdim)]
    observed(*inputs)
    attention = quantized.MultiheadAttention.from_observed(observed)
    given = attention.dequantize()
    assert type(given) is nn.MultiheadAttention
    state, expected = given.state_dict(), module.state_dict()
    assert state.keys() == expected.keys()
    for key, value in state.items():
        exact = "bias" in key and key not in ("bias_k", "bias_v")
        # Half a step of at most 1/255 of the range; none of a bias.
        assert (value - expected[key]).abs().max() <= (0 if exact else (expected[key].abs().max() * 2 / 255 / 2) * 1.01)
    assert torch.equal(state["out_proj.weight"], attention.out_proj.weight().dequantize())
    if not options:
        assert torch.equal(state["in_proj_weight"][WIDTH : 2 * WIDTH], attention.linear_K.weight().dequantize())


def test_rows_of_a_state_that_do_not_fit_change_nothing():
    module = quantized.MultiheadAttention(4, 2, add_bias_kv=True)
    before = module.bias_k
    state = module.state_dict()
    with pytest.raises(RuntimeError, match=r"bias_k must be torch\.uint8, got torch\.float32"):
        module.load_state_dict({**state, "bias_k": torch.zeros(1, 1, 4)})
    with pytest.raises(RuntimeError, match="size mismatch for bias_v"):
        module.load_state_dict({**state, "bias_v": torch.zeros(1, 1, 3, dtype=torch.uint8)})
    assert module.bias_k is before
