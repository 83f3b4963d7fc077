import copy

import pytest
import torch
from torch import nn

import torchq
from torchq.nn import intrinsic, quantized
from torchq.quantization import (
    DeQuantStub,
    MinMaxObserver,
    QConfig,
    QuantStub,
    QuantWrapper,
    convert,
    default_qconfig,
    float_modules,
    get_default_qconfig,
    prepare,
    propagate_qconfig_,
    quantize,
)


def net(qconfig=default_qconfig):
    torch.manual_seed(0)
    model = nn.Sequential(QuantStub(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2), DeQuantStub()).eval()
    if qconfig is not None:
        model.qconfig = qconfig
    return model


def calibrate(model):
    model(torch.randn(64, 4, generator=torch.Generator().manual_seed(1)))
    return model


def test_quantized_net_is_close_to_the_float_one():
    model = net(get_default_qconfig())
    x = torch.randn(64, 4, generator=torch.Generator().manual_seed(1))
    # Each of the three roundings loses at most half a step; the last one's step is the largest.
    converted = convert(calibrate(prepare(model)))
    assert (converted(x) - model(x)).abs().max() < 4 * converted[3].scale


def test_model_itself_is_left_alone():
    model = net()
    before = copy.deepcopy(model)
    convert(calibrate(prepare(model)))
    assert repr(model) == repr(before)
    assert all(not module._forward_hooks for module in model.modules())


def test_in_place_changes_the_model_itself():
    model = net()
    assert prepare(model, inplace=True) is model
    assert convert(calibrate(model), inplace=True) is model
    assert type(model[1]) is quantized.Linear


def test_convert_removes_qconfigs_and_observers():
    converted = convert(calibrate(prepare(net())))
    assert not any(hasattr(module, "qconfig") for module in converted.modules())
    assert not any(isinstance(module, MinMaxObserver) for module in converted.modules())


def test_module_that_never_ran_is_an_error_naming_it():
    model = nn.ModuleDict({"body": net(), "unused": nn.Linear(2, 2)})
    model.qconfig = default_qconfig
    prepared = prepare(model)
    calibrate(prepared["body"])
    with pytest.raises(RuntimeError, match="cannot convert 'unused': MinMaxObserver of 'unused' never saw data"):
        convert(prepared)


def test_model_that_was_not_prepared_is_an_error_naming_a_module():
    model = net()
    propagate_qconfig_(model)
    with pytest.raises(RuntimeError, match="cannot convert '0': it has a qconfig but no observer: call prepare"):
        convert(model)


def test_failed_conversion_in_place_changes_nothing():
    prepared = prepare(net(), inplace=True)
    before = repr(prepared)
    with pytest.raises(RuntimeError):
        convert(prepared, inplace=True)
    assert repr(prepared) == before


@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=str)
def test_bad_calibration_data_is_an_error_naming_the_module(value):
    with pytest.raises(ValueError, match="MinMaxObserver of '0' saw NaN or infinity"):
        prepare(net())(torch.full((1, 4), value))


def test_bad_weight_is_an_error_naming_the_module():
    prepared = calibrate(prepare(net()))
    prepared[3].weight.data[0, 0] = float("nan")
    with pytest.raises(ValueError, match="cannot convert '3': MinMaxObserver saw NaN"):
        convert(prepared)


def test_preparing_without_a_qconfig_is_an_error():
    with pytest.raises(ValueError, match="no module of Sequential has a qconfig"):
        prepare(net(qconfig=None))


def test_preparing_twice_is_an_error():
    with pytest.raises(ValueError, match="has observers already"):
        prepare(prepare(net()))


def test_converting_nothing_is_an_error():
    with pytest.raises(ValueError, match="found nothing to quantize"):
        convert(net(qconfig=None))


def test_foreign_qconfig_is_an_error():
    with pytest.raises(TypeError, match=r"qconfig of 'Sequential' must be a torchq\.quantization\.QConfig"):
        prepare(net(qconfig="fbgemm"))


def test_module_with_qconfig_none_stays_in_float():
    model = nn.Sequential(net(qconfig=None), nn.Linear(2, 2)).eval()
    model.qconfig = default_qconfig
    model[1].qconfig = None
    converted = convert(calibrate(prepare(model)))
    assert type(converted[1]) is nn.Linear
    assert float_modules(converted) == {"1": "Linear"}


