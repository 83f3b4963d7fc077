"""Functions of quantized tensors: torch.ao's names, arguments and integers."""

import inspect

import pytest
import torch
from torch.nn import functional as F

import torchq
from torchq.dtypes import from_torch
from torchq.nn import quantized
from torchq.nn.quantized import functional

pytestmark = pytest.mark.usefixtures("one_thread")
# What torchq has beside: the operators that get_quantized_operator names.
OWN = {"layer_norm", "instance_norm", "dropout"}
WEIGHTS = {d: torch.randn(6, 2, *[3] * d, generator=torch.Generator().manual_seed(d)) for d in (1, 2, 3)}
BIAS = torch.randn(6, generator=torch.Generator().manual_seed(0))


def conv(dims, **options):
    """A call of conv1d to conv3d with either library."""

    def call(functional, library, images):
        weight = library.quantize_per_tensor(WEIGHTS[dims], 0.03, 0, library.qint8)
        options.setdefault("scale", 1 / 8)
        return getattr(functional, f"conv{dims}d")(images[dims], weight, BIAS, groups=2, zero_point=60, **options)

    return call


def linear(**options):
    def call(functional, library, images):
        weight = torch.randn(3, 7, generator=torch.Generator().manual_seed(0))
        weight = library.quantize_per_tensor(weight, 0.03, 0, library.qint8)
        return functional.linear(images[2], weight, BIAS[:3], **options)

    return call


# The call, and the share of places at which the integers may be one apart.
CALLS = {
    "avg_pool2d": (lambda f, _, images: f.avg_pool2d(images[2], 3, 2, 1), 0.1),
    "avg_pool3d": (lambda f, _, images: f.avg_pool3d(images[3], 2, divisor_override=5), 0.1),
    "adaptive_avg_pool2d": (lambda f, _, images: f.adaptive_avg_pool2d(images[2], (2, 3)), 0.1),
    "adaptive_avg_pool3d": (lambda f, _, images: f.adaptive_avg_pool3d(images[3], 2), 0.1),
    "max_pool1d": (lambda f, _, images: f.max_pool1d(images[1], 3, 2, 1), 0),
    "max_pool2d": (lambda f, _, images: f.max_pool2d(images[2], 3, dilation=2), 0),
    "conv1d": (conv(1, stride=2), 0),
    "conv2d": (conv(2, padding=(1, 0)), 0),
    "conv3d": (conv(3, dilation=(1, 2, 1)), 0),
    "linear": (linear(scale=1 / 8, zero_point=60), 0),
    "linear-with-the-inputs-qparams": (linear(), 0),
    "interpolate": (lambda f, _, images: f.interpolate(images[2], scale_factor=2), 0),
    "interpolate-bilinear": (lambda f, _, images: f.interpolate(images[2], (8, 9), mode="bilinear"), 0.01),
    "celu": (lambda f, _, images: f.celu(images[2], 1 / 32, 60, 0.7), 0.01),
    "elu": (lambda f, _, images: f.elu(images[2], 1 / 32, 60, 0.7), 0.01),
    "hardswish": (lambda f, _, images: f.hardswish(images[2], 1 / 32, 60), 0.01),
    "leaky_relu": (lambda f, _, images: f.leaky_relu(images[2], 0.2), 0.1),
    "leaky_relu-rescaled": (lambda f, _, images: f.leaky_relu(images[2], 0.2, scale=1 / 32, zero_point=60), 0.01),
    "hardtanh": (lambda f, _, images: f.hardtanh(images[2], -0.7, 1.3), 0),
    "clamp": (lambda f, _, images: f.clamp(images[2], -0.7, 1.3), 0),
    "threshold": (lambda f, _, images: f.threshold(images[2], 0.33, -0.7), 0),
    "hardsigmoid": (lambda f, _, images: f.hardsigmoid(images[2]), 0.01),
    "upsample": (lambda f, _, images: f.upsample(images[2], (8, 9)), 0),
    "upsample_nearest": (lambda f, _, images: f.upsample_nearest(images[2], scale_factor=2), 0),
    "upsample_bilinear": (lambda f, _, images: f.upsample_bilinear(images[2], scale_factor=2), 0.01),
}


