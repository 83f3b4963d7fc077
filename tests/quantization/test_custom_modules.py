"""The user's own modules, and what else says how a model is prepared and converted."""

import importlib

import pytest
import torch
from torch import nn

import torchq
from torchq.nn import quantized
from torchq.quantization import (
    DeQuantStub,
    QuantStub,
    convert,
    default_qconfig,
    float_qparams_weight_only_qconfig,
    get_default_custom_config_dict,
    prepare,
    propagate_qconfig_,
    swap_module,
)
from torchq.quantization.hooks import has_observer


class Block(nn.Module):
    """The user's float module."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return self.linear(x)


class ObservedBlock(Block):
    @classmethod
    def from_float(cls, block):
        observed = cls()
        observed.linear = block.linear
        return observed


class QuantizedBlock(nn.Module):
    def __init__(self, qparams):
        super().__init__()
        self.qparams = qparams

    def forward(self, x):
        return torchq.quantize_per_tensor(x.dequantize(), *self.qparams, torchq.quint8)

    @classmethod
    def from_observed(cls, observed):
        scale, zero_point = observed.activation_post_process.calculate_qparams()
        return cls((scale.item(), zero_point.item()))


PREPARE = {"float_to_observed_custom_module_class": {Block: ObservedBlock}}
CONVERT = {"observed_to_quantized_custom_module_class": {ObservedBlock: QuantizedBlock}}
X = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))


def net(*modules):
    model = nn.Sequential(QuantStub(), *modules, DeQuantStub()).eval()
    model.qconfig = default_qconfig
    return model


def test_own_modules_are_observed_and_converted_as_a_whole():
    prepared = prepare(net(Block(), nn.Linear(4, 2)), prepare_custom_config_dict=PREPARE)
    assert type(prepared[1]) is ObservedBlock
    assert has_observer(prepared[1])
    assert not has_observer(prepared[1].linear)
    prepared(X)
    converted = convert(prepared, convert_custom_config_dict=CONVERT)
    assert [type(module) for module in converted[1:3]] == [QuantizedBlock, quantized.Linear]
    assert converted[1].qparams == tuple(t.item() for t in prepared[1].activation_post_process.calculate_qparams())
    converted(X)


def test_own_module_that_is_the_model_is_replaced_in_the_result():
    block = Block().eval()
    block.qconfig = default_qconfig
    prepared = prepare(block, prepare_custom_config_dict=PREPARE)
    prepared(X)
    assert type(convert(prepared, convert_custom_config_dict=CONVERT)) is QuantizedBlock
    with pytest.raises(ValueError, match="a Block cannot be replaced in place"):
        prepare(block, inplace=True, prepare_custom_config_dict=PREPARE)


def test_own_module_without_a_qconfig_stays():
    model = net(Block(), nn.Linear(4, 2))
    model[1].qconfig = None
    assert type(prepare(model, prepare_custom_config_dict=PREPARE)[1]) is Block


def test_own_module_keeps_its_hooks():
    model, calls = net(Block()), []
    model[1].register_forward_pre_hook(lambda module, args: calls.append(type(module)))
    model[1].register_forward_hook(lambda module, args, output: calls.append(type(module)))
    prepared = prepare(model, prepare_custom_config_dict=PREPARE)
    prepared(X)
    convert(prepared, convert_custom_config_dict=CONVERT)(X)
    assert calls == [ObservedBlock] * 2 + [QuantizedBlock] * 2


def test_default_dictionary_is_that_of_torch_ao_and_a_copy(torch_ao):
    get_default_custom_config_dict()["float_to_observed_custom_module_class"][Block] = ObservedBlock
    theirs = importlib.import_module("torch.ao.quantization.quantize").get_default_custom_config_dict()
    ours = get_default_custom_config_dict()
    assert ours.keys() == theirs.keys()
    for key, mapping in theirs.items():
        names = [{(kind.__name__, target.__name__) for kind, target in m.items()} for m in (mapping, ours[key])]
        assert names[0] == names[1]
    assert type(prepare(net(Block()), prepare_custom_config_dict=get_default_custom_config_dict())[1]) is Block


@pytest.mark.parametrize(
    "call",
    [
        lambda config: prepare(net(Block()), prepare_custom_config_dict=config),
        lambda config: convert(net(Block()), convert_custom_config_dict=config),
        lambda config: propagate_qconfig_(net(Block()), prepare_custom_config_dict=config),
    ],
    ids=["prepare", "convert", "propagate"],
)
def test_unknown_key_is_an_error(call):
    with pytest.raises(ValueError, match=r"_custom_config_dict has the unknown keys 'float_to_quantized'; known are"):
        call({"float_to_quantized": {}})


@pytest.mark.parametrize(
    "config",
    [{"non_traceable_module_name": ["1.linear"]}, {"non_traceable_module_class": [nn.Linear]}],
    ids=["name", "class"],
)
def test_modules_that_are_left_stay_in_float(config):
    prepared = prepare(net(Block()), prepare_custom_config_dict=config)
    assert prepared[1].linear.qconfig is None
    assert not has_observer(prepared[1].linear)
    prepared(X)
    assert type(convert(prepared)[1].linear) is nn.Linear


def test_module_inside_one_that_is_left_keeps_its_own_qconfig():
    model = net(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)))
    model[1][1].qconfig = own = float_qparams_weight_only_qconfig
    propagate_qconfig_(model, prepare_custom_config_dict={"non_traceable_module_name": ["1"]})
    assert [module.qconfig for module in (model[1], *model[1])] == [None, None, own]


def test_allow_list_says_which_leaves_are_observed():
    prepared = prepare(net(nn.Linear(4, 4), nn.ReLU()), allow_list=[nn.ReLU])
    assert [has_observer(module) for module in prepared] == [False, False, True, False]


def test_containers_may_be_observed():
    prepared = prepare(net(Block()), observer_non_leaf_module_list=[Block])
    assert has_observer(prepared[1])
    assert not has_observer(prepared[1].linear)


def test_mapping_says_what_is_replaced():
    class Own(quantized.Linear):
        pass

    prepared = prepare(net(nn.Linear(4, 4), nn.LayerNorm(4)))
    prepared(X)
    converted = convert(prepared, {nn.Linear: Own, QuantStub: quantized.Quantize})
    assert [type(module) for module in converted] == [quantized.Quantize, Own, nn.LayerNorm, DeQuantStub]


@pytest.mark.parametrize("precomputed", [False, True])
def test_flag_for_fake_quantizers_reaches_those_who_take_it(precomputed):
    class Own(nn.Identity):
        @classmethod
        def from_float(cls, mod, use_precomputed_fake_quant=False):
            module = cls()
            module.precomputed = use_precomputed_fake_quant
            return module

    linear = nn.Linear(4, 2)
    linear.qconfig = default_qconfig
    assert convert(linear, {nn.Linear: Own}, use_precomputed_fake_quant=precomputed).precomputed is precomputed
    assert swap_module(linear, {nn.Linear: Own}, {}, precomputed).precomputed is precomputed


def test_own_types_go_before_the_mapping_when_one_module_is_swapped():
    block = prepare(net(Block()), prepare_custom_config_dict=PREPARE)[1]
    block(X)
    mapping = {ObservedBlock: quantized.Linear}
    assert type(swap_module(block, mapping, {ObservedBlock: QuantizedBlock})) is QuantizedBlock
    assert swap_module(nn.ReLU(), mapping) is not None
