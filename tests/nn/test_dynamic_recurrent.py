"""Recurrent layers with dynamic quantization: what they compute, and the forms of input that they take."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence

import torchq.quantization
from torchq import reference
from torchq.nn.quantized import dynamic
from torchq.ns._numeric_suite import compare_weights
from torchq.quantization import float16_dynamic_qconfig, per_channel_dynamic_qconfig

pytestmark = pytest.mark.usefixtures("one_thread")
IN, H, T, B = 6, 5, 4, 3
OPTIONS = {
    "plain": {},
    "layers": {"num_layers": 3, "bias": False},
    "both-ways": {"num_layers": 2, "bidirectional": True},
}
PROJECTED = {"num_layers": 2, "bidirectional": True, "proj_size": 3}
FLOAT = {"LSTM": nn.LSTM, "GRU": nn.GRU}
CASES = [(kind, name) for kind in FLOAT for name in OPTIONS]


def values(*size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def layer(kind, qconfig=per_channel_dynamic_qconfig, granularity="per_tensor", **options):
    torch.manual_seed(0)
    module = FLOAT[kind](IN, H, **options).eval()
    module.qconfig = qconfig
    quantized = getattr(dynamic, kind).from_float(module)
    if granularity != "per_tensor":
        quantized.granularity = granularity
    return quantized


def states(kind, options, batch=B, seed=7):
    count = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    hidden = values(count, batch, options.get("proj_size") or H, seed=seed)
    return (hidden, values(count, batch, H, seed=seed + 1)) if kind == "LSTM" else hidden


def parts(result):
    """Output and states as a flat list."""
    output, state = result
    return [getattr(output, "data", output), *(state if isinstance(state, tuple) else [state])]


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(parts(first), parts(second), strict=True))


def by_reference(module, x, hx, per_token, reduce_range):
    """What the module should give, by torchq.reference, one layer and direction after the other."""
    kind, weights, biases = module.mode, module.get_weight(), module.get_bias()
    before, last = ([*hx] if kind == "LSTM" else [hx]), []
    for i in range(module.num_layers):
        outputs = []
        for end in ("", "_reverse")[: 2 if module.bidirectional else 1]:
            operands = []
            for which in ("ih", "hh"):
                w = weights[f"weight_{which}_l{i}{end}"]
                operands += [w.int_repr(), w.q_per_channel_scales().float(), biases[f"bias_{which}_l{i}{end}"]]
            if kind == "LSTM":
                w = weights.get(f"weight_hr_l{i}{end}")
                operands += [None, None] if w is None else [w.int_repr(), w.q_per_channel_scales().float()]
            options = {"reverse": bool(end), "per_token": per_token, "reduce_range": reduce_range}
            run = getattr(reference, f"{kind.lower()}_dynamic")
            output, *after = run(x, *(state[len(last)] for state in before), *operands, **options)
            outputs.append(output)
            last.append(after)
        x = torch.cat(outputs, -1)
    after = [torch.stack(state) for state in zip(*last, strict=True)]
    return x, tuple(after) if kind == "LSTM" else after[0]


@pytest.mark.parametrize("granularity", ["per_tensor", "per_token"])
@pytest.mark.parametrize(("kind", "name"), [*CASES, ("LSTM", "projected")])
def test_gives_what_the_reference_gives_with_7_bits_per_tensor_and_8_per_token(kind, name, granularity):
    options = OPTIONS.get(name, PROJECTED)
    module, x, hx = layer(kind, granularity=granularity, **options), values(T, B, IN), states(kind, options)
    per_token = granularity == "per_token"
    given = module(x, hx)
    assert same(given, by_reference(module, x, hx, per_token, not per_token))
    assert not same(given, by_reference(module, x, hx, per_token, per_token))


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_no_state_means_zeros(kind, name):
    module, x = layer(kind, **OPTIONS[name]), values(T, B, IN)
    hx = states(kind, OPTIONS[name])
    zeros = tuple(torch.zeros_like(s) for s in hx) if kind == "LSTM" else torch.zeros_like(hx)
    assert same(module(x), module(x, zeros))


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_batch_may_come_first(kind, name):
    options = OPTIONS[name]
    module, first = layer(kind, **options), layer(kind, batch_first=True, **options)
    x, hx = values(T, B, IN), states(kind, options)
    output, state = first(x.transpose(0, 1), hx)
    assert same((output.transpose(0, 1), state), module(x, hx))


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", FLOAT)
def test_input_without_a_batch_is_a_batch_of_one(kind, batch_first):
    options = OPTIONS["both-ways"]
    module, x, hx = layer(kind, batch_first=batch_first, **options), values(T, IN), states(kind, options, 1)
    single = tuple(s[:, 0] for s in hx) if kind == "LSTM" else hx[:, 0]
    expected = parts(module(x[None] if batch_first else x[:, None], hx))
    given = parts(module(x, single))
    axes = [0 if batch_first else 1, 1, 1]
    assert all(torch.equal(a, b.squeeze(axis)) for a, b, axis in zip(given, expected, axes, strict=False))
    assert given[0].shape == (T, 2 * H)


@pytest.mark.parametrize("kind", FLOAT)
def test_packed_sequences_give_what_each_gives_alone(kind):
    options = OPTIONS["both-ways"]
    module, hx = layer(kind, granularity="per_token", **options), states(kind, options)
    sequences = [values(length, IN, seed=length) for length in (2, 4, 1)]
    packed = pack_sequence(sequences, enforce_sorted=False)
    output, state = module(packed, hx)
    assert torch.equal(output.batch_sizes, packed.batch_sizes)
    padded, _ = nn.utils.rnn.pad_packed_sequence(output)
    given = parts((padded, state))
    for b, x in enumerate(sequences):
        single = tuple(s[:, b] for s in hx) if kind == "LSTM" else hx[:, b]
        alone = parts(module(x, single))
        assert torch.equal(given[0][: len(x), b], alone[0])
        assert all(torch.equal(s[:, b], t) for s, t in zip(given[1:], alone[1:], strict=True))


@pytest.mark.parametrize("kind", FLOAT)
def test_sequences_that_are_sorted_have_no_order_to_restore(kind):
    module, x = layer(kind), values(T, B, IN)
    packed = pack_padded_sequence(x, torch.tensor([T, T, T]))
    output, state = module(packed)
    assert output.sorted_indices is None
    assert same((output.data.view(T, B, H), state), module(x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("kind", FLOAT)
def test_computes_in_float32_and_keeps_the_dtype(kind, dtype):
    module, x = layer(kind), values(T, B, IN).to(dtype)
    expected, given = parts(module(x.float())), parts(module(x))
    assert all(torch.equal(a, b.to(dtype)) for a, b in zip(given, expected, strict=True))


@pytest.mark.parametrize("size", [(T, 0, IN), (T, B, IN)], ids=["empty", "strided"])
@pytest.mark.parametrize("kind", FLOAT)
def test_input_may_be_empty_or_strided(kind, size):
    module, x = layer(kind, **OPTIONS["both-ways"]), values(*size)
    strided = torch.stack([x, x], -1)[..., 0]
    assert same(module(strided), module(x))
    assert module(x)[0].shape == (*size[:2], 2 * H)


@pytest.mark.parametrize("kind", FLOAT)
def test_dropout_is_between_layers_and_for_training(kind):
    module, without = layer(kind, num_layers=2, dropout=0.5), layer(kind, num_layers=2)
    x = values(T, B, IN)
    assert same(module(x), without(x))
    module.train()
    first, second = module(x), module(x)
    assert not torch.equal(first[0], second[0])
    assert all(torch.equal(a[0], b[0]) for a, b in zip(parts(first)[1:], parts(second)[1:], strict=True))


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
@pytest.mark.parametrize("name", [*OPTIONS, "projected"])
@pytest.mark.parametrize("form", ["tensor", "packed"])
@pytest.mark.parametrize("kind", FLOAT)
def test_float16_weights_give_what_torch_gives_with_rounded_ones(kind, form, name):
    options = OPTIONS.get(name, PROJECTED if kind == "LSTM" else {})
    quantized = layer(kind, float16_dynamic_qconfig, **options)
    torch.manual_seed(0)
    rounded = FLOAT[kind](IN, H, **options).eval()
    with torch.no_grad():
        for key, parameter in rounded.named_parameters():
            if key.startswith("weight"):
                parameter.copy_(parameter.half())
        x, hx = values(T, B, IN), states(kind, options)
        x = pack_padded_sequence(x, torch.tensor([2, 4, 3]), enforce_sorted=False) if form == "packed" else x
        expected, given = parts(rounded(x, hx)), parts(quantized(x, hx))
    # The same sums of at most 16 products, perhaps in another order, and functions with errors of 2^-22.
    assert all((a - b).abs().max() <= 4 * 16 * 2**-24 for a, b in zip(given, expected, strict=True))
    assert all(w.dtype is torch.float16 for w in quantized.get_weight().values())


@pytest.mark.parametrize("kind", FLOAT)
def test_exports_and_compiles(kind):
    module, x = layer(kind, **OPTIONS["both-ways"]), values(T, B, IN)
    program = torch.export.export(module, (x,)).module()
    assert same(program(x), module(x))
    assert f"{kind.lower()}_dynamic" in program.code
    assert same(torch.compile(module, backend="eager", fullgraph=True)(x), module(x))


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_is_near_the_float_layer(kind, name):
    torch.manual_seed(0)
    expected = parts(FLOAT[kind](IN, H, **OPTIONS[name]).eval()(values(T, B, IN)))
    given = parts(layer(kind, granularity="per_token", **OPTIONS[name])(values(T, B, IN)))
    assert all((a - b).abs().max() <= 0.05 * b.abs().max() for a, b in zip(given, expected, strict=True))


def test_observes_each_weight_by_itself():
    module = nn.LSTM(IN, H)
    module.weight_hh_l0.data.mul_(100)
    module.qconfig = torchq.quantization.default_dynamic_qconfig
    weights = dynamic.LSTM.from_float(module).get_weight()
    assert weights["weight_hh_l0"].q_scale() > 50 * weights["weight_ih_l0"].q_scale()


@pytest.mark.parametrize("kind", FLOAT)
def test_state_has_the_names_of_the_float_module(kind):
    torch.manual_seed(0)
    names = set(FLOAT[kind](IN, H, **OPTIONS["both-ways"]).state_dict())
    weights = {name for name in names if name.startswith("weight")}
    qparams = {f"{name}_{end}" for name in weights for end in ("scale", "zero_point")}
    assert set(layer(kind, **OPTIONS["both-ways"]).state_dict()) == names | qparams | {"per_token"}
    assert set(layer(kind, float16_dynamic_qconfig, **OPTIONS["both-ways"]).state_dict()) == names | {"per_token"}


@pytest.mark.parametrize("kind", FLOAT)
def test_weights_are_compared_with_those_of_the_float_module(kind):
    torch.manual_seed(0)
    module = FLOAT[kind](IN, H)
    pairs = compare_weights(module.state_dict(), layer(kind).state_dict())
    assert list(pairs) == ["weight_ih_l0", "weight_hh_l0"]
    for pair in pairs.values():
        assert (pair["quantized"].dequantize() - pair["float"]).abs().max() <= pair["float"].abs().max() / 255 * 1.01


def test_entry_of_another_name_is_unexpected():
    module = layer("GRU")
    state = {**module.state_dict(), "ih_l0.weight": torch.zeros(3)}
    with pytest.raises(RuntimeError, match=r'Unexpected key\(s\) in state_dict: "ih_l0.weight"'):
        module.load_state_dict(state)
    module.load_state_dict(state, strict=False)
