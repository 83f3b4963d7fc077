"""convert with is_reference: float modules with rounded weights. And what runs calibration data."""

import pytest
import torch
from torch import nn

import torchq
from torchq.nn.quantized import reference
from torchq.quantization import (
    FakeQuantizeBase,
    MatchAllNode,
    ObserverOrFakeQuantize,
    Pattern,
    QConfigAny,
    convert,
    default_eval_fn,
    default_fake_quant,
    default_observer,
    default_qconfig,
    fuse_conv_bn,
    get_combined_dict,
    get_default_qconfig,
    get_default_static_quant_reference_module_mappings,
    get_fuser_method_new,
    prepare,
    quantize,
)
from torchq.quantization.backend_config import BackendPatternConfig

LAYERS = {
    "linear": (lambda: nn.Linear(6, 4), (3, 6)),
    "conv": (lambda: nn.Conv2d(2, 4, 3), (1, 2, 5, 5)),
    "conv-transpose": (lambda: nn.ConvTranspose1d(2, 4, 3), (1, 2, 5)),
}


def converted(library, name, **options):
    torch.manual_seed(0)
    model = nn.Sequential(LAYERS[name][0]()).eval()
    # One scale: per channel, the two have another axis for a transposed convolution.
    model.qconfig = library.default_qconfig
    prepared = library.prepare(model)
    prepared(torch.randn(LAYERS[name][1]))
    return library.convert(prepared, is_reference=True, **options)


@pytest.mark.parametrize("name", LAYERS)
def test_reference_model_has_the_weights_and_results_of_torch_ao(torch_ao, name):
    theirs, own = (converted(library, name) for library in (torch_ao, torchq.quantization))
    assert isinstance(own[0], reference.ReferenceQuantizedModule)
    assert torch.equal(own[0].get_weight(), theirs[0].get_weight())
    x = torch.randn(LAYERS[name][1])
    assert torch.equal(own(x), theirs(x))


def test_reference_mapping_may_be_given():
    mapping = {nn.Linear: get_default_static_quant_reference_module_mappings()[nn.Linear]}
    model = converted(torchq.quantization, "linear", mapping=mapping)
    assert isinstance(model[0], reference.Linear)
    assert not isinstance(convert(prepared_linear())[0], reference.Linear)


def prepared_linear():
    model = nn.Sequential(nn.Linear(6, 4)).eval()
    model.qconfig = default_qconfig
    prepared = prepare(model)
    prepared(torch.randn(3, 6))
    return prepared


def test_default_eval_fn_calibrates_as_torch_aos(torch_ao):
    data = [(torch.randn(4, 3, generator=torch.Generator().manual_seed(i)), i) for i in range(3)]
    scales = []
    for library in (torchq.quantization, torch_ao):
        torch.manual_seed(0)
        model = library.QuantWrapper(nn.Linear(3, 2)).eval()
        model.qconfig = library.get_default_qconfig("fbgemm")
        scales.append(library.quantize(model, library.default_eval_fn, [data]).module.scale)
    assert scales[0] == scales[1]


@pytest.mark.parametrize(
    ("data", "given"), [(torch.ones(2, 2, 3), "a Tensor"), ([(torch.ones(1), 0, 0)], "3 of them")], ids=str
)
def test_what_is_no_pair_is_an_error(data, given):
    model = nn.Linear(3, 2)
    model.qconfig = get_default_qconfig("fbgemm")
    with pytest.raises(TypeError, match=f"default_eval_fn takes pairs of an input and a target, got {given}"):
        quantize(nn.Sequential(model), default_eval_fn, [data])


def test_observers_and_fake_quantizers_are_what_the_alias_says():
    assert isinstance(default_observer(), ObserverOrFakeQuantize)
    assert isinstance(default_fake_quant(), ObserverOrFakeQuantize)
    assert isinstance(default_fake_quant(), FakeQuantizeBase)
    assert not isinstance(nn.Identity(), ObserverOrFakeQuantize)


def test_qconfig_or_none_is_what_the_alias_says():
    assert isinstance(default_qconfig, QConfigAny)
    assert isinstance(None, QConfigAny)


def test_pattern_is_what_a_backend_config_takes():
    pattern: Pattern = (torch.relu, nn.Conv2d)
    assert BackendPatternConfig(pattern).pattern == pattern


def test_combined_dictionary_has_the_additional_values():
    default = {"a": 1, "b": 2}
    assert get_combined_dict(default, {"b": 3}) == {"a": 1, "b": 3}
    assert default == {"a": 1, "b": 2}


PATTERNS = {
    "itself": (nn.BatchNorm2d, nn.Conv2d),
    "a-part-that-is-any": (nn.BatchNorm2d, MatchAllNode),
    "all-any": (MatchAllNode, MatchAllNode),
}


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_fuser_of_a_pattern_is_found(pattern):
    assert get_fuser_method_new((nn.BatchNorm2d, nn.Conv2d), {pattern: fuse_conv_bn}) is fuse_conv_bn


def test_fuser_of_the_more_special_pattern_goes_first():
    fusers = {(MatchAllNode, MatchAllNode): print, (nn.BatchNorm2d, MatchAllNode): fuse_conv_bn}
    assert get_fuser_method_new((nn.BatchNorm2d, nn.Conv2d), fusers) is fuse_conv_bn


def test_pattern_without_a_fuser_is_an_error():
    with pytest.raises(NotImplementedError, match=r"cannot fuse .*Conv2d.*; known are \[.*Linear"):
        get_fuser_method_new((nn.BatchNorm2d, nn.Conv2d), {(nn.ReLU, nn.Linear): fuse_conv_bn})
