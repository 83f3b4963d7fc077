"""Backend configs: their classes, and the patterns of each backend beside torch.ao's."""

import importlib
import operator

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import torchq
from torchq.dtypes import from_torch
from torchq.quantization import backend_config
from torchq.quantization.backend_config import (
    BackendConfig,
    BackendPatternConfig,
    DTypeConfig,
    DTypeWithConstraints,
    ObservationType,
    get_native_backend_config,
    get_native_backend_config_dict,
    get_torchq_backend_config,
)
from torchq.quantization.utils import MatchAllNode

WEIGHTED = DTypeConfig(torchq.quint8, torchq.quint8, torchq.qint8, torch.float)
# torch.ao leaves out of its package what x86 has.
HOMES = dict.fromkeys(("native", "fbgemm", "qnnpack", "onednn"), "torch.ao.quantization.backend_config")
HOMES["x86"] = "torch.ao.quantization.backend_config.x86"


def fuse(is_qat, linear, relu):
    return torchq.nn.intrinsic.LinearReLU(linear, relu)


def linear_relu():
    return (
        BackendPatternConfig((nn.Linear, nn.ReLU))
        .set_observation_type(ObservationType.OUTPUT_SHARE_OBSERVER_WITH_INPUT)
        .add_dtype_config(WEIGHTED)
        .set_root_module(nn.Linear)
        .set_qat_module(torchq.nn.qat.Linear)
        .set_reference_quantized_module(torchq.nn.quantized.reference.Linear)
        .set_fused_module(torchq.nn.intrinsic.LinearReLU)
        .set_fuser_method(fuse)
        ._set_root_node_getter(min)
        ._set_extra_inputs_getter(max)
        ._set_num_tensor_args_to_observation_type({1: ObservationType.OUTPUT_SHARE_OBSERVER_WITH_INPUT})
        ._set_input_type_to_index({"weight": 1})
    )


def test_dtypes_of_torch_are_kept_as_torchqs():
    if not hasattr(torch, "quint8"):
        pytest.skip("this torch has no quantized dtypes")
    config = DTypeConfig(torch.quint8, DTypeWithConstraints(torch.qint8), weight_dtype=torch.qint32)
    assert (config.input_dtype, config.output_dtype) == (torchq.quint8, torchq.qint8)
    assert config.weight_dtype is torchq.qint32


def test_dtype_config_survives_a_dictionary():
    constrained = DTypeWithConstraints(torchq.quint8, quant_min_lower_bound=0, quant_max_upper_bound=127)
    config = DTypeConfig(constrained, torchq.quint8, torchq.qint8, torch.float, is_dynamic=True)
    assert config.to_dict()["input_dtype"] is constrained
    assert DTypeConfig.from_dict(config.to_dict()) == config
    assert DTypeConfig().to_dict() == {}


def test_pattern_config_survives_a_dictionary():
    config = linear_relu()
    again = BackendPatternConfig.from_dict(config.to_dict())
    assert again.to_dict() == config.to_dict()
    assert vars(again) == vars(config)


def test_pattern_in_the_complex_format_survives_a_dictionary():
    pattern = (operator.add, nn.Conv2d, MatchAllNode)
    config = BackendPatternConfig()._set_pattern_complex_format(pattern)
    assert BackendPatternConfig.from_dict(config.to_dict())._complex_format() is pattern


def test_backend_config_survives_a_dictionary():
    config = BackendConfig("mine").set_backend_pattern_configs([linear_relu(), BackendPatternConfig("relu")])
    again = BackendConfig.from_dict(config.to_dict())
    assert again.name == "mine"
    assert [one.to_dict() for one in again.configs] == [one.to_dict() for one in config.configs]
    assert [one.pattern for one in BackendConfig.from_dict({"configs": config.configs}).configs] == [
        (nn.Linear, nn.ReLU),
        "relu",
    ]


