"""Each module of torch.ao becomes torchq's of that name, with the same integers."""

import pytest
import torch
from torch import nn

from migrate import there
from migrate.compare import assert_same, assert_same_states, here
from nn.float_modules import CASES
from torchq import migrate
from torchq.migrate.values import as_qtensor
from torchq.nn import intrinsic, quantized
from torchq.quantization import DeQuantStub, QuantStub

pytestmark = pytest.mark.usefixtures("one_thread", "torch_ao")


def run(module, inputs):
    return module(*(inputs if isinstance(inputs, tuple) else (inputs,)))


@pytest.mark.parametrize("name", CASES)
def test_converted_module_gives_the_same_integers(name):
    theirs, x = there.calibrated(name)
    ours = migrate.convert_model(theirs)
    assert_same(ours[1](ours[0](x)), theirs[1](theirs[0](x)), name)


@pytest.mark.parametrize("name", there.DIRECT)
def test_module_made_by_hand_gives_the_same_result(name):
    torch.manual_seed(0)
    if name in ("LinearTanh", "LinearLeakyReLU"):
        if "onednn" not in torch.backends.quantized.supported_engines:
            pytest.skip("this torch has no onednn engine")
        torch.backends.quantized.engine = "onednn"
    theirs, inputs = there.DIRECT[name]()
    ours = migrate.convert_model(theirs)
    given = run(ours, tuple(map(here, inputs)) if isinstance(inputs, tuple) else here(inputs))
    assert_same(given, run(theirs, inputs), name)


@pytest.mark.parametrize("name", ["Linear", "Conv2d", "ConvTranspose1d", "ConvReLU3d"])
def test_weight_has_the_same_integers_and_qparams(name):
    theirs, _ = there.calibrated(name)
    ours = migrate.convert_model(theirs)[1].weight()
    expected = as_qtensor(theirs[1].weight())
    assert ours.qscheme() is expected.qscheme()
    assert torch.equal(ours.int_repr(), expected.int_repr())
    assert torch.equal(ours.dequantize(), expected.dequantize())


@pytest.mark.parametrize("dtype", [torch.qint8, torch.float16], ids=["qint8", "float16"])
@pytest.mark.parametrize("name", there.RECURRENT)
def test_recurrent_module_gives_the_same_states(torch_ao, name, dtype):
    theirs = there.recurrent(torch_ao, name, dtype)
    ours, x = migrate.convert_model(theirs), torch.randn(there.RECURRENT[name][1])
    assert type(ours[0]) is getattr(quantized.dynamic, name)
    assert_same_states(ours(x), theirs(x))


# Their results differ: torch.ao's are rounded to the scale of the input. docs/numerics.md, Beside torch.ao.
@pytest.mark.filterwarnings("ignore:The current implementation of the Dynamic:UserWarning")
@pytest.mark.parametrize("name", there.DYNAMIC_CONVS)
def test_dynamic_convolution_has_the_same_weight_and_arguments(name):
    theirs = there.with_weight(there.dynamic(name)(4, 6, **there.WINDOW))
    ours = migrate.convert_model(theirs)
    assert torch.equal(ours.weight().int_repr(), theirs.weight().int_repr())
    assert torch.equal(ours.bias(), theirs.bias())
    for argument in ("stride", "padding", "dilation", "output_padding", "groups"):
        assert getattr(ours, argument) == getattr(theirs, argument)


def test_module_has_the_class_and_the_arguments_of_the_one_in_torch_ao():
    theirs = torch.ao.nn.quantized.Conv2d(4, 6, 3, stride=2, padding=1, dilation=(1, 2), groups=2, bias=False)
    ours = migrate.convert_model(theirs)
    assert type(ours) is quantized.Conv2d
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize(
    ("name", "kind"), [("FloatFunctional", quantized.FloatFunctional), ("DeQuantize", quantized.DeQuantize)]
)
def test_module_without_qparams_becomes_torchqs(name, kind):
    assert type(migrate.convert_model(getattr(torch.ao.nn.quantized, name)())) is kind


def test_what_was_not_quantized_becomes_torchqs_float_module(torch_ao):
    theirs = nn.Sequential(
        torch_ao.QuantStub(), torch.ao.nn.intrinsic.ConvReLU2d(nn.Conv2d(1, 2, 3), nn.ReLU()), torch_ao.DeQuantStub()
    )
    ours = migrate.convert_model(theirs)
    assert [type(module) for module in ours] == [QuantStub, intrinsic.ConvReLU2d, DeQuantStub]
    assert torch.equal(ours[1][0].weight, theirs[1][0].weight)


def test_float16_weight_stays_what_it_is():
    theirs = nn.Sequential(torch.ao.nn.quantized.dynamic.Linear(4, 3, dtype=torch.float16))
    weight, bias = torch.randn(3, 4), torch.randn(3)
    theirs[0].set_weight_bias(weight, bias)
    ours = migrate.convert_model(theirs)
    assert torch.equal(ours[0].weight(), weight.half())
    assert torch.equal(ours[0].bias(), bias)
    filled = nn.Sequential(quantized.dynamic.Linear(4, 3, dtype=torch.float16))
    filled.load_state_dict(migrate.convert_state_dict(theirs.state_dict(), filled))
    assert torch.equal(filled[0].weight(), weight.half())


def test_qfunctional_has_the_same_qparams():
    theirs = torch.ao.nn.quantized.QFunctional()
    theirs.scale, theirs.zero_point = 0.25, 7
    ours = migrate.convert_model(theirs)
    assert (ours.scale, ours.zero_point) == (0.25, 7)


def test_observed_module_is_refused_by_name(torch_ao):
    model = nn.Sequential(nn.Linear(2, 2))
    model.qconfig = torch_ao.get_default_qconfig("fbgemm")
    prepared = torch_ao.prepare(model)
    with pytest.raises(ValueError, match=r"cannot migrate '0\.activation_post_process'.*HistogramObserver"):
        migrate.convert_model(prepared)


def test_dynamic_layer_of_8_bits_is_refused():
    layer = torch.ao.nn.quantized.dynamic.Linear(4, 3)
    layer.version = 3
    with pytest.raises(ValueError, match=r"cannot migrate '0', a torch\.ao\.nn\.quantized\.dynamic.*version 3"):
        migrate.convert_model(nn.Sequential(layer))
