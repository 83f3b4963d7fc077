"""Calls that change a tensor in place: right, or refused where the quantized model would use what was before."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from torchq.quantization import QConfigMapping, default_dynamic_qconfig, get_default_qconfig_mapping
from torchq.quantization.quantize_fx import convert_fx, prepare_fx

X = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """Changes what a layer gives by a function, and uses the result, and what was changed, in further functions."""

    def __init__(self, change, use):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.change, self.use = nn.Linear(4, 4), nn.Linear(4, 4), change, use

    def forward(self, x):
        y = self.a(x)
        return self.use(self, self.change(y), y)


def again(net, changed, y):
    return net.b(y)


def result_only(net, changed, y):
    return net.b(changed) + y.size(0) * 0


def converted(model, mapping=None):
    observed = prepare_fx(model.eval(), mapping or get_default_qconfig_mapping(), (X,))
    observed(X)
    return convert_fx(observed)


def check_close(model, mapping=None):
    # Steps are 1/127 of the range of their values, and a layer adds up a few; a lost change is as large as the result.
    result, expected = converted(model, mapping)(X), model(X)
    assert (result - expected).abs().max() < 0.05 * expected.abs().max()


LOST = {
    "elu": (lambda y: F.elu(y, inplace=True), "'elu' .* by 'b': use inplace=False, and use its result"),
    "elu-by-position": (lambda y: F.elu(y, 1.0, True), "'elu' .* use inplace=False"),
    "leaky-relu": (lambda y: F.leaky_relu(y, 0.01, inplace=True), "'leaky_relu' .* use inplace=False"),
    "silu": (lambda y: F.silu(y, inplace=True), "'silu' .* use inplace=False"),
    "hardswish": (lambda y: F.hardswish(y, inplace=True), "'hardswish' .* use inplace=False"),
    "silu-module": (nn.SiLU(inplace=True), "'change' .* use inplace=False"),
    "hardswish-module": (nn.Hardswish(inplace=True), "'change' .* use inplace=False"),
    "elu-module": (nn.ELU(inplace=True), "'change' .* use inplace=False"),
    "mish-module": (nn.Mish(inplace=True), "'change' .* use inplace=False"),
    "relu-function": (lambda y: torch.relu_(y), "'relu_' .* call relu, and use its result"),
    "elu-function": (lambda y: F.elu_(y), "'elu_' .* call elu, and"),
    "sigmoid-function": (lambda y: torch.sigmoid_(y), "'sigmoid_' .* call sigmoid, and"),
    "clamp-method": (lambda y: y.clamp_(0, 0.1), r"a.clamp_\(...\) .* call clamp, and"),
    "add-method": (lambda y: y.add_(y), r"a.add_\(...\) changes a tensor that is used later, by 'b': call add, and"),
    "exp-method": (lambda y: y.exp_(), r"a.exp_\(...\) .* call exp, and"),
}


@pytest.mark.parametrize("name", LOST)
def test_change_that_would_be_lost_is_refused(name):
    change, message = LOST[name]
    with pytest.raises(ValueError, match=message):
        prepare_fx(Net(change, again).eval(), get_default_qconfig_mapping(), (X,))


@pytest.mark.parametrize("name", LOST)
def test_change_of_what_is_not_used_later_is_right(name):
    check_close(Net(LOST[name][0], result_only))


KEPT = {
    "relu": lambda y: F.relu(y, inplace=True),
    "relu-method": lambda y: y.relu_(),
    "relu-module": nn.ReLU(inplace=True),
    "relu6": lambda y: F.relu6(y, inplace=True),
    "hardtanh": lambda y: F.hardtanh(y, -0.1, 0.1, inplace=True),
    "dropout": lambda y: F.dropout(y, 0.5, training=False, inplace=True),
    "dropout-module": nn.Dropout(inplace=True),
    "requires-grad": lambda y: y.requires_grad_(),
}


@pytest.mark.parametrize("name", KEPT)
def test_change_of_integers_is_seen_later(name):
    check_close(Net(KEPT[name], again))


def test_change_of_integers_is_seen_by_float_calls_later():
    check_close(Net(nn.ReLU(inplace=True), lambda net, changed, y: torch.exp(y) + net.b(y)))


def test_change_of_integers_that_were_used_in_float_before_is_refused_to_float_calls():
    class Before(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 4)

        def forward(self, x):
            y = self.a(x)
            before = torch.exp(y)
            F.relu(y, inplace=True)
            return before + torch.exp(y)

    with pytest.raises(ValueError, match="'relu' changes a tensor that is used later, by 'exp_1': use inplace=False"):
        prepare_fx(Before().eval(), get_default_qconfig_mapping(), (X,))


def test_change_of_integers_of_a_float_value_is_refused_to_float_calls():
    model = Net(lambda y: y, lambda net, changed, y: (lambda z: F.relu(z, inplace=True) + torch.exp(z))(torch.cos(y)))
    with pytest.raises(ValueError, match="'relu' changes a tensor that is used later, by 'exp'"):
        prepare_fx(model.eval(), get_default_qconfig_mapping(), (X,))


def test_change_of_float_values_is_seen_by_float_calls():
    check_close(Net(lambda y: y.clamp_(0, 0.5), lambda net, changed, y: torch.exp(y)))
    dynamic = QConfigMapping().set_object_type(nn.Linear, default_dynamic_qconfig)
    check_close(Net(nn.SiLU(inplace=True), again), dynamic)
