import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from torchq.quantization import (
    FixedQParamsObserver,
    PerChannelMinMaxObserver,
    QConfigMapping,
    QuantStub,
    convert,
    default_debug_qconfig,
    default_dynamic_qconfig,
    default_per_channel_qconfig,
    default_qconfig,
    get_default_qconfig_dict,
    get_default_qconfig_mapping,
    prepare,
    propagate_qconfig_,
    qconfig_equals,
)

A, B, C, D = default_qconfig, default_debug_qconfig, default_dynamic_qconfig, default_per_channel_qconfig


def model():
    inner = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    return nn.Sequential(nn.Linear(4, 4), nn.ModuleDict({"inner": inner, "other": nn.Linear(4, 4)}))


def propagated(mapping, net=None):
    """Qualified names to the qconfigs that a mapping gives."""
    net = model() if net is None else net
    propagate_qconfig_(net, mapping)
    return {name: module.qconfig for name, module in net.named_modules()}


def full():
    return (
        QConfigMapping()
        .set_global(A)
        .set_object_type(nn.Linear, B)
        .set_object_type(F.relu, None)
        .set_object_type("reshape", C)
        .set_module_name_regex("1.*", C)
        .set_module_name("1.inner", D)
        .set_module_name_object_type_order("1", nn.Linear, 2, A)
    )


def test_global_is_for_everything():
    assert set(propagated(QConfigMapping().set_global(A)).values()) == {A}


def test_nothing_set_leaves_everything_in_float():
    assert set(propagated(QConfigMapping()).values()) == {None}


def test_type_comes_before_global():
    found = propagated(QConfigMapping().set_global(A).set_object_type(nn.Linear, B))
    assert {name for name, qconfig in found.items() if qconfig is B} == {"0", "1.inner.0", "1.other"}


def test_pattern_comes_before_type_and_the_first_that_fits_counts():
    mapping = QConfigMapping().set_object_type(nn.Linear, A)
    found = propagated(mapping.set_module_name_regex(r"1\.o", B).set_module_name_regex("1", C))
    assert (found["0"], found["1.other"], found["1.inner.0"]) == (A, B, C)


def test_name_comes_before_pattern_and_is_for_all_inside():
    found = propagated(QConfigMapping().set_module_name_regex(".*", A).set_module_name("1.inner", B))
    assert (found["1.inner"], found["1.inner.0"], found["1.other"], found["0"]) == (B, B, A, A)


def test_longest_name_counts():
    found = propagated(QConfigMapping().set_module_name("1", A).set_module_name("1.inner", None))
    assert (found["1.other"], found["1.inner.0"]) == (A, None)


def test_empty_name_is_the_whole_model():
    assert set(propagated(QConfigMapping().set_module_name("", A).set_object_type(nn.Linear, B)).values()) == {A}


def test_own_attribute_comes_before_the_mapping_and_is_inherited():
    net = model()
    net[1].qconfig = None
    found = propagated(QConfigMapping().set_global(A), net)
    assert (found["0"], found["1"], found["1.inner.0"]) == (A, None, None)


def test_name_of_no_module_is_an_error():
    with pytest.raises(ValueError, match=r"no such module in Sequential: '1\.outer'"):
        propagated(QConfigMapping().set_module_name("1.outer", A))


def test_order_of_calls_is_an_error_where_it_is_not_known():
    with pytest.raises(ValueError, match=r"no place for \('1', <class .*Linear'>, 2\)"):
        propagated(full())


def test_setting_again_replaces_in_place():
    mapping = QConfigMapping().set_module_name_regex("a", A).set_module_name_regex("b", A).set_module_name_regex("a", B)
    assert list(mapping.module_name_regex_qconfigs.items()) == [("a", B), ("b", A)]


