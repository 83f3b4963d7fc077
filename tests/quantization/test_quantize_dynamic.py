import copy

import pytest
import torch
from torch import nn

import torchq
from torchq import ops
from torchq.nn.quantized import dynamic
from torchq.quantization import (
    default_dynamic_qconfig,
    float_modules,
    per_channel_dynamic_qconfig,
    quantize_dynamic,
)


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Sequential(nn.Linear(32, 4), nn.LayerNorm(4))).eval()


@pytest.mark.parametrize("qconfig", ["default_dynamic_qconfig", "per_channel_dynamic_qconfig"])
def test_gives_the_numbers_of_torch_ao(torch_ao, qconfig):
    x = torch.randn(5, 16, generator=torch.Generator().manual_seed(1))
    theirs = torch_ao.quantize_dynamic(net()[:2], {nn.Linear: getattr(torch_ao.qconfig, qconfig)})
    ours = quantize_dynamic(net()[:2], {nn.Linear: getattr(torchq.quantization, qconfig)})
    assert torch.equal(ours(x), theirs(x))


def test_row_does_not_depend_on_its_batch_per_token():
    model = quantize_dynamic(net(), granularity="per_token")
    x = torch.randn(5, 16) * torch.tensor([[1.0], [10.0], [100.0], [0.1], [1.0]])
    assert torch.equal(model[0](x)[:1], model[0](x[:1]))


def test_none_means_every_recurrent_module():
    kinds = ("LSTM", "GRU", "LSTMCell", "GRUCell", "RNNCell")
    model = nn.ModuleDict({kind: getattr(nn, kind)(4, 3) for kind in kinds})
    for options in ({}, {"dtype": torch.float16}):
        quantized = quantize_dynamic(model, **options)
        assert [type(module) for module in quantized.values()] == [getattr(dynamic, kind) for kind in kinds]
        assert all(module.weight_dtype is options.get("dtype", torchq.qint8) for module in quantized.values())
        assert float_modules(quantized) == {}


def test_linear_layers_of_float16_round_their_weights_and_nothing_else():
    model, x = net(), torch.randn(3, 16)
    expected = copy.deepcopy(model)
    with torch.no_grad():
        for layer in (expected[0], expected[2][0]):
            layer.weight.copy_(layer.weight.half())
    halved = quantize_dynamic(model, dtype=torch.float16)
    assert [type(halved[0]), halved[0].weight().dtype] == [dynamic.Linear, torch.float16]
    assert torch.equal(halved(x), expected(x))


def test_linear_layer_of_float16_has_no_granularity():
    with pytest.raises(ValueError, match="DynamicQuantizedLinear quantizes no input, got granularity='per_token'"):
        quantize_dynamic(net(), dtype=torch.float16, granularity="per_token")


def test_recurrent_layers_take_the_granularity_too():
    model = quantize_dynamic(nn.ModuleList([nn.LSTM(4, 3), nn.GRUCell(4, 3)]), granularity="per_token")
    assert [module.granularity for module in model] == ["per_token"] * 2
    with pytest.raises(ValueError, match="DynamicQuantizedLSTM quantizes no input, got granularity='per_token'"):
        quantize_dynamic(nn.LSTM(4, 3), dtype=torch.float16, granularity="per_token")


def test_none_means_every_linear():
    model = quantize_dynamic(net())
    assert [type(model[0]), type(model[2][0])] == [dynamic.Linear, dynamic.Linear]
    assert float_modules(model) == {"2.1": "LayerNorm"}


@pytest.mark.parametrize(
    "spec",
    [{"2"}, ["2.0"], {"2.0": default_dynamic_qconfig}, {nn.Linear: per_channel_dynamic_qconfig, "0": None}],
    ids=["container", "name", "dictionary", "all-but-one"],
)
def test_spec_chooses_modules(spec):
    model = quantize_dynamic(net(), spec)
    assert [type(model[0]), type(model[2][0])] == [nn.Linear, dynamic.Linear]


def test_copies_and_leaves_the_model_alone_unless_in_place():
    model = net()
    quantize_dynamic(model)
    assert type(model[0]) is nn.Linear
    assert quantize_dynamic(model, inplace=True) is model
    assert type(model[0]) is dynamic.Linear


def test_layer_norm_without_parameters_is_no_float_module():
    assert float_modules(nn.Sequential(nn.LayerNorm(4, elementwise_affine=False))) == {}


def test_linear_alone_is_replaced_in_the_result():
    assert type(quantize_dynamic(nn.Linear(4, 2))) is dynamic.Linear


def test_model_without_linear_is_an_error():
    with pytest.raises(ValueError, match="found nothing to quantize in Sequential"):
        quantize_dynamic(nn.Sequential(nn.ReLU()))


def test_type_that_cannot_be_quantized_is_an_error_naming_it():
    model = nn.ModuleDict({"rnn": nn.RNN(4, 4), "head": nn.Linear(4, 2)})
    with pytest.raises(ValueError, match=r"cannot quantize 'rnn' \(RNN\) dynamically"):
        quantize_dynamic(model, {nn.Linear, nn.RNN})


