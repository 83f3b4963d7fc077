"""Bias correction: what it takes off, and of which layers."""

import copy

import torch
from torch import nn

import torchq.quantization
from quantization.coarse_nets import batches, coarse_linear_pair, coarse_pair
from torchq.nn import quantized
from torchq.nn.intrinsic import quantized as intrinsic_quantized
from torchq.ns._numeric_suite import compare_model_stub
from torchq.quantization._correct_bias import bias_correction, get_module


def mean_errors(model, int8, types=(nn.Linear, nn.Conv2d)):
    """By how much each layer's mean output is off, over all batches, the largest of its channels."""
    x = torch.cat([x for x, _ in batches()])
    outputs = compare_model_stub(model, int8, types, x)
    differences = {key: pair["quantized"][0].dequantize() - pair["float"][0] for key, pair in outputs.items()}
    return {key: d.transpose(0, 1).flatten(1).mean(1).abs().max().item() for key, d in differences.items()}


def test_mean_error_of_every_layer_falls_to_what_integers_can_hold():
    model, int8 = coarse_pair()
    before = mean_errors(model, int8)
    bias_correction(model, int8, batches())
    for key, error in mean_errors(model, int8).items():
        scale = get_module(int8, key.removesuffix(".stats")).scale
        # The corrected mean is rounded, value by value: errors of up to half a step, which averages make small.
        assert error < scale / 4
        assert error < before[key] / 4


def test_mean_error_of_the_network_falls():
    model, int8 = coarse_pair()
    x = torch.cat([x for x, _ in batches(seed=2)])  # other images
    before = (int8(x) - model(x)).mean(0).norm()
    bias_correction(model, int8, batches())
    assert (int8(x) - model(x)).mean(0).norm() < before / 4


def test_bias_that_was_changed_comes_back():
    model, int8 = coarse_pair()
    bias_correction(model, int8, batches())
    corrected = int8.fc.bias().clone()
    int8.fc.set_weight_bias(int8.fc.weight(), corrected + torch.tensor([0.1, -0.1, 0.05, 0.0]))
    bias_correction(model, int8, batches(), {quantized.Linear})
    # Outputs are 32 rows, each rounded to the scale; what that gives in the mean changes by at most one step.
    assert (int8.fc.bias() - corrected).abs().max() <= int8.fc.scale


def test_weights_and_scales_stay():
    model, int8 = coarse_pair()
    before = int8.state_dict()
    bias_correction(model, int8, batches())
    for name, value in int8.state_dict().items():
        assert torch.equal(value, before[name]) == (not name.endswith("bias"))


def test_models_keep_their_modules_and_hooks():
    model, int8 = coarse_pair()
    before = [(repr(part), part._forward_hooks.copy()) for net in (model, int8) for part in net.modules()]
    bias_correction(model, int8, batches())
    assert [(repr(part), part._forward_hooks) for net in (model, int8) for part in net.modules()] == before


def test_target_modules_are_those_corrected():
    model, int8 = coarse_pair()
    before = {name: value.clone() for name, value in int8.state_dict().items()}
    bias_correction(model, int8, batches(), target_modules={quantized.Linear})
    changed = [name for name, value in int8.state_dict().items() if not torch.equal(value, before[name])]
    assert changed == ["fc.bias"]


def test_layers_without_a_bias_stay_as_they_are():
    model, int8 = coarse_pair()
    int8.conv1.set_weight_bias(int8.conv1.weight(), None)
    bias_correction(model, int8, batches())
    assert int8.conv1.bias() is None


def test_so_many_batches_are_used():
    given = []
    for data, neval_batches in ((batches()[:2], None), (batches(), 2), (batches(), None)):
        model, int8 = coarse_pair()
        bias_correction(model, int8, data, neval_batches=neval_batches)
        given.append(int8.fc.bias())
    assert torch.equal(given[0], given[1])
    assert not torch.equal(given[0], given[2])


def test_batches_of_different_sizes_count_by_their_samples():
    model, int8 = coarse_pair()
    other = copy.deepcopy(int8)
    x = batches(1, 9)[0][0]
    bias_correction(model, int8, [(x[:8], None), (x[8:], None)])
    bias_correction(model, other, [(x, None)])
    # float64 sums, rounded once to float32.
    torch.testing.assert_close(int8.fc.bias(), other.fc.bias(), rtol=2**-23, atol=1e-9)


def test_channels_of_a_linear_layer_come_last():
    model, int8, x = coarse_linear_pair(4, 7, 6)
    rows = copy.deepcopy(int8)
    bias_correction(model, int8, [(x,)])
    bias_correction(model, rows, [(x.flatten(0, 1),)])
    assert torch.equal(int8.module[2].bias(), rows.module[2].bias())


def test_layer_with_a_relu_is_corrected_when_asked_for():
    model, int8, x = coarse_linear_pair(64, 6)
    before = int8.module[0].bias().clone()
    bias_correction(model, int8, [(x,)])
    assert torch.equal(int8.module[0].bias(), before)

    def error():
        q = int8.quant(x)
        return (int8.module[0](q).dequantize() - model.module[0](q.dequantize())).mean(0).abs().max()

    uncorrected = error()
    for _ in range(4):
        bias_correction(model, int8, [(x,)], {intrinsic_quantized.LinearReLU})
    assert error() < uncorrected / 4


def test_float_layer_in_the_quantized_model_is_corrected_when_asked_for():
    model = nn.Sequential(nn.Linear(3, 2))
    other = copy.deepcopy(model)
    other[0].bias.data += torch.tensor([1.0, -2.0])
    bias_correction(model, other, [(torch.rand(4, 3),)], {nn.Linear})
    torch.testing.assert_close(
        other[0].bias, model[0].bias, rtol=0, atol=8 * 2**-23
    )  # outputs of up to 4, four of them


def test_dynamic_layer_is_corrected_when_asked_for():
    model = nn.Linear(3, 2)
    int8 = torchq.quantization.quantize_dynamic(model)
    int8.set_weight_bias(int8.weight(), model.bias + 1)
    bias_correction(model, int8, [(torch.rand(4, 3),)], {quantized.dynamic.Linear})
    assert (int8.bias() - model.bias).abs().max() < 0.05


def test_channels_of_a_transposed_convolution_come_second():
    torch.manual_seed(0)
    model = nn.Sequential(nn.ConvTranspose2d(3, 2, 3, stride=2))
    kind = quantized.dynamic.ConvTranspose2d
    qconfigs = {nn.ConvTranspose2d: torchq.quantization.default_dynamic_qconfig}
    int8 = torchq.quantization.quantize_dynamic(model, qconfigs, mapping={nn.ConvTranspose2d: kind})
    int8[0].set_weight_bias(int8[0].weight(), int8[0].bias() + torch.tensor([1.0, -2.0]))
    x = torch.cat([x for x, _ in batches()])
    bias_correction(model, int8, [(x,)], {kind})
    # Means of 32 * 289 differences of values below 4, in float32 layers.
    assert (int8(x) - model(x)).mean((0, 2, 3)).abs().max() < 1e-5
