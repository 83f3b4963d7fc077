"""How a fake quantizer learns its qparams, is switched, saved and cast."""

import copy
import io

import pytest
import torch
from torch import nn

import torchq
from torchq.quantization import (
    default_qat_qconfig,
    get_observer_state_dict,
    load_observer_state_dict,
    prepare_qat,
)
from torchq.quantization import fake_quantize as fq
from torchq.quantization.fake_quantize import FakeQuantize, FixedQParamsFakeQuantize, FusedMovingAvgObsFakeQuantize
from torchq.quantization.observer import HistogramObserver, MinMaxObserver, PlaceholderObserver

FACTORIES = sorted(name for name in fq.__all__ if name.startswith(("default_", "fused_")))
LEARNING = [name for name in FACTORIES if "fixed" not in name]


def batches():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(6, 20, generator=generator) * (1 + i) for i in range(3)]


def trained(made):
    for batch in batches():
        made(batch)
    return made


@pytest.mark.parametrize("name", LEARNING)
def test_rounds_with_the_qparams_of_its_observer(name):
    made, watched = getattr(fq, name)(), getattr(fq, name)().activation_post_process
    for batch in batches():
        output = made(batch)
        watched(batch)
    scale, zero_point = watched.calculate_qparams()
    assert torch.equal(made.scale, scale)
    assert torch.equal(made.zero_point, zero_point.to(made.zero_point.dtype))
    made.disable_observer()
    assert torch.equal(made(batch), output)


@pytest.mark.parametrize("name", LEARNING)
def test_disabled_observer_keeps_the_qparams(name):
    made = trained(getattr(fq, name)())
    before = copy.deepcopy(made.state_dict())
    made.disable_observer()
    made(100 * batches()[0])
    before["observer_enabled"].zero_()
    assert all(torch.equal(value, before[key]) for key, value in made.state_dict().items())


@pytest.mark.parametrize("name", FACTORIES)
def test_disabled_fake_quant_passes_its_input_and_goes_on_observing(name):
    made, other = getattr(fq, name)(), trained(getattr(fq, name)())
    made.disable_fake_quant()
    assert all(made(batch) is batch for batch in batches())
    assert torch.equal(made.scale, other.scale)
    made.enable_fake_quant()
    assert not torch.equal(made(batches()[0]), batches()[0])


def test_switches_apply_to_a_whole_model():
    model = nn.Sequential(nn.Linear(2, 2), FakeQuantize(), nn.Sequential(FakeQuantize()))
    for switch, enabled in [(fq.disable_observer, 0), (fq.enable_observer, 1)]:
        model.apply(switch)
        assert [made.observer_enabled.item() for made in (model[1], model[2][0])] == [enabled] * 2
    for switch, enabled in [(fq.disable_fake_quant, 0), (fq.enable_fake_quant, 1)]:
        model.apply(switch)
        assert [made.fake_quant_enabled.item() for made in (model[1], model[2][0])] == [enabled] * 2


def test_state_of_the_observers_alone_brings_the_scales_of_weights():
    model = nn.Sequential(nn.Linear(4, 3))
    model.qconfig = default_qat_qconfig
    saved, loaded = prepare_qat(model), prepare_qat(model)
    saved(torch.randn(5, 4))
    load_observer_state_dict(loaded, get_observer_state_dict(saved))
    assert torch.equal(loaded[0].weight_fake_quant.scale, saved[0].weight_fake_quant.scale)


def test_evaluation_mode_observes_too():
    assert torch.equal(trained(FakeQuantize().eval()).scale, trained(FakeQuantize()).scale)


@pytest.mark.parametrize("name", LEARNING)
def test_rounding_without_qparams_is_an_error(name):
    made = getattr(fq, name)()
    made.activation_post_process.module_name = "conv1"
    made.disable_observer()
    with pytest.raises(RuntimeError, match="FakeQuantize of 'conv1' never saw data: run the prepared model"):
        made(batches()[0])
    with pytest.raises(RuntimeError, match="never saw data"):
        made.calculate_qparams()


def test_empty_input_teaches_nothing():
    made = FakeQuantize()
    assert made(torch.empty(0, 3)).shape == (0, 3)
    with pytest.raises(RuntimeError, match="never saw data"):
        made.calculate_qparams()


@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=str)
def test_observed_values_must_be_finite(value):
    with pytest.raises(ValueError, match="MovingAverageMinMaxObserver saw NaN or infinity"):
        FakeQuantize()(torch.tensor([1.0, value]))


@pytest.mark.parametrize(
    ("x", "given"),
    [
        (torch.ones(2, dtype=torch.int64), "torch.int64"),
        (torchq.quantize_per_tensor(torch.ones(2), 1.0, 0, torchq.quint8), "QTensor"),
        ((1.0,), "tuple"),
    ],
    ids=["integers", "quantized", "tuple"],
)
def test_input_that_is_not_float_is_an_error(x, given):
    with pytest.raises(TypeError, match=f"FakeQuantize takes a float tensor, got {given}"):
        FakeQuantize()(x)


