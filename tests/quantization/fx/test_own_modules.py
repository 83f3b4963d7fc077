"""Modules of the caller's own, which have an observed and a quantized form."""

import pytest
import torch
from torch import nn

from torchq.nn import quantized
from torchq.quantization import QConfigMapping, default_qconfig, float_qparams_weight_only_qconfig
from torchq.quantization.fx.custom_config import ConvertCustomConfig, PrepareCustomConfig
from torchq.quantization.quantize_fx import convert_fx, prepare_fx

X = torch.randn(8, 4, generator=torch.Generator().manual_seed(1))


def calls(model):
    """The calls of a converted graph: names of modules and of functions."""
    return [str(n.target) if n.op == "call_module" else n.name for n in model.graph.nodes if n.op.startswith("call_")]


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return self.linear(x) if x.dim() else x


class OwnObserved(nn.Module):
    def __init__(self, linear):
        super().__init__()
        self.linear = linear

    def forward(self, x):
        return self.linear(x)

    @classmethod
    def from_float(cls, mod):
        assert mod.qconfig is not None
        return cls(mod.linear)


class OwnQuantized(nn.Module):
    def __init__(self, linear):
        super().__init__()
        self.linear = linear

    def forward(self, x):
        return self.linear(x)

    @classmethod
    def from_observed(cls, mod):
        mod.linear.qconfig, mod.linear.activation_post_process = mod.qconfig, mod.activation_post_process
        return cls(quantized.Linear.from_float(mod.linear))


def own_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 4), Own(), nn.Linear(4, 2)).eval()


def own_calibrated(mapping=None):
    config = PrepareCustomConfig().set_float_to_observed_mapping(Own, OwnObserved)
    observed = prepare_fx(
        own_model(), mapping or QConfigMapping().set_global(default_qconfig), (torch.ones(1, 4),), config
    )
    observed(torch.randn(8, 4, generator=torch.Generator().manual_seed(1)))
    return observed


def test_module_of_ones_own_is_observed_and_quantized():
    observed = own_calibrated()
    assert type(observed.get_submodule("1")) is OwnObserved
    config = ConvertCustomConfig().set_observed_to_quantized_mapping(OwnObserved, OwnQuantized)
    converted = convert_fx(observed, config)
    assert calls(converted) == ["quantize_per_tensor", "0", "1", "2", "dequantize"]
    assert type(converted.get_submodule("1")) is OwnQuantized
    plain = nn.Sequential(*(getattr(module, "linear", module) for module in own_model())).eval()
    expected = prepare_fx(plain, QConfigMapping().set_global(default_qconfig), ())
    expected(torch.randn(8, 4, generator=torch.Generator().manual_seed(1)))
    x = torch.randn(3, 4)
    assert torch.equal(converted(x), convert_fx(expected)(x))


class Sized(Own):
    def forward(self, x, size):
        return self.linear(x) if size else x


class SizedObserved(OwnObserved):
    def forward(self, x, size):
        assert isinstance(size, int)
        return self.linear(x)


class SizedQuantized(OwnQuantized):
    def forward(self, x, size):
        assert isinstance(size, int)
        return self.linear(x)


class SizedFloat(SizedObserved):
    @classmethod
    def from_observed(cls, mod):
        return cls(mod.linear)


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.own, self.last = Sized(), nn.Linear(4, 4)

    def forward(self, x):
        return self.last(self.own(x, x.size(0)))


def sized_observed(qconfig):
    config = PrepareCustomConfig().set_float_to_observed_mapping(Sized, SizedObserved)
    mapping = QConfigMapping().set_global(default_qconfig).set_object_type(Sized, qconfig)
    observed = prepare_fx(Outer().eval(), mapping, (torch.ones(1, 4),), config)
    observed(X)
    return observed


@pytest.mark.parametrize(
    ("qconfig", "kind", "expected"),
    [
        (default_qconfig, SizedQuantized, ["size", "quantize_per_tensor", "own", "last", "dequantize"]),
        (float_qparams_weight_only_qconfig, SizedFloat, ["size", "own", "quantize_per_tensor", "last", "dequantize"]),
    ],
    ids=["integers", "float"],
)
def test_module_of_ones_own_takes_a_number(qconfig, kind, expected):
    observed = sized_observed(qconfig)
    converted = convert_fx(observed, ConvertCustomConfig().set_observed_to_quantized_mapping(SizedObserved, kind))
    assert calls(converted) == expected
    model = Outer().eval()
    mapping = QConfigMapping().set_global(default_qconfig)
    mapping.set_module_name("0", qconfig if kind is SizedQuantized else None)
    plain = prepare_fx(nn.Sequential(model.own.linear, model.last).eval(), mapping, (X,))
    plain(X)
    assert torch.equal(converted(X), convert_fx(plain)(X))


def test_module_of_ones_own_without_a_qconfig_stays_as_it_is():
    mapping = QConfigMapping().set_global(default_qconfig).set_object_type(Own, None)
    assert type(convert_fx(own_calibrated(mapping)).get_submodule("1")) is Own


def test_module_of_ones_own_without_a_quantized_class_is_an_error():
    with pytest.raises(
        ValueError, match=r"cannot convert '1': .*set_observed_to_quantized_mapping has no class for OwnO"
    ):
        convert_fx(own_calibrated())