def test_unknown_name_is_an_error():
    with pytest.raises(ValueError, match="no such module in Sequential: 'encoder'"):
        quantize_dynamic(net(), {"encoder"})


@pytest.mark.parametrize("spec", [nn.Linear, "0"], ids=["type", "name"])
def test_spec_that_is_no_collection_is_an_error(spec):
    with pytest.raises(TypeError, match="qconfig_spec must be a set of types or names"):
        quantize_dynamic(net(), spec)


def test_unknown_granularity_is_an_error():
    with pytest.raises(ValueError, match="'per_tensor' or 'per_token', got 'per_row'"):
        quantize_dynamic(net(), granularity="per_row")


def test_other_weight_dtype_is_an_error():
    with pytest.raises(ValueError, match=r"makes weights of torchq\.qint8, .*, got torchq\.qint32"):
        quantize_dynamic(net(), dtype=torchq.qint32)


def test_module_inside_a_fused_one_is_replaced():
    model = nn.Sequential(torchq.nn.intrinsic.LinearReLU(nn.Linear(4, 2), nn.ReLU()))
    assert type(quantize_dynamic(model)[0][0]) is dynamic.Linear


def test_fused_module_that_is_asked_for_is_replaced_as_a_whole():
    model = nn.Sequential(torchq.nn.intrinsic.LinearReLU(nn.Linear(4, 2), nn.ReLU()))
    quantized = quantize_dynamic(model, {torchq.nn.intrinsic.LinearReLU})
    assert type(quantized[0]) is torchq.nn.intrinsic.quantized.dynamic.LinearReLU


def test_convolutions_are_quantized_if_the_mapping_has_them():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ConvTranspose1d(4, 3, 3)).eval()
    mapping = {nn.Conv2d: dynamic.Conv2d, nn.ConvTranspose1d: dynamic.ConvTranspose1d}
    quantized = quantize_dynamic(model, set(mapping), mapping=mapping)
    assert [type(module) for module in quantized] == list(mapping.values())
    with pytest.raises(ValueError, match="granularity='per_token' is for linear and recurrent layers, got Conv"):
        quantize_dynamic(model, set(mapping), mapping=mapping, granularity="per_token")


def test_input_has_7_bits_per_tensor_and_8_per_token():
    # Values a 127th of the range apart are integers of 7 bits, and none of 8.
    linear = nn.Linear(1, 1, bias=False)
    linear.weight.data.fill_(1.0)
    x = torch.arange(-63.0, 65.0)[:, None]
    seven, eight = quantize_dynamic(linear), quantize_dynamic(linear, granularity="per_token")
    assert torch.equal(seven(x), x * 127 * torch.tensor(1 / 127.5))
    weight = (seven._packed_weight, seven._weight_scales, None)
    assert torch.equal(seven(x), ops.linear_dynamic(x, *weight, per_token=False, reduce_range=True))
    assert not torch.equal(seven(x), ops.linear_dynamic(x, *weight, per_token=False, reduce_range=False))
    assert torch.equal(eight(x), ops.linear_dynamic(x, *weight, per_token=True, reduce_range=False))
    assert not torch.equal(eight(x), ops.linear_dynamic(x, *weight, per_token=True, reduce_range=True))


def test_attention_keeps_the_layer_whose_weight_it_reads_itself():
    model = nn.ModuleDict({"attention": nn.MultiheadAttention(4, 1), "linear": nn.Linear(4, 4)})
    quantized = quantize_dynamic(model, {"": default_dynamic_qconfig})
    assert type(quantized["attention"].out_proj) is type(model["attention"].out_proj)
    assert type(quantized["linear"]) is dynamic.Linear
    x = torch.randn(3, 4)
    assert torch.equal(quantized["attention"](x, x, x)[0], model["attention"].eval()(x, x, x)[0])


@pytest.mark.parametrize("padded", [False, True], ids=["full", "padded"])
def test_transformer_encoder_runs_in_eval_mode(padded):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
    model = nn.TransformerEncoder(layer, 2).eval()
    quantized = quantize_dynamic(model, granularity="per_token")
    model.use_nested_tensor = False  # torch warns of them
    x, padding = torch.randn(2, 5, 64), torch.zeros(2, 5, dtype=torch.bool)
    padding[1, 3:] = padded
    with torch.no_grad():
        results = [m(x, src_key_padding_mask=padding if padded else None)[~padding] for m in (quantized, model)]
    assert torch.nn.functional.cosine_similarity(*results, dim=-1).min() > 0.99
    assert type(quantized.layers[0].linear1).__module__ == "torchq.nn.quantized.dynamic.linear"


def test_float_transformer_encoder_keeps_nested_tensors():
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
    model = nn.ModuleDict({"encoder": nn.TransformerEncoder(layer, 1), "head": nn.Linear(64, 2)})
    assert quantize_dynamic(model, {"head"}).encoder.use_nested_tensor
