"""Recurrent modules with dynamic quantization, beside torch.ao's."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

import torchq
import torchq.quantization
from torchq.nn.quantized import dynamic

pytestmark = pytest.mark.usefixtures("one_thread")
IN, H, T, B = 20, 24, 6, 8
LAYERS = {
    "plain": {},
    "layers": {"num_layers": 2},
    "both-ways": {"num_layers": 2, "bidirectional": True},
    "batch-first": {"batch_first": True},
}
QCONFIGS = ["default_dynamic_qconfig", "per_channel_dynamic_qconfig", "float16_dynamic_qconfig"]


def values(*size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def converted(torch_ao, kind, qconfig, **options):
    """torch.ao's and torchq's module of the same float one."""
    torch.manual_seed(0)
    module = getattr(nn, kind)(IN, H, **options).eval()
    module.qconfig = getattr(torch_ao.qconfig, qconfig)
    theirs = getattr(torch.ao.nn.quantized.dynamic, kind).from_float(module)
    module.qconfig = getattr(torchq.quantization, qconfig)
    return theirs, getattr(dynamic, kind).from_float(module)


def assert_near(given, expected):
    """Compares rows of states, ``[..., B, H]``.

    Both libraries have the same products; their functions of the gates have relative errors below 2^-21, and so sums of
    a few gates of size 1, over at most 12 steps whose factors are below 1: 12 * 4 * 2^-21 < 2.5e-5. A hidden state
    close to the middle between two integers may become the other one, at one of 10^4 values; it moves the sums of its
    row by a step, 2 / 127, times a weight, up to H^-0.5, and most rows have none. With 8 bits instead of 7, or another
    rounding, all rows differ by 1e-3.
    """
    difference = (given - expected).abs()
    assert difference.max() <= 4 * 2 / 127 * H**-0.5
    assert (difference.amax(-1) <= 2.5e-5).float().mean() >= 0.75


@pytest.mark.parametrize("qconfig", QCONFIGS)
@pytest.mark.parametrize("form", ["tensor", "packed"])
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_layer_gives_the_values_of_torch_ao(torch_ao, kind, name, form, qconfig):
    options = LAYERS[name]
    theirs, ours = converted(torch_ao, kind, qconfig, **options)
    x = values(B, T, IN) if options.get("batch_first") else values(T, B, IN)
    if form == "packed":
        lengths = torch.tensor([3, 6, 1, 2, 6, 5, 4, 6])
        x = pack_padded_sequence(x, lengths, options.get("batch_first", False), enforce_sorted=False)
    hidden = values(theirs.num_layers * (2 if theirs.bidirectional else 1), B, H, seed=1)
    hx = (hidden, hidden * 0.5) if kind == "LSTM" else hidden
    for state in (None, hx):
        (expected, last), (given, own) = theirs(x, state), ours(x, state)
        if form == "packed":
            assert all(torch.equal(a, b) for a, b in zip(given[1:], expected[1:], strict=True))
            given, expected = given.data, expected.data
        assert_near(given, expected)
        pairs = zip(own, last, strict=True) if kind == "LSTM" else [(own, last)]
        for given, expected in pairs:
            assert given.shape == expected.shape
            assert_near(given, expected)


@pytest.mark.parametrize("qconfig", QCONFIGS)
@pytest.mark.parametrize(
    ("kind", "options"),
    [("LSTMCell", {}), ("GRUCell", {}), ("RNNCell", {}), ("RNNCell", {"nonlinearity": "relu"})],
    ids=["LSTMCell", "GRUCell", "RNNCell", "RNNCell-relu"],
)
def test_cell_gives_the_values_of_torch_ao(torch_ao, kind, options, qconfig):
    theirs, ours = converted(torch_ao, kind, qconfig, **options)
    hidden = values(B, H, seed=1)
    for hx in (None, (hidden, hidden * 0.5) if kind == "LSTMCell" else hidden):
        expected, given = theirs(values(B, IN), hx), ours(values(B, IN), hx)
        pairs = zip(given, expected, strict=True) if kind == "LSTMCell" else [(given, expected)]
        for given, expected in pairs:
            assert_near(given, expected)


@pytest.mark.parametrize("qconfig", QCONFIGS)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "LSTMCell", "GRUCell", "RNNCell"])
def test_weights_are_those_of_torch_ao(torch_ao, kind, qconfig):
    options = LAYERS["both-ways"] if kind in ("LSTM", "GRU") else {}
    theirs, ours = converted(torch_ao, kind, qconfig, **options)
    assert ours.get_weight().keys() == theirs.get_weight().keys()
    for key, expected in theirs.get_weight().items():
        given = ours.get_weight()[key]
        if qconfig == "float16_dynamic_qconfig":
            # torch.ao shows the weight as it was given, and keeps it in float16.
            assert torch.equal(given, expected.half())
            continue
        assert torch.equal(given.int_repr(), expected.int_repr())
        if expected.qscheme() is torch.per_tensor_affine:
            assert (given.q_scale(), given.q_zero_point()) == (expected.q_scale(), expected.q_zero_point())
        else:
            assert torch.equal(given.q_per_channel_scales().float(), expected.q_per_channel_scales().float())
            assert torch.equal(given.q_per_channel_zero_points(), expected.q_per_channel_zero_points())
    assert ours.get_bias().keys() == theirs.get_bias().keys()
    assert all(torch.equal(ours.get_bias()[key], bias) for key, bias in theirs.get_bias().items())


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_layer_prints_what_torch_ao_prints(torch_ao, kind, name):
    theirs, ours = converted(torch_ao, kind, "default_dynamic_qconfig", **LAYERS[name])
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize(
    ("kind", "options"), [("LSTMCell", {}), ("GRUCell", {}), ("RNNCell", {"nonlinearity": "relu"})]
)
def test_cell_prints_what_torch_ao_prints(torch_ao, kind, options):
    theirs, ours = converted(torch_ao, kind, "default_dynamic_qconfig", **options)
    assert repr(ours) == repr(theirs)
