"""Every kind of quantized module beside the float one that it was made from."""

import copy

import pytest
import torch
from torch import nn

import torchq
from nn.float_modules import CASES, randomized, values
from torchq import quantization
from torchq.nn import intrinsic, quantized
from torchq.nn.quantized import dynamic
from torchq.ns._numeric_suite import compare_model_outputs, compare_model_stub, compare_weights, prepare_model_outputs
from torchq.ns.fx.utils import compute_sqnr

CONVS = {name: case for name, case in CASES.items() if name.startswith("Conv") and "ReLU" not in name}
# 7 bits over four standard deviations to each side are 35 dB, for the input and again for the output, and a weight of 8
# bits has less noise. Together they are 32.
DECIBELS = 30


def pair(name, library=quantization, intrinsics=intrinsic):
    """Returns a float model of one module between stubs, and what it is quantized."""
    make, size = CASES[name]
    torch.manual_seed(0)
    model = nn.Sequential(library.QuantStub(), randomized(make(intrinsics)), library.DeQuantStub()).eval()
    prepared = copy.deepcopy(model)
    # Activations of 7 bits, exact in torch.ao everywhere, and the weights that torch.ao has for transposed ones.
    prepared.qconfig = library.get_default_qconfig("fbgemm")
    if "Transpose" in name:
        prepared[1].qconfig = library.default_qconfig
    prepared = library.prepare(prepared)
    prepared(values(size))
    return model, library.convert(prepared)


def dynamic_conv(name):
    """Returns a float convolution, in a model, and what it is quantized dynamically."""
    torch.manual_seed(0)
    model = nn.Sequential(CONVS[name][0](intrinsic)).eval()
    kind = type(model[0])
    mapping = {kind: getattr(dynamic, kind.__name__)}
    return model, quantization.quantize_dynamic(model, {kind: quantization.default_dynamic_qconfig}, mapping=mapping)


def check_outputs(outputs, int8, x, place="1.stats"):
    """The quantized output is that of the module, and the float one is near it."""
    (given,), (expected,) = outputs[place]["quantized"], outputs[place]["float"]
    assert torch.equal(torchq.dequantize(given), torchq.dequantize(int8(x)))
    assert compute_sqnr(expected, given) > DECIBELS


@pytest.mark.parametrize("name", [name for name in CASES if name != "Dropout"])
def test_outputs_of_a_static_module(name):
    model, int8 = pair(name)
    x = values(CASES[name][1])
    outputs = compare_model_outputs(model, int8, x)
    assert list(outputs) == ["0.stats", "1.stats"]
    assert torch.equal(outputs["1.stats"]["float"][0], model(x))
    check_outputs(outputs, int8, x)


@pytest.mark.parametrize("name", CASES)
def test_shadow_of_a_static_module(name):
    model, int8 = pair(name)
    x = values(CASES[name][1])
    outputs = compare_model_stub(model, int8, {type(model[1])}, x)
    assert list(outputs) == ["1.stats"]
    assert torch.equal(outputs["1.stats"]["float"][0], model[1](int8[0](x).dequantize()))
    check_outputs(outputs, int8, x)


@pytest.mark.parametrize("name", CONVS)
def test_weight_of_a_convolution(name):
    model, int8 = pair(name)
    weights = compare_weights(model.state_dict(), int8.state_dict())
    assert list(weights) == ["1.weight"]
    assert weights["1.weight"]["quantized"].has_qparams_of(int8[1].weight())
    assert torch.equal(weights["1.weight"]["quantized"].int_repr(), int8[1].weight().int_repr())


def test_weight_of_a_grouped_transposed_convolution_has_the_scales_of_each_group():
    conv = nn.ConvTranspose2d(4, 6, 3, groups=2)
    conv.qconfig = quantization.QConfig(
        quantization.default_observer, quantization.PerChannelMinMaxObserver.with_args(ch_axis=1, dtype=torchq.qint8)
    )
    int8 = dynamic.ConvTranspose2d.from_float(conv)
    weight = compare_weights(conv.state_dict(), int8.state_dict())["weight"]["quantized"]
    assert weight.q_per_channel_axis() == 1
    assert weight.has_qparams_of(int8.weight())


