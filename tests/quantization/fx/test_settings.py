"""Settings for what is not there: an error where they name a module or count, and no matter where they name a type."""

import operator

import pytest
import torch
from torch import nn

from torchq.nn import quantized
from torchq.quantization import (
    QConfigMapping,
    default_qconfig,
    get_default_qat_qconfig_mapping,
    get_default_qconfig_mapping,
)
from torchq.quantization.fx.custom_config import PrepareCustomConfig
from torchq.quantization.quantize_fx import convert_fx, prepare_fx, prepare_qat_fx

X = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Sequential(nn.Linear(4, 4), nn.ReLU()), nn.Linear(4, 4)
        self.unused = nn.Linear(4, 4)

    def forward(self, x):
        return self.head(self.body(x) + x), x


def mapping():
    return QConfigMapping().set_global(default_qconfig)


def prepared(mapping, config=None):
    return prepare_fx(Net().eval(), mapping, (X,), config)


@pytest.mark.parametrize(
    ("given", "config"),
    [
        (mapping().set_module_name("haed", None).set_module_name("head", None), None),
        (mapping().set_module_name_object_type_order("haed", nn.Linear, 0, None), None),
        (mapping(), PrepareCustomConfig().set_non_traceable_module_names(["head", "haed"])),
        (mapping(), PrepareCustomConfig().set_standalone_module_name("haed", None, (X,), None, None)),
    ],
    ids=["qconfig", "order", "non-traceable", "standalone"],
)
def test_name_of_no_module_is_an_error(given, config):
    with pytest.raises(ValueError, match=r"no such module in Net: 'haed'$"):
        prepared(given, config)


def test_names_in_a_standalone_module_are_its_own():
    def config(name):
        inner = QConfigMapping().set_module_name(name, default_qconfig)
        return PrepareCustomConfig().set_standalone_module_name("body", inner, (X,), None, None)

    prepared(mapping(), config("0"))
    with pytest.raises(ValueError, match=r"no such module in Sequential: 'body\.0'"):
        prepared(mapping(), config("body.0"))


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (("", nn.Linear, 1), r"no call 1 of <class .*Linear'> in '': a forward there makes 1 of them"),
        (("", nn.Linear, -1), "no call -1 of"),
        (("body", nn.ReLU, 0), "in 'body': a forward there makes 0 of them that are not fused"),
        (("head", operator.add, 0), "in 'head': a forward there makes 0"),
    ],
    ids=["beyond", "negative", "fused", "elsewhere"],
)
def test_index_of_no_call_is_an_error(place, message):
    with pytest.raises(ValueError, match=message):
        prepared(mapping().set_module_name_object_type_order(*place, None))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (PrepareCustomConfig().set_input_quantized_indexes([0, 1]), r"input_.* has 1, but the model has 1 input"),
        (PrepareCustomConfig().set_input_quantized_indexes([-1]), "input_.* has -1, but"),
        (PrepareCustomConfig().set_output_quantized_indexes([2]), r"output_.* has 2, but the model has 2 output"),
    ],
    ids=["input", "negative", "output"],
)
def test_index_of_no_input_or_result_is_an_error(config, message):
    with pytest.raises(ValueError, match=message):
        prepared(mapping(), config)


def test_module_that_is_not_called_has_a_name():
    prepared(mapping().set_module_name("unused", None))


def test_types_and_patterns_may_be_those_of_nothing():
    given = mapping().set_object_type(nn.Conv3d, None).set_object_type("mul", None).set_module_name_regex("no", None)
    prepared(given, PrepareCustomConfig().set_non_traceable_module_classes([nn.Conv1d]))


def test_default_mappings_name_nothing():
    prepared(get_default_qconfig_mapping())
    prepare_qat_fx(Net().train(), get_default_qat_qconfig_mapping(), (X,))


class TestConvertWithAMapping:
    def converted(self, name):
        observed = prepared(mapping())
        observed(X)
        return convert_fx(observed, qconfig_mapping=mapping().set_module_name(name, None))

    def test_name_of_no_module_is_an_error(self):
        with pytest.raises(ValueError, match="no such module in the model: 'haed'"):
            self.converted("haed")

    @pytest.mark.parametrize("name", ["head", "body", "unused", ""])
    def test_names_of_the_float_model_are_known(self, name):
        converted = self.converted(name)
        assert type(converted.head) is (nn.Linear if name in ("head", "") else quantized.Linear)
