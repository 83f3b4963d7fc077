"""Multi-head attention in parts, in float: it computes what nn.MultiheadAttention computes."""

import pytest
import torch
from torch import nn

import torchq
from torchq.nn import quantizable, quantized
from torchq.quantization import default_qconfig, get_default_qat_qconfig
from torchq.quantization.hooks import has_observer

pytestmark = pytest.mark.usefixtures("one_thread")
WIDTH, HEADS, L, S, B = 8, 4, 5, 6, 3
OPTIONS = {
    "plain": {},
    "without-bias": {"bias": False},
    "other-widths": {"kdim": 6, "vdim": 7},
    "rows": {"add_bias_kv": True},
    "zeros": {"add_zero_attn": True, "add_bias_kv": True},
    "batch-first": {"batch_first": True},
}
MASKS = {
    "none": {},
    "causal": {"attn_mask": torch.ones(L, S, dtype=torch.bool).triu(1)},
    "hint": {"attn_mask": torch.ones(L, S, dtype=torch.bool).triu(1), "is_causal": True},
    "float": {"attn_mask": torch.linspace(-2, 2, L * S).view(L, S)},
    "heads": {"attn_mask": torch.linspace(-2, 2, B * HEADS * L * S).view(B * HEADS, L, S)},
    "padding": {"key_padding_mask": torch.arange(S) >= torch.tensor([[6], [4], [2]])},
    "both": {
        "attn_mask": torch.linspace(-2, 2, L * S).view(L, S),
        "key_padding_mask": (torch.arange(S) - torch.tensor([[6], [4], [2]])).float(),
    },
    "each-head": {"average_attn_weights": False},
    "no-weights": {"need_weights": False},
}


