"""Modules that take and return floats, beside torch.ao's."""

import pytest
import torch
from torch import nn

import torchq
import torchq.quantization
from torchq import ops
from torchq.nn import intrinsic, quantized
from torchq.nn.quantized import dynamic
from torchq.qtensor_qparams import choose_dynamic_qparams

pytestmark = pytest.mark.usefixtures("one_thread")
CONVS = {1: (nn.Conv1d, (2, 4, 9)), 2: (nn.Conv2d, (2, 4, 9, 7)), 3: (nn.Conv3d, (2, 4, 6, 5, 7))}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
CASES = {
    **{f"Conv{d}d": (lambda conv=conv: conv(4, 6, 3, 2, 1, groups=2), size) for d, (conv, size) in CONVS.items()},
    **{
        f"Conv{d}d-reflect": (lambda conv=CONVS[d][0]: conv(4, 6, 3, padding=2, padding_mode="reflect"), CONVS[d][1])
        for d in (1, 2)
    },
    **{
        f"ConvTranspose{d}d": (lambda conv=conv: conv(4, 6, 3, 2, 1, output_padding=1), CONVS[d][1])
        for d, conv in TRANSPOSED.items()
    },
}


def values(size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.filterwarnings(
    "ignore:The current implementation of the .* module has poor numerical accuracy:UserWarning"
)
@pytest.mark.parametrize("reduce_range", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_convolution_rounded_as_torch_ao_does_gives_its_values(torch_ao, name, reduce_range):
    if not reduce_range and not torch.cpu._is_vnni_supported():
        pytest.skip("without VNNI instructions torch.ao's sums saturate where activations have all 8 bits")
    make, size = CASES[name]
    torch.manual_seed(0)
    conv, x = make(), values(size)
    kind = type(conv).__name__
    conv.qconfig = torch_ao.default_dynamic_qconfig
    theirs = getattr(torch.ao.nn.quantized.dynamic, kind).from_float(conv)
    conv.qconfig = torchq.quantization.default_dynamic_qconfig
    ours = getattr(dynamic, kind).from_float(conv)
    expected, given = theirs(x, reduce_range), ours(x, reduce_range)
    # torch.ao rounds the result to the scale of the input, and cuts it off where the input ends.
    scale, zero_point = choose_dynamic_qparams(x, 0, 255, reduce_range)
    rounded = ops.quantize_per_tensor(given, scale, zero_point, torch.uint8).int()
    difference = (rounded - ops.quantize_per_tensor(expected, scale, zero_point, torch.uint8).int()).abs()
    assert difference.max() <= 1
    assert (difference > 0).sum() <= max(1, 1e-3 * difference.numel())
    # Neither at more than half a step of the input and of the weight for each of the products.
    error = (given - conv(x)).abs().max()
    assert error < conv.weight[0].numel() * (scale * conv.weight.abs().max() + ours.weight().q_scale() * x.abs().max())


@pytest.mark.parametrize("name", ["default_dynamic_qconfig", "per_channel_dynamic_qconfig"])
def test_linear_with_a_relu_gives_the_values_of_torch_ao(torch_ao, name):
    torch.manual_seed(0)
    linear, x = nn.Linear(16, 12), values((5, 16))
    theirs = torch.ao.nn.intrinsic.LinearReLU(linear, nn.ReLU())
    theirs.qconfig = linear.qconfig = getattr(torch_ao.qconfig, name)
    theirs = torch.ao.nn.intrinsic.quantized.dynamic.LinearReLU.from_float(theirs)
    ours = intrinsic.LinearReLU(linear, nn.ReLU())
    ours.qconfig = getattr(torchq.quantization, name)
    ours = intrinsic.quantized.dynamic.LinearReLU.from_float(ours)
    assert torch.equal(ours(x), theirs(x))
    assert (ours(x) == 0).any()


@pytest.mark.parametrize("relu", [False, True])
def test_linear_of_float16_gives_the_values_of_torch_ao(torch_ao, relu):
    torch.manual_seed(0)
    linear, x = nn.Linear(16, 12), values((5, 16))
    made = []
    for library, nns in ((torch_ao, torch.ao.nn), (torchq.quantization, torchq.nn)):
        module = nns.intrinsic.LinearReLU(linear, nn.ReLU()) if relu else linear
        module.qconfig = linear.qconfig = library.float16_dynamic_qconfig
        kind = nns.intrinsic.quantized.dynamic.LinearReLU if relu else nns.quantized.dynamic.Linear
        made.append(kind.from_float(module)(x))
    # Sums of 17 products below 4 in float32, in another order.
    assert (made[1] - made[0]).abs().max() <= 17 * 4 * 2**-23
    assert (made[1] == 0).any() == relu


ROWS, COLUMNS = 30, 16
INDICES = torch.randint(0, ROWS, (24,), generator=torch.Generator().manual_seed(0))
OFFSETS = torch.tensor([0, 5, 5, 12])


def embeddings(torch_ao, kind, bits, **options):
    """torch.ao's and torchq's quantized module of the same float one."""
    torch.manual_seed(0)
    float_module = getattr(nn, kind)(ROWS, COLUMNS, **options)
    qconfig = "float_qparams_weight_only_qconfig" + ("_4bit" if bits == 4 else "")
    float_module.qconfig = getattr(torch_ao.qconfig, qconfig)
    theirs = getattr(torch.ao.nn.quantized, kind).from_float(float_module)
    float_module.qconfig = getattr(torchq.quantization, qconfig)
    return theirs, getattr(quantized, kind).from_float(float_module)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_embedding_gives_the_values_of_torch_ao(torch_ao, dtype):
    theirs, ours = embeddings(torch_ao, "Embedding", 8)
    assert torch.equal(ours(INDICES.to(dtype)), theirs(INDICES.to(dtype)))


def test_embedding_of_4_bits_gives_the_rows_that_torch_ao_adds_up(torch_ao):
    # torch.ao's own module of 4 bits looks its rows up as if they had 8.
    _, ours = embeddings(torch_ao, "Embedding", 4)
    bag, _ = embeddings(torch_ao, "EmbeddingBag", 4, mode="sum")
    assert torch.equal(ours(INDICES), bag(INDICES.view(-1, 1)))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("bits", [8, 4])
def test_bags_add_up_to_the_values_of_torch_ao(torch_ao, bits, last, weighted):
    theirs, ours = embeddings(torch_ao, "EmbeddingBag", bits, mode="sum", include_last_offset=last)
    offsets = torch.cat([OFFSETS, torch.tensor([len(INDICES)])]) if last else OFFSETS
    weights = values((len(INDICES),), 1) if weighted else None
    given, expected = (module(INDICES, offsets, weights) for module in (ours, theirs))
    # Sums of at most 12 values below 8, each rounded a few times, in another way.
    assert (given - expected).abs().max() <= 12 * 4 * 8 * 2**-24


@pytest.mark.parametrize("bits", [8, 4])
def test_embedding_weights_are_those_of_torch_ao(torch_ao, bits):
    modules = embeddings(torch_ao, "EmbeddingBag", bits, mode="sum")
    theirs, ours = (module.weight() for module in modules)
    assert torch.equal(ours.int_repr(), theirs.int_repr().view(ours.int_repr().shape))
    # With 4 bits torch.ao shows the scales that it was given, and looks up with those of float16, which torchq shows.
    given = theirs.q_per_channel_scales().float(), theirs.q_per_channel_zero_points().float()
    step = 2**-23 if bits == 8 else 2**-9
    assert torch.allclose(ours.q_per_channel_scales(), given[0], rtol=step, atol=0)
    assert torch.allclose(ours.q_per_channel_zero_points(), given[1], rtol=step, atol=0)
