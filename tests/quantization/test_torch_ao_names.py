"""Names that torch.ao exports for observers, fake quantizers and qconfigs: all here, with arguments and settings."""

import importlib
import inspect

import pytest
import torch

import torchq
from quantization.observing import settings_of
from torchq.dtypes import from_torch
from torchq.quantization import HistogramObserver, fake_quantize, fuse_known_modules, observer, qconfig

# What torch.ao has for torchao's observers, sparse modules and its own graph modes.
ELSEWHERE = {
    "observer": {"AffineQuantizedObserverBase", "TorchAODType"},
    "fake_quantize": set(),
    "fuse_modules": set(),
    "fuser_method_mappings": set(),
    "quantization_mappings": {
        *{"DEFAULT_STATIC_SPARSE_QUANT_MODULE_MAPPINGS", "get_default_static_sparse_quant_module_mappings"},
        *{"DEFAULT_DYNAMIC_SPARSE_QUANT_MODULE_MAPPINGS", "get_default_dynamic_sparse_quant_module_mappings"},
    },
    "quantize": set(),
    "stubs": set(),
    "qconfig": set(),
    "qconfig_mapping": set(),
    "quant_type": set(),
    "utils": {"DEPRECATION_WARNING", "check_node", "get_fqn_to_example_inputs", "get_swapped_custom_module_class"},
}
# fmt: off
CLASSES = [
    "FixedQParamsObserver", "HistogramObserver", "MinMaxObserver", "MovingAverageMinMaxObserver",
    "MovingAveragePerChannelMinMaxObserver", "NoopObserver", "PerChannelMinMaxObserver", "PlaceholderObserver",
    "RecordingObserver", "ReuseInputObserver",
]
FACTORIES = [
    "default_affine_fixed_qparams_observer", "default_debug_observer", "default_dynamic_quant_observer",
    "default_fixed_qparams_range_0to1_observer", "default_fixed_qparams_range_neg1to1_observer",
    "default_float_qparams_observer", "default_float_qparams_observer_4bit", "default_histogram_observer",
    "default_observer", "default_per_channel_weight_observer", "default_placeholder_observer",
    "default_reuse_input_observer", "default_symmetric_fixed_qparams_observer", "default_weight_observer",
    "per_channel_weight_observer_range_neg_127_to_127", "weight_observer_range_neg_127_to_127",
]
QCONFIGS = [
    "default_activation_only_qconfig", "default_debug_qconfig", "default_dynamic_qat_qconfig",
    "default_dynamic_qconfig", "default_embedding_qat_qconfig", "default_embedding_qat_qconfig_4bit",
    "default_per_channel_qconfig", "default_per_channel_symmetric_qnnpack_qat_qconfig",
    "default_per_channel_symmetric_qnnpack_qconfig", "default_qat_qconfig", "default_qat_qconfig_v2",
    "default_qconfig", "default_quint8_weight_qconfig", "default_reuse_input_qconfig",
    "default_symmetric_qnnpack_qat_qconfig", "default_symmetric_qnnpack_qconfig", "default_weight_only_qconfig",
    "float16_dynamic_qconfig", "float16_static_qconfig", "float_qparams_weight_only_qconfig",
    "float_qparams_weight_only_qconfig_4bit", "per_channel_dynamic_qconfig",
]
FAKE_QUANTIZERS = [
    "default_affine_fixed_qparams_fake_quant", "default_dynamic_fake_quant", "default_embedding_fake_quant",
    "default_embedding_fake_quant_4bit", "default_fake_quant", "default_fixed_qparams_range_0to1_fake_quant",
    "default_fixed_qparams_range_neg1to1_fake_quant", "default_fused_act_fake_quant",
    "default_fused_per_channel_wt_fake_quant", "default_fused_wt_fake_quant", "default_histogram_fake_quant",
    "default_per_channel_weight_fake_quant", "default_symmetric_fixed_qparams_fake_quant",
    "default_weight_fake_quant", "fused_per_channel_wt_fake_quant_range_neg_127_to_127",
    "fused_wt_fake_quant_range_neg_127_to_127",
]
# fmt: on
BACKENDS = ["fbgemm", "x86", "onednn", "qnnpack"]


@pytest.mark.parametrize("module", ELSEWHERE)
def test_every_name_is_here(torch_ao, module):
    theirs = importlib.import_module(f"torch.ao.quantization.{module}").__all__
    own = importlib.import_module(f"torchq.quantization.{module}")
    missing = {name for name in theirs if not hasattr(own, name)}
    assert missing == ELSEWHERE[module]