def test_own_qconfig_goes_before_name_before_type_before_parent():
    own, by_name, by_type, parents = (QConfig(MinMaxObserver, MinMaxObserver.with_args(eps=e)) for e in (1, 2, 3, 4))
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1), nn.ReLU())
    model[0].qconfig = own
    propagate_qconfig_(model, {"": parents, nn.Linear: by_type, "0": by_name, "1": by_name})
    assert [module.qconfig for module in model] == [own, by_name, by_type, parents]


def test_unknown_name_in_a_qconfig_dictionary_is_an_error():
    with pytest.raises(ValueError, match="no such module in Sequential: '9'"):
        propagate_qconfig_(net(), {"9": default_qconfig})


def test_hooks_move_to_the_quantized_module():
    model = net()
    seen = []
    model[1].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    model[1].register_forward_hook(lambda module, args, kwargs, output: seen.append(output), with_kwargs=True)
    converted = convert(calibrate(prepare(model)))
    seen.clear()
    converted(torch.randn(1, 4))
    assert [type(tensor) for tensor in seen] == [torchq.QTensor, torchq.QTensor]


def test_observer_sees_the_output_before_hooks_change_it():
    model = net()
    model[1].register_forward_hook(lambda module, args, output: output * 100)
    prepared = calibrate(prepare(model))
    with torch.no_grad():
        expected = model[1](torch.randn(64, 4, generator=torch.Generator().manual_seed(1))).max() / 100
    assert torch.equal(prepared[1].activation_post_process.max_val, expected)


def test_module_used_twice_stays_one_module():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = self.second = nn.Linear(4, 4)
            self.inner = nn.Sequential(self.first)
            self.quant = QuantStub()

        def forward(self, x):
            return self.inner(self.second(self.first(self.quant(x))))

    model = Twice().eval()
    model.qconfig = default_qconfig
    converted = convert(calibrate(prepare(model)))
    assert type(converted.first) is quantized.Linear
    assert converted.first is converted.second is converted.inner[0]


def test_parametrized_weight_is_quantized():
    model = net()
    nn.utils.parametrizations.weight_norm(model[1])
    converted = convert(calibrate(prepare(model)))
    assert type(converted[1]) is quantized.Linear


def test_model_that_is_one_module_is_replaced_in_the_result():
    model = nn.Linear(4, 2).eval()
    model.qconfig = default_qconfig
    assert type(convert(calibrate(prepare(model)))) is quantized.Linear


def test_model_that_is_one_module_cannot_be_replaced_in_place():
    model = nn.Linear(4, 2).eval()
    model.qconfig = default_qconfig
    with pytest.raises(ValueError, match="cannot be replaced in place"):
        convert(calibrate(prepare(model, inplace=True)), inplace=True)


def test_unfolded_batch_norm_container_is_an_error():
    model = nn.Sequential(intrinsic.ConvBn2d(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))).eval()
    model.qconfig = default_qconfig
    with pytest.raises(ValueError, match="'0' is a ConvBn2d, which cannot be quantized"):
        prepare(model)


def test_float_operation_in_between_is_an_error_at_the_next_layer():
    model = net()
    model[2] = nn.Softmax(1)
    converted = convert(calibrate(prepare(model)))
    with pytest.raises(TypeError, match="QuantizedLinear takes a quantized tensor, got a float tensor"):
        converted(torch.randn(1, 4))


def test_one_call_does_all():
    quantized_net = quantize(net(), lambda model, x: model(x), [torch.randn(8, 4)])
    assert type(quantized_net[1]) is quantized.Linear


def test_wrapper_quantizes_around_a_module():
    wrapped = QuantWrapper(nn.Linear(4, 2)).eval()
    wrapped.qconfig = default_qconfig
    assert calibrate(convert(calibrate(prepare(wrapped)))).module.weight().shape == (2, 4)


def test_activations_may_be_signed():
    qconfig = QConfig(MinMaxObserver.with_args(dtype=torchq.qint8), get_default_qconfig().weight)
    converted = convert(calibrate(prepare(net(qconfig))))
    assert converted[1](converted[0](torch.randn(1, 4))).qdtype is torchq.qint8
