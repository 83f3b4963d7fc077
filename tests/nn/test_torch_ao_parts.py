"""LSTM and attention quantized in parts, by prepare and convert of both libraries."""

import pytest
import torch
from torch import nn

import torchq
import torchq.quantization

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    # torch.ao says so of what it joins in an LSTM, and of an observer that nothing is shown in attention.
    pytest.mark.filterwarnings("ignore:All inputs of this cat operator must share:UserWarning"),
    pytest.mark.filterwarnings("ignore:must run observer before calling calculate_qparams:UserWarning"),
]
WIDTH, HIDDEN, HEADS, T, B = 16, 12, 4, 6, 5
LAYERS = {
    "plain": {},
    "layers": {"num_layers": 2, "bias": False},
    "both-ways": {"num_layers": 2, "bidirectional": True},
    "batch-first": {"batch_first": True},
}
ATTENTION = {
    "plain": {},
    "without-bias": {"bias": False},
    "other-widths": {"kdim": 8, "vdim": 12},
    "zeros": {"add_zero_attn": True},
    "rows": {"add_bias_kv": True},
}
QCONFIGS = ["default_qconfig", "default_per_channel_qconfig"]


def values(*size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


class Recurrent(nn.Module):
    def __init__(self, quantization, **options):
        super().__init__()
        self.quant = quantization.QuantStub()
        self.rnn = nn.LSTM(WIDTH, HIDDEN, **options)

    def forward(self, x):
        return self.rnn(self.quant(x))


class Attention(nn.Module):
    def __init__(self, quantization, **options):
        super().__init__()
        self.query, self.key, self.value = (quantization.QuantStub() for _ in range(3))
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, **options)
        for name, parameter in self.attention.named_parameters():
            # torch.ao quantizes both rows by the range of the first, which is made that of the second here.
            parameter.data.copy_(
                self.attention.bias_k.flip(-1) if name == "bias_v" else 0.4 * torch.randn_like(parameter)
            )

    def forward(self, query, key, value, **options):
        return self.attention(self.query(query), self.key(key), self.value(value), **options)


def converted(quantization, kind, options, qconfig, batches):
    """The calibrated and the quantized model."""
    torch.manual_seed(0)
    model = kind(quantization, **options).eval()
    model.qconfig = getattr(quantization.qconfig, qconfig)
    prepared = quantization.prepare(model)
    for batch in batches:
        prepared(*batch)
    return prepared, quantization.convert(prepared)


def recurrent(torch_ao, name, qconfig="default_per_channel_qconfig"):
    batches = [(values(T, B, WIDTH, seed=seed),) for seed in range(3)]
    return [converted(q, Recurrent, LAYERS[name], qconfig, batches) for q in (torch_ao, torchq.quantization)]


def attention(torch_ao, name, qconfig="default_per_channel_qconfig"):
    widths = (WIDTH, ATTENTION[name].get("kdim", WIDTH), ATTENTION[name].get("vdim", WIDTH))
    batches = [[values(T, B, width, seed=seed + i) for i, width in enumerate(widths)] for seed in range(4)]
    pair = [converted(q, Attention, ATTENTION[name], qconfig, batches[:3]) for q in (torch_ao, torchq.quantization)]
    return *pair, batches[3]


def assert_same_state(theirs, ours):
    """Compares what observers saw, and all else."""
    # torch.ao keeps the weights of the float module as well, untrained.
    expected = {key: value for key, value in theirs.state_dict().items() if "_proj_" not in key}
    given = ours.state_dict()
    # Those that nothing is shown are left away.
    surplus = {key for key in expected if "q_scaling_product" in key}
    assert given.keys() == expected.keys() - surplus
    assert all(torch.equal(given[key], expected[key]) for key in given)


def difference(given, expected):
    assert (given.q_scale(), given.q_zero_point()) == (expected.q_scale(), expected.q_zero_point())
    assert given.shape == expected.shape
    return (given.int_repr().int() - expected.int_repr().int()).abs()


def assert_almost_the_same(given, expected):
    # torch.ao's products, sigmoid and tanh may round to the next integer, at fewer than 1 of 10,000 values each, and a
    # state carries that on to what follows.
    apart = difference(given, expected)
    assert apart.max() <= 1
    assert (apart > 0).float().mean() <= 0.02


@pytest.mark.parametrize("qconfig", QCONFIGS)
@pytest.mark.parametrize("name", LAYERS)
def test_lstm_gives_the_integers_of_torch_ao(torch_ao, name, qconfig):
    (_, theirs), (_, ours) = recurrent(torch_ao, name, qconfig)
    x = values(T, B, WIDTH, seed=9)
    expected, states = theirs(x)
    with torchq.no_float_fallback():
        given, last = ours(x)
    assert_almost_the_same(given, expected)
    for ours, theirs in zip(last, states, strict=True):
        assert_almost_the_same(ours, theirs)


@pytest.mark.parametrize("name", LAYERS)
def test_observers_of_an_lstm_see_the_same(torch_ao, name):
    (theirs, _), (ours, _) = recurrent(torch_ao, name)
    assert_same_state(theirs, ours)


@pytest.mark.parametrize("name", LAYERS)
def test_parts_of_an_lstm_have_the_weights_and_qparams_of_torch_ao(torch_ao, name):
    (_, theirs), (_, ours) = recurrent(torch_ao, name)
    assert_same_parts(theirs.rnn, ours.rnn, 7 * {"both-ways": 4, "layers": 2}.get(name, 1))


def assert_same_parts(theirs, ours, expected_count):
    count = 0
    for key, part in theirs.named_modules():
        if "q_scaling_product" in key or not hasattr(part, "scale"):
            continue
        given, count = ours.get_submodule(key), count + 1
        assert (given.scale, given.zero_point) == (float(part.scale), int(part.zero_point))
        if hasattr(part, "weight"):
            assert torch.equal(given.weight().int_repr(), part.weight().int_repr())
            assert (given.bias() is None) is (part.bias() is None)
    assert count == expected_count


@pytest.mark.parametrize("options", [{}, {"average_attn_weights": False}, {"need_weights": False}], ids=str)
@pytest.mark.parametrize("qconfig", QCONFIGS)
@pytest.mark.parametrize("name", ATTENTION)
def test_attention_gives_the_integers_of_torch_ao(torch_ao, name, qconfig, options):
    (_, theirs), (_, ours), inputs = attention(torch_ao, name, qconfig)
    expected, weights = theirs(*inputs, **options)
    with torchq.no_float_fallback():
        given, own = ours(*inputs, **options)
    # The float softmax between them is torch's in both; sums of torch.ao may round to the next integer before it.
    assert_almost_the_same(given, expected)
    if "need_weights" in options:
        assert own is None
    elif "average_attn_weights" in options:
        assert_almost_the_same(own, weights)
    else:
        # The mean of four heads is a tie at a quarter of the sums, which torch.ao rounds in floats.
        apart = difference(own, weights)
        assert apart.max() <= 1
        assert (apart > 0).float().mean() <= 0.25


@pytest.mark.parametrize("name", ATTENTION)
def test_observers_of_attention_see_the_same(torch_ao, name):
    (theirs, _), (ours, _), _ = attention(torch_ao, name)
    assert_same_state(theirs, ours)


@pytest.mark.parametrize("name", ATTENTION)
def test_parts_of_attention_have_the_weights_and_qparams_of_torch_ao(torch_ao, name):
    (_, theirs), (_, ours), _ = attention(torch_ao, name)
    assert_same_parts(theirs.attention, ours.attention, 6)
    if name == "rows":
        assert difference(ours.attention.bias_k, theirs.attention.bias_k).max() == 0