def images(library):
    """Quantized sequences, images and volumes of 7 bits: beyond, torch.ao's sums saturate without VNNI instructions."""
    made = {}
    for d, size in {1: (9,), 2: (5, 7), 3: (4, 5, 6)}.items():
        x = torch.randint(0, 128, (2, 4, *size), generator=torch.Generator().manual_seed(d)).to(torch.uint8)
        made[d] = library._make_per_tensor_quantized_tensor(x, 0.05, 60)
    return made


@pytest.mark.filterwarnings("ignore:nn.quantized.functional.upsample.* is deprecated:UserWarning")
@pytest.mark.parametrize("name", CALLS)
def test_gives_the_integers_of_torch_ao(torch_ao, name):
    call, share = CALLS[name]
    theirs = call(torch.ao.nn.quantized.functional, torch, images(torch))
    with torchq.no_float_fallback():
        ours = call(functional, torchq, images(torchq))
    assert (ours.q_scale(), ours.q_zero_point()) == (theirs.q_scale(), theirs.q_zero_point())
    difference = (ours.int_repr().int() - theirs.int_repr().int()).abs()
    assert difference.max() <= (1 if share else 0)
    assert difference.float().mean() <= share


def test_every_function_of_torch_ao_is_there_and_tested(torch_ao):
    theirs = set(torch.ao.nn.quantized.functional.__all__)
    assert set(functional.__all__) == theirs | OWN
    assert {name.partition("-")[0] for name in CALLS} == theirs


@pytest.mark.parametrize("name", sorted({name.partition("-")[0] for name in CALLS}))
def test_arguments_have_the_order_and_defaults_of_torch_ao(torch_ao, name):
    theirs = inspect.signature(getattr(torch.ao.nn.quantized.functional, name)).parameters.values()
    ours = inspect.signature(getattr(functional, name)).parameters.values()
    assert [(p.name, p.default) for p in ours] == [(p.name, from_torch(p.default)) for p in theirs]


@pytest.mark.parametrize("name", CALLS)
def test_refuses_what_is_not_quantized(name):
    floats = {d: q.dequantize() for d, q in images(torchq).items()}
    with pytest.raises(TypeError, match="takes a quantized tensor, got a float tensor"):
        CALLS[name][0](functional, torchq, floats)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda q: functional.max_pool2d(q, 2, return_indices=True), "max_pool2d .* got return_indices=True"),
        (lambda q: functional.max_pool1d(q[0], 2, return_indices=True), "max_pool1d .* got return_indices=True"),
        (lambda q: functional.interpolate(q, 3, mode="bicubic"), "got 'bicubic'"),
        (lambda q: functional.leaky_relu(q, scale=0.1), r"got 0\.1, None and inplace=False"),
        (lambda q: functional.leaky_relu(q, 0.1, True, 0.1, 3), r"got 0\.1, 3 and inplace=True"),
        (lambda q: functional.conv2d(q, torch.zeros(2, 4, 3, 3), None), "quantized weight of 4 dimensions, got Tensor"),
        (lambda q: functional.conv1d(q[0], q, None), r"3 dimensions, got \(2, 4, 5, 7\)"),
        (lambda q: functional.linear(q, q), r"2 dimensions, got \(2, 4, 5, 7\)"),
        (lambda q: functional.instance_norm(q[0, 0], None, None, 0.1, 0.1, 3), r"\[N, C, \*spatial\], got \(5, 7\)"),
    ],
)
def test_refuses_arguments_that_do_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call(images(torchq)[2])


def test_norms_are_those_of_the_modules():
    q = images(torchq)
    weight = torch.rand(5, 7)
    module = quantized.LayerNorm((5, 7), weight, None, 0.03, 3, 1e-3)
    assert torch.equal(functional.layer_norm(q[2], (5, 7), weight, None, 1e-3, 0.03, 3), module(q[2]))
    for dims in (1, 2, 3):
        module = getattr(quantized, f"InstanceNorm{dims}d")(4, None, None, 0.03, 3, 1e-3)
        assert torch.equal(functional.instance_norm(q[dims], None, None, 1e-3, 0.03, 3), module(q[dims]))


def test_dropout_passes_its_input():
    q = images(torchq)[2]
    assert functional.dropout(q, 0.1, 3, 0.9, training=True) is q


def test_leaky_relu_writes_to_its_input_in_place():
    q = images(torchq)[2]
    expected = F.leaky_relu(q, 0.2)
    assert functional.leaky_relu(q, 0.2, inplace=True) is q
    assert torch.equal(q, expected)
