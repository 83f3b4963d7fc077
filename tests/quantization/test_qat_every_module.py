"""Every module for training becomes a quantized one, which computes what training simulated."""

import pytest
import torch
from torch import nn

import torchq
from nn.qat_modules import MODULES, float_module
from torchq.quantization import (
    DEFAULT_STATIC_QUANT_MODULE_MAPPINGS,
    DeQuantStub,
    QuantStub,
    convert,
    disable_observer,
    get_default_qat_qconfig,
    prepare_qat,
)

pytestmark = pytest.mark.usefixtures("one_thread")
KEYS = [key for key in MODULES if "Embedding" not in key and "dynamic" not in key]


@pytest.mark.parametrize("backend", [None, "qnnpack"], ids=["per-channel", "per-tensor"])
@pytest.mark.parametrize("key", KEYS)
def test_converted_module_computes_what_training_simulated(key, backend):
    kind, _, x = MODULES[key]
    module = float_module(key, None)
    del module.qconfig
    model = nn.Sequential(QuantStub(), module, DeQuantStub()).train()
    model.qconfig = get_default_qat_qconfig(backend)
    prepared = prepare_qat(model, {type(module): kind})
    assert type(prepared[1]) is kind
    for _ in range(3):
        prepared(x)
    prepared.eval().apply(disable_observer)
    int8 = convert(prepared)
    assert type(int8[1]) is DEFAULT_STATIC_QUANT_MODULE_MAPPINGS[kind]
    with torch.no_grad(), torchq.no_float_fallback():
        simulated, given = prepared(x), int8(x)
    steps = (given - simulated) / int8[1].scale
    # Sums are exact in int8 and rounded in float32: a value next to a tie may go the other way.
    assert steps.abs().max() <= 1.001
    assert (steps.abs() > 0.5).sum() <= max(1, 1e-3 * steps.numel())
