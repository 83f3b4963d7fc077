"""Custom configs: what they hold, as objects and as dictionaries."""

import importlib

import pytest
from torch import nn

from torchq.quantization import QConfigMapping, QuantType, default_qconfig
from torchq.quantization.backend_config import BackendConfig, get_native_backend_config
from torchq.quantization.fx.custom_config import (
    ConvertCustomConfig,
    FuseCustomConfig,
    PrepareCustomConfig,
    StandaloneModuleConfigEntry,
)


class Own(nn.Module):
    pass


class Observed(nn.Module):
    pass


def full_config():
    mapping, inner = (
        QConfigMapping().set_global(default_qconfig),
        PrepareCustomConfig().set_output_quantized_indexes([0]),
    )
    return (
        PrepareCustomConfig()
        .set_standalone_module_name("a.b", mapping, (1,), inner, get_native_backend_config())
        .set_standalone_module_class(Own, None, (), None, None)
        .set_float_to_observed_mapping(Own, Observed)
        .set_non_traceable_module_names(["c"])
        .set_non_traceable_module_classes([Own])
        .set_input_quantized_indexes([0, 2])
        .set_output_quantized_indexes([1])
        .set_preserved_attributes(["labels"])
    )


def test_settings_of_a_standalone_module_are_an_entry():
    entry = full_config().standalone_module_classes[Own]
    assert entry == StandaloneModuleConfigEntry(None, (), None, None)
    named = full_config().standalone_module_names["a.b"]
    assert named.qconfig_mapping.global_qconfig is default_qconfig
    assert named.prepare_custom_config.output_quantized_indexes == [0]


def test_dictionaries_in_the_place_of_configs_are_read():
    config = PrepareCustomConfig().set_standalone_module_name(
        "a", {"": default_qconfig}, (), {"input_quantized_idxs": [0]}, {"name": "mine"}
    )
    entry = config.standalone_module_names["a"]
    assert entry.qconfig_mapping.global_qconfig is default_qconfig
    assert entry.prepare_custom_config.input_quantized_indexes == [0]
    assert type(entry.backend_config) is BackendConfig


def test_prepare_config_survives_a_dictionary():
    config = full_config()
    again = PrepareCustomConfig.from_dict(config.to_dict())
    assert repr(again.to_dict()) == repr(config.to_dict())
    assert again.float_to_observed_mapping == {QuantType.STATIC: {Own: Observed}}
    assert again.standalone_module_names.keys() == {"a.b"}


def test_convert_and_fuse_configs_survive_a_dictionary():
    config = ConvertCustomConfig().set_preserved_attributes(["labels"])
    config.set_observed_to_quantized_mapping(Observed, Own).set_observed_to_quantized_mapping(
        Own, Observed, QuantType.DYNAMIC
    )
    assert ConvertCustomConfig.from_dict(config.to_dict()).__dict__ == config.__dict__
    fuse = FuseCustomConfig().set_preserved_attributes(["labels"])
    assert FuseCustomConfig.from_dict(fuse.to_dict()).preserved_attributes == ["labels"]


def test_what_is_not_set_is_not_in_the_dictionary():
    assert PrepareCustomConfig().to_dict() == ConvertCustomConfig().to_dict() == FuseCustomConfig().to_dict() == {}
    assert repr(PrepareCustomConfig()) == "PrepareCustomConfig({})"


def test_dictionary_has_the_keys_of_torch_aos(torch_ao):
    theirs = importlib.import_module("torch.ao.quantization.fx.custom_config")
    expected = (
        theirs.PrepareCustomConfig()
        .set_standalone_module_name("a", None, (), None, None)
        .set_standalone_module_class(Own, None, (), None, None)
        .set_float_to_observed_mapping(Own, Observed)
        .set_non_traceable_module_names(["c"])
        .set_non_traceable_module_classes([Own])
        .set_input_quantized_indexes([0])
        .set_output_quantized_indexes([1])
        .set_preserved_attributes(["labels"])
        .to_dict()
    )
    assert PrepareCustomConfig.from_dict(expected).to_dict() == expected
    theirs = (
        theirs.ConvertCustomConfig().set_observed_to_quantized_mapping(Observed, Own).set_preserved_attributes(["a"])
    )
    assert ConvertCustomConfig.from_dict(theirs.to_dict()).to_dict() == theirs.to_dict()


@pytest.mark.parametrize("config", [PrepareCustomConfig, ConvertCustomConfig, FuseCustomConfig])
def test_refuses_an_unknown_key(config):
    with pytest.raises(ValueError, match=f"a {config.__name__} has the keys .*preserved_attributes, got 'preserved'"):
        config.from_dict({"preserved": []})


def test_refuses_another_quantization_type():
    with pytest.raises(ValueError, match=r"quant_type must be .*STATIC.*, got .*DYNAMIC"):
        PrepareCustomConfig().set_float_to_observed_mapping(Own, Observed, QuantType.DYNAMIC)
    with pytest.raises(ValueError, match=r"is one of .*'static'.*, got 'statics'"):
        PrepareCustomConfig.from_dict({"float_to_observed_custom_module_class": {"statics": {Own: Observed}}})


def test_refuses_what_is_no_config():
    with pytest.raises(TypeError, match=r"backend_config must be a torchq BackendConfig, .*, got 'native'"):
        PrepareCustomConfig().set_standalone_module_name("a", None, (), None, "native")
