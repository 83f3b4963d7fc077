"""Training what will quantize its input at run time."""

import torch
from torch import nn

from torchq.nn import qat, quantized
from torchq.quantization import (
    convert,
    default_dynamic_qat_qconfig,
    disable_observer,
    get_default_dynamic_quant_module_mappings,
    prepare_qat,
)
from torchq.quantization.hooks import has_observer, remove_observer


def prepared_model(*hooks):
    """Two linear layers, the first with pre-hooks, prepared and trained for a few steps."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    model.qconfig = default_dynamic_qat_qconfig
    for hook in hooks:
        model[0].register_forward_pre_hook(hook)
    prepared = prepare_qat(model, {nn.Linear: qat.dynamic.Linear})
    for seed in range(3):
        prepared(inputs(seed)).sum().backward()
    return prepared


def inputs(seed):
    return torch.randn(5, 4, generator=torch.Generator().manual_seed(seed))


def test_inputs_are_rounded_by_their_own_range():
    layer, x = prepared_model()[0], inputs(3)
    output = layer(x)
    weight = layer.weight_fake_quant(layer.weight)
    scale = (x.max() - x.min()) / 255
    zero_point = -torch.round(x.min() / scale)
    rounded = ((x / scale + zero_point).round() - zero_point) * scale
    # The same grid; products and sums over 4 terms of a few units are in float32.
    torch.testing.assert_close(output, nn.functional.linear(rounded, weight, layer.bias), rtol=0, atol=32 * 2**-23)


def test_layers_become_dynamic_ones_with_the_integers_of_training():
    prepared = prepared_model()
    converted = convert(prepared, get_default_dynamic_quant_module_mappings())
    assert [type(converted[index]) for index in (0, 2)] == [quantized.dynamic.Linear] * 2
    assert not any(hasattr(part, "activation_post_process") or part._forward_pre_hooks for part in converted.modules())
    prepared.apply(disable_observer)
    for index in (0, 2):
        expected = prepared[index].weight_fake_quant(prepared[index].weight)
        assert torch.equal(converted[index].weight().dequantize(), expected)


def test_observer_of_an_input_can_be_taken_off():
    layer = prepared_model()[0]
    assert has_observer(layer)
    remove_observer(layer)
    assert not has_observer(layer)
    assert not hasattr(layer, "activation_post_process")


def test_pre_hook_goes_before_the_observer_and_stays():
    prepared = prepared_model(lambda module, args: (100 * args[0],))
    assert prepared[0].activation_post_process.scale > 1
    converted = convert(prepared, get_default_dynamic_quant_module_mappings())
    assert len(converted[0]._forward_pre_hooks) == 1
