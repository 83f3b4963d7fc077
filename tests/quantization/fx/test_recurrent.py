"""Recurrent layers and attention in graph mode: what eager mode makes of them."""

import pickle

import pytest
import torch
from torch import nn

import torchq
from torchq.nn import quantizable, quantized
from torchq.quantization import (
    DeQuantStub,
    QConfigMapping,
    QuantStub,
    convert,
    default_dynamic_qconfig,
    float16_dynamic_qconfig,
    get_default_qconfig,
    get_default_qconfig_mapping,
    per_channel_dynamic_qconfig,
    prepare,
    quantize_dynamic,
)
from torchq.quantization.backend_config import get_native_backend_config, get_torchq_backend_config
from torchq.quantization.fx.custom_config import ConvertCustomConfig, PrepareCustomConfig
from torchq.quantization.quantize_fx import convert_fx, prepare_fx

pytestmark = pytest.mark.usefixtures("one_thread")
WIDTH, T, B = 8, 5, 3
DYNAMIC = {
    "default": default_dynamic_qconfig,
    "per-channel": per_channel_dynamic_qconfig,
    "float16": float16_dynamic_qconfig,
}


def values(*size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        torch.manual_seed(0)
        self.rnn, self.head = getattr(nn, kind)(WIDTH, WIDTH), nn.Linear(WIDTH, 2)
        self.is_lstm, self.is_layer = kind.startswith("LSTM"), not kind.endswith("Cell")

    def forward(self, x, h):
        result = self.rnn(hx=(h, h) if self.is_lstm else h, input=x)
        return self.head(result[0] if self.is_lstm or self.is_layer else result)


@pytest.mark.parametrize("qconfig", DYNAMIC)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "LSTMCell", "GRUCell", "RNNCell"])
def test_dynamic_recurrent_modules_are_those_of_eager_mode(kind, qconfig):
    model, types = Recurrent(kind).eval(), {getattr(nn, kind): DYNAMIC[qconfig]}
    batch = (B,) if kind.endswith("Cell") else (T, B)
    inputs = values(*batch, WIDTH), values(*([1] if len(batch) > 1 else []), B, WIDTH, seed=1)
    mapping = QConfigMapping().set_object_type(getattr(nn, kind), DYNAMIC[qconfig])
    converted = convert_fx(prepare_fx(model, mapping, inputs))
    assert type(converted.rnn) is getattr(quantized.dynamic, kind)
    assert torch.equal(converted(*inputs), quantize_dynamic(model, types)(*inputs))


class Sequence(nn.Module):
    """An LSTM and a linear layer, with stubs that eager mode needs."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.quant, self.state, self.cell = QuantStub(), QuantStub(), QuantStub()
        self.part, self.head = nn.LSTM(WIDTH, WIDTH), nn.Linear(WIDTH, 2)
        self.output, self.last = DeQuantStub(), DeQuantStub()

    def forward(self, x, h, c):
        y, (h, c) = self.part(self.quant(x), (self.state(h), self.cell(c)))
        return self.output(self.head(y)), self.last(h)


class Attention(nn.Module):
    """Attention with a mask and a linear layer, with stubs that eager mode needs."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.quant, self.quant_key, self.quant_value = QuantStub(), QuantStub(), QuantStub()
        self.part, self.head = nn.MultiheadAttention(WIDTH, 2), nn.Linear(WIDTH, 2)
        self.output, self.weights = DeQuantStub(), DeQuantStub()
        self.register_buffer("mask", torch.full((T, T), -torch.inf).triu(1))

    def forward(self, x, k, v):
        x, k, v = self.quant(x), self.quant_key(k), self.quant_value(v)
        y, weights = self.part(x, k, value=v, attn_mask=self.mask, average_attn_weights=False)
        return self.output(self.head(y)), self.weights(weights)


def without_stubs(model):
    for name, part in list(model.named_children()):
        if isinstance(part, QuantStub | DeQuantStub):
            setattr(model, name, nn.Identity())
    return model


PARTS = {"LSTM": Sequence, "MultiheadAttention": Attention}


def inputs_of(kind, seed=0):
    sizes = [(T, B, WIDTH), *([(1, B, WIDTH)] * 2 if kind == "LSTM" else [(T, B, WIDTH)] * 2)]
    return [values(*size, seed=seed + i) for i, size in enumerate(sizes)]


@pytest.mark.parametrize("backend", [get_torchq_backend_config, get_native_backend_config])
@pytest.mark.parametrize("kind", PARTS)
def test_module_in_parts_is_that_of_eager_mode(kind, backend):
    before = PrepareCustomConfig().set_float_to_observed_mapping(getattr(nn, kind), getattr(quantizable, kind))
    after = ConvertCustomConfig().set_observed_to_quantized_mapping(
        getattr(quantizable, kind), getattr(quantized, kind)
    )
    model = without_stubs(PARTS[kind]().eval())
    graph = prepare_fx(model, get_default_qconfig_mapping(), tuple(inputs_of(kind)), before, None, backend())
    eager = PARTS[kind]().eval()
    eager.qconfig = get_default_qconfig()
    eager = prepare(eager)
    for seed in range(3):
        graph(*inputs_of(kind, seed))
        eager(*inputs_of(kind, seed))
    graph, eager = convert_fx(graph, after, backend_config=backend()), convert(eager)
    assert type(graph.part) is getattr(quantized, kind)
    with torchq.no_float_fallback():
        given, expected = graph(*inputs_of(kind, 9)), eager(*inputs_of(kind, 9))
    assert all(torch.equal(a, b) for a, b in zip(given, expected, strict=True))


@pytest.mark.parametrize(
    ("function", "kinds"),
    [
        (lambda m, x: m.part(x, x, x, need_weights=False), [torch.Tensor, type(None)]),
        (lambda m, x: [m.part(x, x, x, need_weights=False)[index] for index in (0, 1)], [torch.Tensor, type(None)]),
        (lambda m, x: m.part(x, x, x), [torch.Tensor, torch.Tensor]),
    ],
    ids=["tuple", "items", "weights"],
)
def test_attention_without_weights_gives_none_for_them(function, kinds):
    class Returned(Attention):
        def forward(self, x):
            return function(self, x)

    before = PrepareCustomConfig().set_float_to_observed_mapping(nn.MultiheadAttention, quantizable.MultiheadAttention)
    after = ConvertCustomConfig().set_observed_to_quantized_mapping(
        quantizable.MultiheadAttention, quantized.MultiheadAttention
    )
    x = values(T, B, WIDTH)
    observed = prepare_fx(Returned().eval(), get_default_qconfig_mapping(), (x,), before)
    observed(x)
    converted = convert_fx(observed, after)
    result = converted(x)
    assert list(map(type, result)) == kinds
    saved = pickle.loads(pickle.dumps(converted))
    assert torch.equal(saved(x)[0], result[0])


def test_observers_in_a_module_in_parts_know_where_they_are():
    before = PrepareCustomConfig().set_float_to_observed_mapping(nn.LSTM, quantizable.LSTM)
    prepared = prepare_fx(
        without_stubs(Sequence().eval()), get_default_qconfig_mapping(), tuple(inputs_of("LSTM")), before
    )
    cell = prepared.part.layers[0].layer_fw.cell
    assert cell.igates.activation_post_process.module_name == "part.layers.0.layer_fw.cell.igates"
    assert not [module for module in prepared.modules() if getattr(module, "module_name", "") == "part"]