def test_later_config_of_a_pattern_replaces_the_earlier_one():
    config = BackendConfig().set_name("b").set_backend_pattern_config(BackendPatternConfig(nn.Linear))
    config.set_backend_pattern_config(BackendPatternConfig().set_pattern(nn.Linear).set_dtype_configs([WEIGHTED]))
    assert config.name == "b"
    assert [one.dtype_configs for one in config.configs] == [[WEIGHTED]]
    assert repr(config) == "BackendConfig('b', 1 patterns)"
    assert "Linear" in repr(config.configs[0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DTypeConfig.from_dict({"input": 1}), "a DTypeConfig has the keys .*, got 'input'"),
        (lambda: BackendPatternConfig.from_dict({"patern": 1}), "BackendPatternConfig has the keys .*, got 'patern'"),
        (lambda: BackendPatternConfig.from_dict({"dtype_configs": [3]}), "expected a DTypeConfig or .*, got 3"),
        (lambda: BackendConfig.from_dict({"configs": [3]}), "expected a BackendPatternConfig or .*, got 3"),
        (lambda: BackendConfig.from_dict({"nam": ""}), "has the keys name, configs, got 'nam'"),
        (lambda: BackendConfig().set_backend_pattern_config(BackendPatternConfig()), "needs a pattern"),
        (
            lambda: BackendConfig().set_backend_pattern_config(BackendPatternConfig((1, 2, 3, 4))),
            r"a tuple of 2 or 3, got \(1, 2, 3, 4\)",
        ),
        (lambda: BackendPatternConfig()._set_pattern_complex_format(F.relu).set_pattern(F.relu), "is set already"),
        (lambda: BackendPatternConfig(F.relu)._set_pattern_complex_format(F.relu), "is set already"),
        (lambda: BackendPatternConfig().set_observation_type(7), "7 is not a valid ObservationType"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_pattern_of_three_is_nested_from_its_end():
    assert BackendPatternConfig((1, 2, 3))._complex_format() == (3, (2, 1))


def named(part):
    """A pattern or type, by names that both libraries have."""
    if isinstance(part, tuple):
        return tuple(map(named, part))
    return (part.__name__, "qat" in part.__module__) if isinstance(part, type) else part


def dtypes(config):
    constraints = (config.input_dtype_with_constraints, config.output_dtype_with_constraints)
    parts = [vars(part).values() for part in (*constraints, config.weight_dtype_with_constraints)]
    return [list(map(from_torch, part)) for part in parts], config.bias_dtype, config.is_dynamic


def described(config):
    """A pattern's config, in what both libraries have."""
    modules = ("root_module", "qat_module", "reference_quantized_module", "fused_module")
    return {
        "observation": config.observation_type.name,
        "dtypes": list(map(dtypes, config.dtype_configs)),
        **{name: named(getattr(config, name)) for name in modules},
        "by tensors": {key: value.name for key, value in config._num_tensor_args_to_observation_type.items()},
        "indexes": config._input_type_to_index,
        "functions": [
            getattr(config, name) is not None for name in ("fuser_method", "_root_node_getter", "_extra_inputs_getter")
        ],
    }


# Without reference modules in torchq.
RECURRENT = {nn.GRUCell, nn.LSTMCell, nn.RNNCell, nn.LSTM, nn.GRU}


@pytest.mark.parametrize("backend", HOMES)
def test_backend_has_the_patterns_of_torch_aos(torch_ao, backend):
    importlib.import_module("torch.ao.quantization.quantize_fx")
    theirs = getattr(importlib.import_module(HOMES[backend]), f"get_{backend}_backend_config")()
    ours = getattr(backend_config, f"get_{backend}_backend_config")()
    assert ours.name == theirs.name
    expected = {named(key): described(value) for key, value in theirs._pattern_complex_format_to_config.items()}
    given = {named(key): described(value) for key, value in ours._pattern_complex_format_to_config.items()}
    for module in RECURRENT:
        expected[named(module)]["reference_quantized_module"] = None
    assert given.keys() == expected.keys()
    for key, value in expected.items():
        assert given[key] == value, key


def test_default_adds_to_native_and_changes_none_of_it():
    own, native = get_torchq_backend_config(), get_native_backend_config()
    added = own._pattern_complex_format_to_config.keys() - native._pattern_complex_format_to_config.keys()
    assert {operator.matmul, torch.bmm, F.gelu, nn.GroupNorm, operator.getitem, "flatten"} <= added
    assert own.configs[: len(native.configs)][-1].pattern == native.configs[-1].pattern


def test_dictionary_of_native():
    assert get_native_backend_config_dict()["name"] == "native"
    assert len(get_native_backend_config_dict()["configs"]) == len(get_native_backend_config().configs)