@pytest.mark.parametrize("name", FACTORIES)
def test_saved_state_fills_a_new_one(name):
    saved, loaded = trained(getattr(fq, name)()), getattr(fq, name)()
    file = io.BytesIO()
    torch.save(saved.state_dict(), file)
    file.seek(0)
    loaded.load_state_dict(torch.load(file, weights_only=True))
    loaded.disable_observer()
    saved.disable_observer()
    assert torch.equal(loaded(batches()[0]), saved(batches()[0]))


def test_state_of_one_without_data_is_still_without():
    loaded = FakeQuantize()
    loaded.load_state_dict(FakeQuantize().state_dict())
    loaded.disable_observer()
    with pytest.raises(RuntimeError, match="never saw data"):
        loaded(batches()[0])


@pytest.mark.parametrize("name", ["default_fake_quant", "default_per_channel_weight_fake_quant"])
@pytest.mark.parametrize("cast", [nn.Module.half, nn.Module.double, nn.Module.bfloat16])
def test_casting_a_model_keeps_the_qparams(name, cast):
    model = nn.Sequential(nn.Linear(2, 2), trained(getattr(fq, name)()))
    before = copy.deepcopy(model[1].state_dict())
    after = cast(model)[1].state_dict()
    assert all(after[key].dtype == value.dtype and torch.equal(after[key], value) for key, value in before.items())


def test_factory_fixes_arguments():
    made = FakeQuantize.with_args(quant_min=0, quant_max=15).with_args(quant_max=7)()
    assert (made.quant_max, made.activation_post_process.quant_max) == (7, 7)


def test_factory_calls_callable_arguments_each_time():
    bins = iter([8, 16])
    factory = FakeQuantize.with_args(observer=HistogramObserver).with_callable_args(bins=lambda: next(bins))
    assert [factory().activation_post_process.bins for _ in range(2)] == [8, 16]
    levels = iter([3, 7])
    factory = FakeQuantize.with_callable_args(quant_min=lambda: 0, quant_max=lambda: next(levels))
    assert [factory().quant_max for _ in range(2)] == [3, 7]


def test_observer_may_be_a_factory_itself():
    made = FakeQuantize(MinMaxObserver.with_args(dtype=torchq.qint8), quant_min=-8, quant_max=7)
    assert (made.dtype, made.quant_min, made.quant_max) == (torchq.qint8, -8, 7)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: FakeQuantize(quant_min=0), ValueError, "both quant_min and quant_max"),
        (lambda: FakeQuantize(quant_min=0, quant_max=256), ValueError, r"\[0, 255\], got \[0, 256\]"),
        (lambda: FakeQuantize(is_dynamic=True), ValueError, "averaging_constant"),
        (lambda: FakeQuantize(PlaceholderObserver), TypeError, "a quantization range, got PlaceholderObserver"),
        (lambda: FusedMovingAvgObsFakeQuantize(MinMaxObserver), TypeError, "takes a MovingAverage.*got MinMaxObserver"),
        (lambda: FixedQParamsFakeQuantize(MinMaxObserver), TypeError, "a FixedQParamsObserver, got MinMaxObserver"),
    ],
    ids=["one-end", "outside", "dynamic", "placeholder", "fused", "fixed"],
)
def test_arguments_that_do_not_fit_are_an_error(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_printed_form_shows_the_settings():
    text = repr(trained(FakeQuantize(quant_min=0, quant_max=15)))
    assert "quant_min=0, quant_max=15, dtype=torchq.quint8, qscheme=torchq.per_tensor_affine, ch_axis=-1" in text


class LinearNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.fake_quantize = nn.Linear(20, 4), FakeQuantize()

    def forward(self, x):
        return self.fake_quantize(self.linear(x) + 1) * 2


# Tracing reads .grad, about which torch warns itself.
@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
def test_compiled_model_trains_as_the_model_itself():
    model, graphs = LinearNet(), []
    other = copy.deepcopy(model)
    compiled = torch.compile(other, backend=lambda graph, inputs: graphs.append(graph) or graph.forward)
    for batch in batches()[:2]:
        output, expected = compiled(batch), model(batch)
        output.sum().backward()
        expected.sum().backward()
        assert torch.equal(output, expected)
        assert torch.equal(other.linear.weight.grad, model.linear.weight.grad)
    # What is before the fake quantizer and what is behind it; compiled itself, it would be a dozen graphs more.
    assert 2 <= len(graphs) <= 4


def test_fake_quantizer_in_one_graph_is_an_error():
    with pytest.raises(torch._dynamo.exc.Unsupported):
        torch.compile(FakeQuantize(), backend="eager", fullgraph=True)(torch.ones(2))
