import pytest
import torch
from torch import nn

import torchq
from torchq import reference
from torchq.nn import intrinsic, quantized
from torchq.nn.intrinsic import quantized as intrinsic_quantized
from torchq.nn.quantized import BatchNorm2d, GroupNorm, InstanceNorm2d, LayerNorm
from torchq.quantization import convert, default_qconfig, prepare

pytestmark = pytest.mark.usefixtures("one_thread")
SCALE, ZERO_POINT = 0.031, 99
SIZES = {1: (2, 6, 9), 2: (2, 6, 5, 7), 3: (2, 6, 5, 4, 3)}
GENERATOR = torch.Generator().manual_seed(0)
WEIGHT, BIAS, MEAN = (torch.randn(6, generator=GENERATOR) for _ in range(3))
VARIANCE = torch.rand(6, generator=GENERATOR)
AFFINE = {"affine": (WEIGHT, BIAS), "weight": (WEIGHT, None), "plain": (None, None)}


def random_input(size, dtype=torchq.quint8):
    x = torch.randn(size, generator=torch.Generator().manual_seed(1))
    return torchq.quantize_per_tensor(x, 0.05, 30, dtype)


def result_of(module, x):
    """The integers, after the qparams have been looked at."""
    result = module(x)
    assert (result.q_scale(), result.q_zero_point(), result.qdtype) == (SCALE, ZERO_POINT, x.qdtype)
    return result.int_repr()


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("dims", [2, 3])
def test_batch_norm_gives_the_integers_of_the_contract(dims, relu):
    name, library = (f"BNReLU{dims}d", intrinsic_quantized) if relu else (f"BatchNorm{dims}d", quantized)
    module = getattr(library, name)(6, eps=1e-3)
    state = {"weight": WEIGHT, "bias": BIAS, "running_mean": MEAN, "running_var": VARIANCE}
    module.load_state_dict({**module.state_dict(), **state})
    module.set_output_qparams(SCALE, ZERO_POINT)
    x = random_input(SIZES[dims])
    statistics = (WEIGHT, BIAS, MEAN, VARIANCE, 1e-3)
    expected = reference.batch_norm(x.int_repr(), 0.05, 30, *statistics, SCALE, ZERO_POINT, relu)
    assert torch.equal(result_of(module, x), expected)


@pytest.mark.parametrize("affine", AFFINE)
def test_group_norm_gives_the_integers_of_the_contract(affine):
    module, x = GroupNorm(3, 6, *AFFINE[affine], SCALE, ZERO_POINT), random_input(SIZES[2])
    expected = reference.group_norm(x.int_repr(), 0.05, 30, 3, *AFFINE[affine], 1e-5, SCALE, ZERO_POINT)
    assert torch.equal(result_of(module, x), expected)


@pytest.mark.parametrize("affine", AFFINE)
@pytest.mark.parametrize("dims", SIZES)
def test_instance_norm_gives_the_integers_of_the_contract(dims, affine):
    module = getattr(quantized, f"InstanceNorm{dims}d")(6, *AFFINE[affine], SCALE, ZERO_POINT)
    x = random_input(SIZES[dims], torchq.qint8)
    expected = reference.group_norm(x.int_repr(), 0.05, 30, 6, *AFFINE[affine], 1e-5, SCALE, ZERO_POINT)
    assert torch.equal(result_of(module, x), expected)


@pytest.mark.parametrize("affine", AFFINE)
def test_layer_norm_gives_the_integers_of_the_contract(affine):
    parameters = [None if p is None else p.expand(5, 6) for p in AFFINE[affine]]
    module, x = LayerNorm((5, 6), *parameters, SCALE, ZERO_POINT), random_input((4, 3, 5, 6))
    expected = reference.layer_norm(x.int_repr(), 0.05, 30, (5, 6), *parameters, 1e-5, SCALE, ZERO_POINT)
    assert torch.equal(result_of(module, x), expected)


def converted(float_module, size):
    model = nn.Sequential(float_module).eval()
    model.qconfig = default_qconfig
    prepared = prepare(model)
    prepared(random_input(size).dequantize())
    return convert(prepared)[0]


@pytest.mark.parametrize(
    "float_module",
    [
        nn.BatchNorm2d(6, affine=False),
        nn.GroupNorm(2, 6, affine=False),
        nn.InstanceNorm2d(6),
        nn.LayerNorm(7, bias=False),
    ],
    ids=repr,
)
def test_norm_without_parameters_is_converted(float_module):
    x = random_input(SIZES[2])
    module = converted(float_module, SIZES[2])
    expected = float_module.eval()(x.dequantize())
    inside = (expected >= (0 - module.zero_point) * module.scale) & (
        expected <= (255 - module.zero_point) * module.scale
    )
    # Half a step, and float32's error beside it.
    assert (module(x).dequantize() - expected).abs()[inside].max() <= 0.501 * module.scale


def test_converted_parameters_are_copies():
    norm = nn.LayerNorm(7)
    module = converted(norm, SIZES[2])
    norm.weight.data.zero_()
    assert torch.equal(module.weight, torch.ones(7))
    assert not list(module.parameters())


def test_running_statistics_are_those_of_the_float_module():
    bn = nn.BatchNorm2d(6)
    bn(torch.randn(3, 6, 4, 4))
    module = converted(intrinsic.BNReLU2d(bn, nn.ReLU()), SIZES[2])
    assert torch.equal(module.running_mean, bn.running_mean)
    assert torch.equal(module.running_var, bn.running_var)


@pytest.mark.parametrize(
    ("float_module", "message"),
    [
        (
            nn.InstanceNorm2d(6, track_running_stats=True),
            "normalizes by the input itself, got track_running_stats=True",
        ),
        (nn.BatchNorm2d(6, track_running_stats=False), "takes a batch norm with track_running_stats=True, got False"),
    ],
    ids=["instance", "batch"],
)
def test_statistics_of_another_kind_are_an_error_naming_the_module(float_module, message):
    with pytest.raises(ValueError, match=f"cannot convert '0': .*{message}"):
        converted(float_module, SIZES[2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LayerNorm(7, torch.ones(6), None, 0.1, 0), r"weight of shape \(7,\), got \(6,\)"),
        (lambda: LayerNorm((2, 7), None, torch.ones(7), 0.1, 0), r"bias of shape \(2, 7\), got \(7,\)"),
        (lambda: GroupNorm(4, 6, None, None, 0.1, 0), "num_groups must divide num_channels 6, got 4"),
        (lambda: InstanceNorm2d(6, None, None, 0.1, 0, track_running_stats=True), "track_running_stats=True"),
        (lambda: BatchNorm2d(6, dtype=torch.float16), "takes no dtype, got torch.float16"),
        (lambda: LayerNorm(7, None, None, 0.1, 0, dtype=torch.float64), "takes no dtype, got torch.float64"),
    ],
    ids=["weight", "bias", "groups", "statistics", "dtype", "layer-dtype"],
)
def test_refuses_arguments_that_do_not_fit(make, message):
    with pytest.raises(ValueError, match=message):
        make()
