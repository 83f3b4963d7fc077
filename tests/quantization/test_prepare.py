"""Which modules prepare observes, and what becomes of those that it does not."""

import pytest
import torch
from torch import nn

from torchq.nn import quantized
from torchq.quantization import (
    DeQuantStub,
    QuantStub,
    QuantWrapper,
    add_quant_dequant,
    convert,
    default_dynamic_qconfig,
    default_qconfig,
    prepare,
    propagate_qconfig_,
    quantize,
)
from torchq.quantization.hooks import has_observer

X = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))


def net(*modules):
    model = nn.Sequential(QuantStub(), *modules, DeQuantStub()).eval()
    model.qconfig = default_qconfig
    return model


def test_dropout_and_stubs_are_not_observed():
    prepared = prepare(net(nn.Dropout(), nn.Linear(4, 4)))
    assert [has_observer(module) for module in prepared] == [True, False, True, False]
    prepared(X)
    assert type(convert(prepared)[1]) is quantized.Dropout


@pytest.mark.parametrize("module", [nn.Sigmoid(), nn.Tanh(), nn.Hardsigmoid(), nn.Softmax(1)], ids=repr)
def test_what_has_fixed_qparams_is_observed_in_training_alone(module):
    model = net(module)
    assert not has_observer(prepare(model)[1])
    trained = prepare(model.train())
    assert has_observer(trained[1])
    assert trained[1].activation_post_process.scale.item() in (1 / 256, 2 / 256)
    model[1].qconfig = None
    assert not has_observer(prepare(model)[1])


def test_attention_without_a_qconfig_stays_in_float_and_works():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.quant, self.dequant, self.linear = QuantStub(), DeQuantStub(), nn.Linear(4, 4)
            self.attention = nn.MultiheadAttention(4, 2)

        def forward(self, x):
            x = self.dequant(self.linear(self.quant(x)))
            return self.attention(x, x, x)[0]

    model = Attention().eval()
    model.qconfig = default_qconfig
    model.attention.qconfig = None
    prepared = prepare(model)
    expected = prepared(X)
    converted = convert(prepared)
    assert type(converted.linear) is quantized.Linear
    assert type(converted.attention.out_proj) is type(model.attention.out_proj)
    assert (converted(X) - expected).abs().max() < 0.1


def test_leaves_alone_may_compute_in_int8():
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 2))).eval()
    propagate_qconfig_(model, {nn.Linear: default_qconfig})
    wrapped = add_quant_dequant(model)
    assert wrapped is model
    assert [type(module) for module in (model[0], *model[1])] == [QuantWrapper, nn.ReLU, QuantWrapper]
    int8 = quantize(wrapped, lambda m, x: m(x), [X])
    assert type(int8[1][1].module) is quantized.Linear
    assert type(int8(X)) is torch.Tensor


def test_leaf_that_is_the_model_is_wrapped_in_the_result():
    linear = nn.Linear(4, 4)
    linear.qconfig = default_dynamic_qconfig
    assert type(add_quant_dequant(linear)) is QuantWrapper
    assert add_quant_dequant(nn.ReLU()).__class__ is nn.ReLU


def test_half_of_a_model_may_be_converted():
    model = nn.Sequential(QuantStub(), nn.Linear(4, 4), DeQuantStub(), nn.LayerNorm(4), nn.Linear(4, 2)).eval()
    model.qconfig = default_qconfig
    for module in model[3:]:
        module.qconfig = None
    prepared = prepare(model)
    prepared(X)
    converted = convert(prepared)
    kinds = [quantized.Quantize, quantized.Linear, quantized.DeQuantize, nn.LayerNorm, nn.Linear]
    assert [type(module) for module in converted] == kinds
    state = converted.state_dict()
    again = convert(prepared)
    again.load_state_dict(state)
    assert torch.equal(again(X), converted(X))


@pytest.mark.parametrize("step", [prepare, convert])
def test_what_is_no_module_is_an_error(step):
    with pytest.raises(TypeError, match="expected a module, got None"):
        step(None)
