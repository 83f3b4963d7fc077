"""Which entry of a QConfigMapping counts for which call of a traced model."""

import operator

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from torchq.nn import intrinsic
from torchq.quantization import (
    HistogramObserver,
    MinMaxObserver,
    QConfig,
    QConfigMapping,
    default_dynamic_qconfig,
    default_qconfig,
    default_weight_observer,
    float16_dynamic_qconfig,
    float16_static_qconfig,
    float_qparams_weight_only_qconfig,
    get_default_qconfig_mapping,
)
from torchq.quantization.quantize_fx import convert_fx, prepare_fx


def marked(number):
    """A qconfig that is known by its observers' largest integer."""
    return QConfig(MinMaxObserver.with_args(quant_min=0, quant_max=number), default_weight_observer)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return F.hardswish(self.linear(x) + x).add(x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.block, self.last = nn.Linear(4, 4), Block(), nn.Linear(4, 4)

    def forward(self, x):
        return self.last(self.block(self.first(x)) + 1.5 * x)


def marks(mapping):
    """Which qconfig each observed call has, by the name of its node; those of inputs are left out."""
    prepared = prepare_fx(Net().eval(), mapping, (torch.ones(1, 4),))
    return {name: planned.qconfig.activation().quant_max for name, planned in prepared.meta["plan"].planned.items()}


EVERYWHERE = {"first", "block_linear", "add", "hardswish", "add_1", "mul", "add_2", "last"}


def test_global_qconfig_is_for_everything():
    assert marks(QConfigMapping().set_global(marked(100))) == dict.fromkeys(EVERYWHERE, 100)


@pytest.mark.parametrize("qconfig", [None, default_dynamic_qconfig])
def test_model_of_which_nothing_would_be_quantized_is_an_error(qconfig):
    with pytest.raises(ValueError, match="nothing to quantize in Sequential: no call of its graph has a qconfig"):
        prepare_fx(nn.Sequential(nn.Conv2d(1, 1, 1)).eval(), QConfigMapping().set_global(qconfig), ())


def test_dictionary_is_read():
    assert marks({"": marked(100), "object_type": [(nn.Linear, None)]}).keys() == EVERYWHERE - {
        *("first", "block_linear", "last")
    }


def test_type_comes_before_global():
    mapping = QConfigMapping().set_global(marked(100)).set_object_type(nn.Linear, marked(101))
    mapping.set_object_type(operator.add, marked(102)).set_object_type("add", marked(103)).set_object_type(
        F.hardswish, None
    )
    expected = {"first": 101, "block_linear": 101, "last": 101, "add": 102, "add_2": 102, "add_1": 103, "mul": 100}
    assert marks(mapping) == expected


def test_type_of_the_module_around_comes_before_the_function():
    mapping = QConfigMapping().set_object_type(operator.add, marked(101)).set_object_type(Block, marked(102))
    # A module inside has its own type, and name.
    assert marks(mapping) == {"add": 102, "hardswish": 102, "add_1": 102, "add_2": 101}


def test_pattern_of_names_comes_before_types():
    mapping = QConfigMapping().set_object_type(nn.Linear, marked(101)).set_module_name_regex("bl.*near", marked(102))
    assert marks(mapping) == {"first": 101, "block_linear": 102, "last": 101}


def test_name_comes_before_patterns_and_holds_for_what_is_inside():
    mapping = QConfigMapping().set_module_name_regex(".*", marked(101)).set_module_name("block", marked(102))
    mapping.set_module_name("block.linear", marked(103))
    inside = {"block_linear": 103, "add": 102, "hardswish": 102, "add_1": 102}
    assert marks(mapping) == {**dict.fromkeys(EVERYWHERE, 101), **inside}


def test_order_of_calls_comes_before_names():
    mapping = QConfigMapping().set_global(marked(100)).set_module_name("block", marked(101))
    mapping.set_module_name_object_type_order("block", operator.add, 0, marked(102))
    mapping.set_module_name_object_type_order("block", "add", 0, marked(103))
    mapping.set_module_name_object_type_order("", nn.Linear, 1, marked(104))
    mapping.set_module_name_object_type_order("", operator.add, 0, None)
    expected = {"block_linear": 101, "add": 102, "hardswish": 101, "add_1": 103, "last": 104, "first": 100, "mul": 100}
    assert marks(mapping) == expected


def test_fused_modules_have_the_qconfig_of_the_first():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU()).eval()
    prepared = prepare_fx(model, QConfigMapping().set_object_type(nn.Linear, marked(101)), (torch.ones(1, 4),))
    assert type(prepared.get_submodule("0")) is intrinsic.LinearReLU
    assert prepared.activation_post_process_1.quant_max == 101


def test_fused_type_has_an_entry_of_its_own():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU()).eval()
    mapping = QConfigMapping().set_object_type(nn.ReLU, None).set_object_type(intrinsic.LinearReLU, marked(101))
    assert prepare_fx(model, mapping, (torch.ones(1, 4),)).activation_post_process_1.quant_max == 101


def test_fused_modules_with_different_qconfigs_are_an_error():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU()).eval()
    mapping = QConfigMapping().set_global(default_qconfig).set_object_type(nn.ReLU, None)
    with pytest.raises(ValueError, match="Linear and ReLU are one LinearReLU, but have different qconfigs"):
        prepare_fx(model, mapping, (torch.ones(1, 4),))


def test_functions_with_different_qconfigs_are_quantized_one_by_one():
    class Functions(nn.Module):
        def forward(self, x):
            return F.relu(x + x)

    mapping = QConfigMapping().set_global(marked(100)).set_object_type(F.relu, None)
    prepared = prepare_fx(Functions().eval(), mapping, (torch.ones(1, 4),))
    assert prepared.meta["plan"].planned.keys() == {"add"}