@pytest.mark.parametrize(
    "call",
    [
        lambda mapping: mapping.set_global("x"),
        lambda mapping: mapping.set_object_type(nn.Linear, "x"),
        lambda mapping: mapping.set_module_name_regex("a", "x"),
        lambda mapping: mapping.set_module_name("a", "x"),
        lambda mapping: mapping.set_module_name_object_type_order("a", nn.Linear, 0, "x"),
    ],
    ids=["global", "type", "pattern", "name", "order"],
)
def test_what_is_no_qconfig_is_an_error(call):
    mapping = QConfigMapping()
    with pytest.raises(TypeError, match=r"must be a torchq\.quantization\.QConfig, got 'x'"):
        call(mapping)
    assert mapping.to_dict() == QConfigMapping().to_dict()


def test_pattern_that_is_none_is_an_error():
    with pytest.raises(re.error):
        QConfigMapping().set_module_name_regex("(", A)


def test_dictionary_holds_every_entry():
    assert full().to_dict() == {
        "": A,
        "object_type": [(nn.Linear, B), (F.relu, None), ("reshape", C)],
        "module_name_regex": [("1.*", C)],
        "module_name": [("1.inner", D)],
        "module_name_object_type_order": [("1", nn.Linear, 2, A)],
    }


def test_dictionary_makes_the_same_mapping():
    assert QConfigMapping.from_dict(full().to_dict()).to_dict() == full().to_dict()
    assert QConfigMapping.from_dict({}).to_dict() == QConfigMapping().to_dict()


def test_dictionary_of_torch_ao_has_the_same_form(torch_ao):
    theirs = torch_ao.QConfigMapping().set_global(A).set_object_type(nn.Linear, B).set_module_name("1", C)
    theirs.set_module_name_regex("x", D).set_module_name_object_type_order("1", nn.Linear, 2, A)
    assert QConfigMapping.from_dict(theirs.to_dict()).to_dict() == theirs.to_dict()


def test_unknown_key_is_an_error():
    with pytest.raises(ValueError, match=r"has the keys '', 'object_type', .*, got 'module_type'"):
        QConfigMapping.from_dict({"module_type": []})


def test_shows_its_entries_by_kind():
    mapping = QConfigMapping().set_module_name("a", None).set_module_name("b", None)
    assert repr(mapping).splitlines() == [
        "QConfigMapping (",
        " global_qconfig",
        "  None",
        " object_type_qconfigs",
        " module_name_regex_qconfigs",
        " module_name_qconfigs",
        "  a: None",
        "  b: None",
        " module_name_object_type_order_qconfigs",
        ")",
    ]


def test_default_without_a_backend_is_torchqs_own():
    mapping = get_default_qconfig_mapping()
    assert mapping.global_qconfig.activation().quant_max == 255
    assert isinstance(mapping.global_qconfig.weight(), PerChannelMinMaxObserver)
    assert not isinstance(mapping.object_type_qconfigs[nn.ConvTranspose2d].weight(), PerChannelMinMaxObserver)


def test_default_knows_the_range_of_a_sigmoid():
    assert isinstance(
        get_default_qconfig_mapping().object_type_qconfigs[torch.sigmoid].activation(), FixedQParamsObserver
    )


def test_default_refuses_an_unknown_backend_and_version():
    with pytest.raises(ValueError, match="got 'cudnn'"):
        get_default_qconfig_mapping("cudnn")
    with pytest.raises(ValueError, match="version must be 0, got 1"):
        get_default_qconfig_mapping(version=1)


def test_default_dictionary_is_that_of_the_mapping():
    own, mapping = get_default_qconfig_dict("qnnpack"), get_default_qconfig_mapping("qnnpack")
    assert own.keys() == mapping.to_dict().keys()
    assert qconfig_equals(own[""], mapping.global_qconfig)


def test_model_is_quantized_by_a_mapping():
    net = nn.Sequential(QuantStub(), nn.Linear(4, 4), nn.Linear(4, 2)).eval()
    propagate_qconfig_(net, get_default_qconfig_mapping().set_module_name("2", None))
    prepared = prepare(net)
    prepared(torch.ones(2, 4))
    converted = convert(prepared)
    assert [type(module).__module__.startswith("torchq") for module in converted] == [True, True, False]
