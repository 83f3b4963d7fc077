"""Modules whose weight is computed of other parameters: graph mode quantizes what eager mode does."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from torchq.nn import quantized
from torchq.quantization import (
    QConfigMapping,
    QuantWrapper,
    convert,
    default_dynamic_qconfig,
    fuse_modules,
    get_default_qconfig,
    get_default_qconfig_mapping,
    prepare,
    quantize_dynamic,
)
from torchq.quantization.quantize_fx import convert_fx, prepare_fx

X = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
PARAMETRIZATIONS = [parametrizations.weight_norm, parametrizations.spectral_norm]


def net(parametrization, relu):
    torch.manual_seed(0)
    return nn.Sequential(parametrization(nn.Linear(4, 4)), *([nn.ReLU()] if relu else [])).eval()


@pytest.mark.parametrize("relu", [False, True], ids=["plain", "relu"])
@pytest.mark.parametrize("parametrization", PARAMETRIZATIONS)
def test_parametrized_layer_is_that_of_eager_mode(parametrization, relu):
    model = net(parametrization, relu)
    observed = prepare_fx(model, get_default_qconfig_mapping(), (X,))
    eager = QuantWrapper(fuse_modules(model, ["0", "1"]) if relu else model)
    eager.qconfig = get_default_qconfig()
    eager = prepare(eager)
    observed(X)
    eager(X)
    assert torch.equal(convert_fx(observed)(X), convert(eager)(X))


@pytest.mark.parametrize("relu", [False, True], ids=["plain", "relu"])
@pytest.mark.parametrize("parametrization", PARAMETRIZATIONS)
def test_parametrized_layer_is_quantized_at_run_time(parametrization, relu):
    model, mapping = net(parametrization, relu), QConfigMapping().set_object_type(nn.Linear, default_dynamic_qconfig)
    converted = convert_fx(prepare_fx(model, mapping, (X,)))
    assert any(isinstance(module, quantized.dynamic.Linear) for module in converted.modules())
    assert torch.equal(converted(X), quantize_dynamic(model, {nn.Linear})(X))