def values(*size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def made(name, qconfig=default_qconfig, **more):
    torch.manual_seed(0)
    module = nn.MultiheadAttention(WIDTH, HEADS, **OPTIONS[name], **more).eval()
    for parameter in module.parameters():
        parameter.data.normal_(0, 0.5)  # biases begin with zeros
    module.qconfig = qconfig
    return module


def inputs(name, batch=True):
    widths = (WIDTH, OPTIONS[name].get("kdim", WIDTH), OPTIONS[name].get("vdim", WIDTH))
    sizes = [(n, *([B] if batch else []), width) for n, width in zip((L, S, S), widths, strict=True)]
    tensors = [values(*size, seed=i) for i, size in enumerate(sizes)]
    return [x.transpose(0, 1) for x in tensors] if name == "batch-first" and batch else tensors


def assert_near(given, expected):
    if expected is None:
        assert given is None
        return
    # Sums of at most 8 products of values below 8 in another order, four of them one after the other.
    assert given.shape == expected.shape
    assert (given - expected).abs().max() <= 4 * 8 * 64 * 2**-24


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("name", OPTIONS)
def test_computes_what_the_float_module_computes(name, mask):
    module, x = made(name), inputs(name)
    observed = quantizable.MultiheadAttention.from_float(module)
    for given, expected in zip(observed(*x, **MASKS[mask]), module(*x, **MASKS[mask]), strict=True):
        assert_near(given, expected)


@pytest.mark.parametrize("name", ["plain", "zeros", "batch-first"])
def test_input_without_a_batch_is_a_batch_of_one(name):
    module, x = made(name), inputs(name, batch=False)
    masks = {"key_padding_mask": torch.arange(S) > 3, "attn_mask": MASKS["heads"]["attn_mask"][:HEADS]}
    masks["key_padding_mask"] = masks["key_padding_mask"].float()
    observed = quantizable.MultiheadAttention.from_float(module)
    for options in ({}, masks, {"average_attn_weights": False}, {"need_weights": False}):
        for given, expected in zip(observed(*x, **options), module(*x, **options), strict=True):
            assert_near(given, expected)


def test_layers_and_stubs_are_observed_and_nothing_else():
    observed = quantizable.MultiheadAttention.from_float(made("plain"))
    names = {name for name, part in observed.named_modules() if has_observer(part)}
    assert names == {"linear_Q", "linear_K", "linear_V", "out_proj", "quant_attn_output", "quant_attn_output_weights"}


def test_holds_no_weights_but_those_of_its_layers():
    observed = quantizable.MultiheadAttention.from_float(made("plain"))
    names = {name.partition(".")[0] for name, _ in observed.named_parameters()}
    assert names == {"linear_Q", "linear_K", "linear_V", "out_proj"}


def test_training_module_gets_fake_quantizers_dropout_and_gradients():
    observed = quantizable.MultiheadAttention.from_float(made("rows", get_default_qat_qconfig(), dropout=0.5).train())
    assert observed.training
    assert type(observed.linear_Q) is torchq.nn.qat.Linear
    x = inputs("rows")
    output, weights = observed(*x)
    assert not torch.equal(observed(*x)[1], weights)
    output.sum().backward()
    assert observed.linear_Q.weight.grad.abs().sum() > 0
    assert observed.bias_k.grad is not None


def test_encoder_layer_runs_its_parts_even_where_torch_has_a_fused_path():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 16, batch_first=True).eval()
    layer.self_attn.qconfig = default_qconfig
    x = values(B, L, WIDTH)
    with torch.no_grad():
        expected = layer(x)
        layer.self_attn = quantizable.MultiheadAttention.from_float(layer.self_attn)
        given = layer(x)
    # Two layer norms, whose results are below 4, behind errors as above.
    assert (given - expected).abs().max() <= 1e-4
    assert layer.self_attn.linear_Q.activation_post_process.min_val < 0


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda m: m.from_float(nn.Linear(2, 2)), TypeError, "takes MultiheadAttention, got Linear"),
        (
            lambda m: m.from_float(nn.MultiheadAttention(4, 2)),
            ValueError,
            "is made of a module with a qconfig, got none",
        ),
        (lambda m: m.from_observed(None), NotImplementedError, "is made of an observed one"),
        (lambda m: quantized.MultiheadAttention.from_float(None), NotImplementedError, "is made of an observed"),
        (
            lambda m: quantized.MultiheadAttention.from_observed(nn.MultiheadAttention(4, 2)),
            TypeError,
            r"takes quantizable\.MultiheadAttention, got MultiheadAttention",
        ),
    ],
)
def test_module_that_cannot_be_made_is_an_error(make, error, message):
    with pytest.raises(error, match=message):
        make(quantizable.MultiheadAttention)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"query": values(L, B, 7)}, ValueError, r"a query of shape \[L, B, 8\] or \[L, 8\], got \(5, 3, 7\)"),
        ({"value": values(S, B, 9)}, ValueError, r"a value of shape \[S, B, 8\] or \[S, 8\], got \(6, 3, 9\)"),
        ({"key": values(S, 2, WIDTH)}, ValueError, r"of one batch, got shapes \[\(5, 3, 8\), \(6, 2, 8\)"),
        ({"key": values(S, WIDTH)}, ValueError, "of one batch, got shapes"),
        ({"value": values(4, B, WIDTH)}, ValueError, "takes as many keys as values, got 6 and 4"),
        ({"attn_mask": torch.zeros(S, L)}, ValueError, r"attn_mask of shape \(5, 6\) or \(12, 5, 6\), got \(6, 5\)"),
        ({"key_padding_mask": torch.zeros(B, L)}, ValueError, r"key_padding_mask of shape \(3, 6\), got \(3, 5\)"),
        ({"attn_mask": torch.zeros(L, S).int()}, TypeError, r"a bool or float attn_mask, got torch\.int32"),
        ({"is_causal": True}, ValueError, "takes is_causal as a hint on attn_mask, got attn_mask=None"),
    ],
    ids=["width", "value", "batch", "dimensions", "keys", "mask", "padding", "integers", "causal"],
)
def test_input_that_does_not_fit_is_an_error_naming_both(change, error, message):
    arguments = dict(zip(("query", "key", "value"), inputs("plain"), strict=True))
    with pytest.raises(error, match=f"QuantizableMultiheadAttention takes.*{message}|Attention {message}"):
        quantizable.MultiheadAttention(WIDTH, HEADS)(**{**arguments, **change})
