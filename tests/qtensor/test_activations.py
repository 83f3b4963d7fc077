"""Activation functions of QTensors: functions of each value, rounded once, with the scale and zero point of torch's."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import torchq
from qtensor.calls import changed
from qtensor.compare import HAS_TORCHS, qparams
from torchq import reference
from torchq.qtensor_tables import looked_up

pytestmark = pytest.mark.usefixtures("one_thread")
needs_torchs = pytest.mark.skipif(not HAS_TORCHS, reason="this torch has no quantized tensors to compare with")

SLOPES = torch.linspace(-0.5, 1.5, 16)


def _gelu(x):
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def _gelu_tanh(x):
    return x * 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _leaky(slope):
    return lambda x: torch.where(x > 0, x, slope * x)


# The call, the function, and the result's scale and zero point, counted from the smallest integer; None: the input's.
ACTIVATIONS = {
    "torch.sigmoid": (torch.sigmoid, torch.sigmoid, (1 / 256, 0)),
    "sigmoid": (lambda q: q.sigmoid(), torch.sigmoid, (1 / 256, 0)),
    "expit": (torch.special.expit, torch.sigmoid, (1 / 256, 0)),
    "torch.tanh": (torch.tanh, torch.tanh, (2 / 256, 128)),
    "tanh": (lambda q: q.tanh(), torch.tanh, (2 / 256, 128)),
    "hardsigmoid": (F.hardsigmoid, lambda x: (x + 3).clamp(0, 6) / 6, (1 / 256, 0)),
    "hardsigmoid-inplace": (
        changed(lambda q: F.hardsigmoid(q, inplace=True)),
        lambda x: (x + 3).clamp(0, 6) / 6,
        (1 / 256, 0),
    ),
    "gelu": (F.gelu, _gelu, None),
    "gelu-tanh": (lambda q: F.gelu(q, approximate="tanh"), _gelu_tanh, None),
    "leaky_relu": (lambda q: F.leaky_relu(q, 0.3), _leaky(0.3), None),
    "leaky_relu-inplace": (changed(lambda q: F.leaky_relu(q, 0.3, inplace=True)), _leaky(0.3), None),
    "leaky_relu_": (changed(lambda q: F.leaky_relu_(q, 0.3)), _leaky(0.3), None),
}
# The share of places at which torch's integers are one apart: at the ties that a slope makes, and next to others.
TIES = {"leaky_relu": 0.05, "leaky_relu-inplace": 0.05, "leaky_relu_": 0.05}
DTYPES = {"quint8": 101, "qint8": -21}


def quantized(dtype, library=torchq):
    """Every value a few times, in images."""
    qdtype = getattr(torchq, dtype)
    integers = torch.arange(960).mul(7).remainder(256).add(qdtype.qmin).to(qdtype.storage_dtype).view(2, 16, 6, 5)
    return library._make_per_tensor_quantized_tensor(integers, 0.05, DTYPES[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_function_of_each_value_is_rounded_once(name, dtype):
    call, function, output = ACTIVATIONS[name]
    q = quantized(dtype)
    scale, zero_point = (0.05, DTYPES[dtype]) if output is None else (output[0], output[1] + q.qdtype.qmin)
    with torchq.no_float_fallback():
        result = call(q)
    assert (result.q_scale(), result.q_zero_point(), result.qdtype) == (scale, zero_point, q.qdtype)
    values = function(q.dequantize().double()).float()
    expected = reference.quantize_per_tensor(values, scale, zero_point, q.int_repr().dtype)
    assert torch.equal(result.int_repr(), expected)


@needs_torchs
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_is_torchs_but_at_ties(name, dtype):
    call = ACTIVATIONS[name][0]
    mine, theirs = call(quantized(dtype)), call(quantized(dtype, torch))
    assert qparams(mine)[:2] == qparams(theirs)[:2]
    # torch rounds the scale of a gelu to float32.
    assert qparams(mine)[2:] == pytest.approx(qparams(theirs)[2:], rel=2**-23)
    difference = (mine.int_repr().int() - theirs.int_repr().int()).abs()
    assert difference.max() <= 1
    assert difference.float().mean() <= TIES.get(name, 0.01)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("slopes", [SLOPES, SLOPES[:1]], ids=["channels", "one"])
@pytest.mark.parametrize("call", [F.prelu, torch.Tensor.prelu], ids=["function", "method"])
def test_prelu_keeps_scale_and_zero_point(call, slopes, dtype):
    q = quantized(dtype)
    with torchq.no_float_fallback():
        result = call(q, slopes)
    qparams = (0.05, DTYPES[dtype])
    assert torch.equal(result.int_repr(), reference.prelu(q.int_repr(), *qparams, slopes, *qparams))
    assert (result.q_scale(), result.q_zero_point()) == qparams


@needs_torchs
def test_prelu_of_quantized_slopes_is_torchs_but_at_ties():
    # In a scale that has room for 1, which torch's kernel quantizes with the slopes.
    slopes = torch.linspace(0, 1, 16)
    mine, theirs = (
        F.prelu(quantized("quint8", library), library.quantize_per_tensor(slopes, 0.01, 0, library.quint8))
        for library in (torchq, torch)
    )
    assert qparams(mine) == qparams(theirs)
    difference = (mine.int_repr().int() - theirs.int_repr().int()).abs()
    assert difference.max() <= 1
    assert difference.float().mean() <= 0.01


def test_hardsigmoid_in_place_leaves_views_as_they_were():
    q = quantized("quint8")
    view, before = q[:1], q[:1].dequantize()
    assert F.hardsigmoid(q, inplace=True) is q
    assert torch.equal(view.dequantize(), before)


@pytest.mark.parametrize("module", [nn.Sigmoid(), nn.Tanh(), nn.Hardsigmoid(), nn.GELU(), nn.LeakyReLU(), nn.PReLU()])
def test_modules_that_are_not_converted_stay_integer(module):
    with torchq.no_float_fallback(), torch.no_grad():
        assert isinstance(module(quantized("quint8")), torchq.QTensor)


NONE = {
    "silu": F.silu,
    "mish": F.mish,
    "elu": F.elu,
    "celu": F.celu,
    "hardswish": F.hardswish,
    "softmax": lambda q: F.softmax(q, 1),
    "layer_norm": lambda q: F.layer_norm(q, (5,)),
    "group_norm": lambda q: F.group_norm(q, 2),
    "instance_norm": F.instance_norm,
    "batch_norm": lambda q: F.batch_norm(q, torch.zeros(16), torch.ones(16)),
    "bmm": lambda q: torch.bmm(q[0], q[0].transpose(1, 2)),
    "add": lambda q: q + q,
    "mul": lambda q: q * q,
}


@pytest.mark.parametrize("name", NONE)
def test_what_has_no_scale_and_zero_point_in_torch_is_float(name):
    q = quantized("quint8")
    torchq.float_fallbacks(clear=True)
    result = NONE[name](q)
    assert type(result) is torch.Tensor
    assert torch.equal(result, NONE[name](q.dequantize()))
    assert list(torchq.float_fallbacks().values()) == [1]
    if HAS_TORCHS:
        with pytest.raises(NotImplementedError):
            NONE[name](quantized("quint8", torch))


@pytest.mark.parametrize("call", [torch.sigmoid, F.gelu, F.leaky_relu, lambda q: F.prelu(q, torch.ones(1))])
def test_32_bits_and_channels_are_float(call):
    x = torch.randn(2, 4)
    wide = torchq.quantize_per_tensor(x, 0.1, 0, torchq.qint32)
    channels = torchq.quantize_per_channel(x, torch.ones(2), torch.zeros(2).long(), 0, torchq.qint8)
    for q in (wide, channels):
        assert torch.equal(call(q), call(q.dequantize()))


def test_gelu_of_no_known_kind_is_torchs_error():
    with pytest.raises(RuntimeError, match="approximate"):
        F.gelu(quantized("quint8"), approximate="cubic")


@needs_torchs
@pytest.mark.parametrize("parameters", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_batch_norm_with_qparams_is_torchs_but_at_ties(dtype, parameters):
    weight, bias = (SLOPES, SLOPES.flip(0)) if parameters else (None, None)
    given = (torch.ones(16) if weight is None else weight, torch.zeros(16) if bias is None else bias)
    statistics = (torch.linspace(-1, 1, 16), torch.linspace(0.5, 2, 16), 1e-5, 1 / 32, 3)
    mine = torch.quantized_batch_norm(quantized(dtype), weight, bias, *statistics)
    theirs = torch.quantized_batch_norm(quantized(dtype, torch), *given, *statistics)
    assert qparams(mine) == qparams(theirs)
    difference = (mine.int_repr().int() - theirs.int_repr().int()).abs()
    assert difference.max() <= 1
    assert difference.float().mean() <= 0.01


def test_tables_go_through_compile_and_export():
    torch._dynamo.reset()

    def gate(x):
        return torch.sigmoid(torchq.quantize_per_tensor(x, 0.05, 100, torchq.quint8)).dequantize()

    x = torch.linspace(-5, 5, 100)
    expected = gate(x)  # its table is there before anything is traced
    for backend in ("eager", "aot_eager"):
        assert torch.equal(torch.compile(gate, backend=backend, fullgraph=True)(x), expected)

    class Gate(nn.Module):
        def forward(self, x):
            return gate(x)

    for strict in (False, True):
        exported = torch.export.export(Gate(), (x,), strict=strict)
        assert torch.equal(exported.module()(x), expected)
    assert torch.equal(gate(x), expected)


def test_table_that_was_traced_is_not_kept():
    def doubled(values):
        return 2 * values

    q = quantized("quint8")
    with torch._subclasses.fake_tensor.FakeTensorMode() as mode:
        fake = torchq.QTensor(mode.from_tensor(q._data), 0.05, 101)
        assert looked_up(doubled, fake, 0.1, 101).shape == q.shape
    assert torch.equal(looked_up(doubled, q, 0.1, 101).int_repr(), q.int_repr())