def test_dropout_is_not_logged():
    model, int8 = pair("Dropout")
    prepare_model_outputs(model, int8)
    assert isinstance(int8[1], quantized.Dropout)
    assert not model[1]._forward_hooks
    assert not int8[1]._forward_hooks


@pytest.mark.parametrize("name", CONVS)
def test_dynamic_convolution(name):
    model, int8 = dynamic_conv(name)
    x = values(CONVS[name][1])
    check_outputs(compare_model_outputs(model, int8, x), int8, x, "0.stats")
    check_outputs(compare_model_stub(model, int8, {type(model[0])}, x), int8, x, "0.stats")
    assert compare_weights(model.state_dict(), int8.state_dict())["0.weight"]["quantized"].has_qparams_of(
        int8[0].weight()
    )


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("kind", [nn.Embedding, nn.EmbeddingBag])
def test_embedding(kind, bits):
    torch.manual_seed(0)
    model = nn.Sequential(kind(10, 6))
    suffix = "" if bits == 8 else "_4bit"
    qconfig = getattr(quantization, f"float_qparams_weight_only_qconfig{suffix}")
    int8 = quantization.quantize_dynamic(model, {kind: qconfig})
    indices = torch.tensor([[0, 9, 3], [3, 3, 7]])
    for outputs in (
        compare_model_outputs(model, int8, indices),
        compare_model_stub(model, int8, {kind}, indices),
    ):
        assert torch.equal(outputs["0.stats"]["float"][0], model(indices))
        assert torch.equal(outputs["0.stats"]["quantized"][0], int8(indices))
    weight = compare_weights(model.state_dict(), int8.state_dict())["0.weight"]["quantized"]
    assert torch.equal(weight.dequantize(), int8[0].weight().dequantize())


class AddNet(nn.Module):
    """A convolution and a sum in one module, which takes two tensors."""

    def __init__(self):
        super().__init__()
        self.quant, self.dequant = quantization.QuantStub(), quantization.DeQuantStub()
        self.conv = intrinsic.ConvAdd2d(nn.Conv2d(4, 4, 1), torch.add)

    def forward(self, x):
        x = self.quant(x)
        return self.dequant(self.conv(x, x))


def test_convolution_with_a_sum():
    torch.manual_seed(0)
    model, x = AddNet().eval(), values((2, 4, 9, 7))
    model.qconfig = quantization.get_default_qconfig()
    int8 = quantization.quantize(model, lambda prepared: prepared(x), [])
    del model.qconfig
    check_outputs(compare_model_outputs(model, int8, x), int8, x, "conv.stats")
    check_outputs(compare_model_stub(model, int8, {intrinsic.ConvAdd2d}, x), int8, x, "conv.stats")
    assert list(compare_weights(model.state_dict(), int8.state_dict())) == ["conv.weight"]


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("Dropout")])
def test_shadow_is_that_of_torch_ao(torch_ao, name):
    from torch.ao.ns import _numeric_suite as theirs

    x = values(CASES[name][1])
    models = pair(name, torch_ao, torch.ao.nn.intrinsic), pair(name)
    expected = theirs.compare_model_stub(*models[0], {type(models[0][0][1])}, x)
    given = compare_model_stub(*models[1], {type(models[1][0][1])}, x)
    assert list(given) == list(expected)
    for side in ("float", "quantized"):
        # Of a batch, torch.ao keeps the first sample.
        other, own = expected["1.stats"][side][0], given["1.stats"][side][0][0]
        if side == "float":
            # The same module on the same numbers.
            assert torch.equal(own, other)
        else:
            # Norms and functions of single values may be rounded elsewhere: docs/numerics.md, Beside torch.ao.
            assert own.q_scale() == other.q_scale()
            assert (own.int_repr().int() - other.int_repr().int()).abs().max() <= 1