@pytest.mark.parametrize("module", sorted(ELSEWHERE.keys() - {"utils"}))
def test_every_name_of_a_module_is_one_of_the_package(torch_ao, module):
    own = importlib.import_module(f"torchq.quantization.{module}")
    for name in importlib.import_module(f"torch.ao.quantization.{module}").__all__:
        assert getattr(torchq.quantization, name, None) is getattr(own, name, None)


FUNCTIONS = ["add_quant_dequant", "convert", "prepare", "prepare_qat", "propagate_qconfig_", "quantize", "quantize_qat"]
FUNCTIONS += ["fuse_modules", "fuse_modules_qat", "fuse_conv_bn", "fuse_conv_bn_relu", "fuse_linear_bn"]
FUNCTIONS += [
    "fuse_convtranspose_bn",
    "get_fuser_method",
    "get_default_custom_config_dict",
    "QuantStub",
    "QuantWrapper",
]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_the_arguments_of_torch_ao(torch_ao, name):
    theirs = getattr(torch_ao, name, None) or getattr(torch_ao.fuser_method_mappings, name, None)
    theirs = inspect.signature(theirs or getattr(torch_ao.quantize, name)).parameters.values()
    own = inspect.signature(getattr(torchq.quantization, name)).parameters.values()
    assert [(p.name, p.default) for p in own][: len(theirs)] == [
        (p.name, fuse_known_modules if p.name == "fuser_func" else p.default) for p in theirs
    ]


@pytest.mark.parametrize("name", [*CLASSES, "ObserverBase", "UniformQuantizationObserverBase"])
def test_arguments_have_the_order_and_defaults_of_torch_ao(torch_ao, name):
    theirs = inspect.signature(getattr(torch_ao, name)).parameters.values()
    own = inspect.signature(getattr(observer, name)).parameters.values()
    positional = [(p.name, p.default) for p in own if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert positional == [(p.name, from_torch(p.default)) for p in theirs if p.kind is p.POSITIONAL_OR_KEYWORD]


@pytest.mark.parametrize("name", FACTORIES)
def test_default_observer_has_the_settings_of_torch_aos(torch_ao, name):
    assert settings_of(getattr(observer, name)()) == settings_of(getattr(torch_ao.observer, name)())


@pytest.mark.parametrize("name", FAKE_QUANTIZERS)
def test_default_fake_quantizer_has_the_settings_of_torch_aos(torch_ao, name):
    assert settings_of(getattr(fake_quantize, name)()) == settings_of(getattr(torch_ao.fake_quantize, name)())


@pytest.mark.parametrize("role", ["activation", "weight"])
@pytest.mark.parametrize("name", QCONFIGS)
def test_default_qconfig_has_the_settings_of_torch_aos(torch_ao, name, role):
    theirs, own = getattr(torch_ao.qconfig, name), getattr(qconfig, name)
    assert settings_of(getattr(own, role)()) == settings_of(getattr(theirs, role)())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("use", "version"), [("", 0), ("qat_", 0), ("qat_", 1)])
@pytest.mark.parametrize("role", ["activation", "weight"])
def test_backend_means_the_settings_of_torch_ao(torch_ao, backend, use, version, role):
    theirs, own = (getattr(library, f"get_default_{use}qconfig")(backend, version) for library in (torch_ao, qconfig))
    assert settings_of(getattr(own, role)()) == settings_of(getattr(theirs, role)())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("use", "version"), [("", 0), ("qat_", 0), ("qat_", 1)])
def test_mapping_has_the_entries_of_torch_aos(torch_ao, backend, use, version):
    get = f"get_default_{use}qconfig_mapping"
    theirs, own = (getattr(library, get)(backend, version) for library in (torch_ao, torchq.quantization))
    assert own.object_type_qconfigs.keys() == theirs.object_type_qconfigs.keys()
    pairs = [(own.global_qconfig, theirs.global_qconfig)]
    pairs += [(own.object_type_qconfigs[key], value) for key, value in theirs.object_type_qconfigs.items()]
    for ours, other in pairs:
        for role in ("activation", "weight"):
            assert settings_of(getattr(ours, role)()) == settings_of(getattr(other, role)())


@pytest.mark.filterwarnings("ignore:.*qconfig_dict. is deprecated:FutureWarning")
@pytest.mark.parametrize("get", ["get_default_qconfig_dict", "get_default_qat_qconfig_dict"])
def test_dictionary_has_the_keys_of_torch_aos(torch_ao, get):
    theirs, own = (getattr(library, get)("x86") for library in (torch_ao, torchq.quantization))
    assert own.keys() == theirs.keys()
    assert [key for key, _ in own["object_type"]] == [key for key, _ in theirs["object_type"]]


@pytest.mark.skipif(not hasattr(torch, "qint8"), reason="this torch has no quantized dtypes")
def test_settings_are_compared():
    assert settings_of(HistogramObserver()) != settings_of(HistogramObserver(dtype=torch.qint8))