def test_global_qconfig_that_does_not_fit_leaves_a_call_in_float():
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten(), nn.Linear(4, 4)).eval()
    prepared = prepare_fx(model, QConfigMapping().set_global(default_dynamic_qconfig), (torch.ones(1, 1, 2, 2),))
    assert prepared.meta["plan"].planned.keys() == {"_2"}


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        (("set_object_type", nn.Sigmoid, default_qconfig), "0"),
        (("set_object_type", nn.Linear, float_qparams_weight_only_qconfig), "1"),
        (("set_module_name", "1", float_qparams_weight_only_qconfig), "1"),
        (("set_module_name_object_type_order", "", nn.Linear, 0, float_qparams_weight_only_qconfig), "1"),
    ],
)
def test_qconfig_that_was_meant_for_a_call_and_does_not_fit_is_an_error(entry, name):
    model = nn.Sequential(nn.Sigmoid(), nn.Linear(4, 4)).eval()
    mapping = QConfigMapping().set_global(QConfig(HistogramObserver, default_weight_observer))
    method, *arguments = entry
    getattr(mapping, method)(*arguments)
    with pytest.raises(
        ValueError, match=f"'torchq' cannot quantize '{name}' with its qconfig, activations .* it can with"
    ):
        prepare_fx(model, mapping, (torch.ones(1, 4),))


@pytest.mark.parametrize("qconfig", [float16_dynamic_qconfig, float16_static_qconfig])
def test_float16_is_an_error_that_says_what_there_is(qconfig):
    with pytest.raises(ValueError, match=r"asks for torch.float16, .* default_dynamic_qconfig"):
        prepare_fx(nn.Sequential(nn.Linear(4, 4)).eval(), QConfigMapping().set_global(qconfig), (torch.ones(1, 4),))


@pytest.mark.parametrize(
    ("qconfig", "name"), [(float16_dynamic_qconfig, "block.linear"), (float16_static_qconfig, "add_2")]
)
def test_global_float16_is_an_error_beside_other_qconfigs(qconfig, name):
    mapping = QConfigMapping().set_global(qconfig).set_module_name("last", default_qconfig)
    with pytest.raises(ValueError, match=f"the qconfig of '{name}' asks for torch.float16"):
        prepare_fx(Net().eval(), mapping, (torch.ones(1, 4),))


def test_static_float16_is_an_error_for_a_recurrent_layer():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.GRU(4, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.rnn(x)[1])

    mapping = QConfigMapping().set_global(float16_static_qconfig).set_module_name("head", default_qconfig)
    with pytest.raises(ValueError, match=r"the qconfig of 'rnn' asks for torch.float16"):
        prepare_fx(Last().eval(), mapping, (torch.ones(1, 1, 4),))


def test_static_float16_fits_no_pattern():
    mapping = QConfigMapping().set_object_type(nn.Linear, float16_static_qconfig)
    with pytest.raises(ValueError, match="cannot quantize '0' with its qconfig"):
        prepare_fx(nn.Sequential(nn.Linear(4, 4)).eval(), mapping, (torch.ones(1, 4),))


def test_input_of_a_fixed_function_that_comes_in_float_has_the_global_qconfig():
    prepared = prepare_fx(nn.Sequential(nn.Sigmoid()).eval(), get_default_qconfig_mapping(), (torch.ones(1, 4),))
    assert type(prepared.activation_post_process_0) is HistogramObserver
    mapping = get_default_qconfig_mapping().set_global(None)
    with pytest.raises(ValueError, match=r"the qconfig of '0' has fixed qparams, .* needs a global qconfig"):
        prepare_fx(nn.Sequential(nn.Sigmoid()).eval(), mapping, (torch.ones(1, 4),))


class TestConvertWithAMapping:
    def prepared(self):
        observed = prepare_fx(Net().eval(), QConfigMapping().set_global(default_qconfig), (torch.ones(1, 4),))
        observed(torch.randn(8, 4, generator=torch.Generator().manual_seed(0)))
        return observed

    def test_none_leaves_a_part_in_float(self):
        mapping = QConfigMapping().set_global(default_qconfig).set_module_name("last", None)
        assert type(convert_fx(self.prepared(), qconfig_mapping=mapping).last) is nn.Linear

    def test_none_for_a_pattern_and_a_call(self):
        mapping = QConfigMapping().set_global(default_qconfig).set_module_name_regex("fir", None)
        mapping.set_module_name_object_type_order("block", nn.Linear, 0, None)
        converted = convert_fx(self.prepared(), qconfig_mapping=mapping)
        assert type(converted.first) is type(converted.block.linear) is nn.Linear

    def test_another_global_qconfig_is_an_error(self):
        with pytest.raises(ValueError, match="global qconfig must be that of the prepared model"):
            convert_fx(self.prepared(), qconfig_mapping=QConfigMapping().set_global(marked(100)))

    def test_missing_and_changed_entries_are_errors(self):
        mapping = QConfigMapping().set_object_type(nn.Linear, default_qconfig)
        observed = prepare_fx(Net().eval(), mapping, (torch.ones(1, 4),))
        with pytest.raises(ValueError, match=r"object_type_qconfigs has no entry for <class .*Linear'>"):
            convert_fx(observed, qconfig_mapping=QConfigMapping())
        with pytest.raises(ValueError, match=r"object_type_qconfigs for <class .*Linear'> must be that of the"):
            convert_fx(observed, qconfig_mapping=QConfigMapping().set_object_type(nn.Linear, marked(100)))
