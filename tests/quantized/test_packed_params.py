"""What the prepack functions return: packed once, unpacked, copied, saved."""

import copy
import io
import pickle

import pytest
import torch

import torchq
from qtensor.compare import assert_is_torchs
from quantized.calls import Source
from quantized.weighted_calls import packed_conv, packed_linear
from torchq import quantized

pytestmark = pytest.mark.usefixtures("one_thread")


def saved(packed):
    file = io.BytesIO()
    torch.save(packed, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda p: pickle.loads(pickle.dumps(p)), "save": saved}
# With their spatial dimensions, and whether they are transposed.
CONVS = {
    ("conv1d_prepack", "conv1d_unpack"): (1, False),
    ("conv2d_prepack", "conv2d_unpack"): (2, False),
    ("conv3d_prepack", "conv3d_unpack"): (3, False),
    ("conv_transpose1d_prepack", "conv_transpose1d_unpack"): (1, True),
    ("conv_transpose2d_prepack", "conv_transpose2d_unpack"): (2, True),
    ("conv_transpose3d_prepack", "conv_transpose3d_unpack"): (3, True),
}
# conv1d's are read by the functions of conv2d in torch.
WINDOWS = {
    (
        "conv2d_stride",
        "conv2d_padding",
        "conv2d_output_padding",
        "conv2d_dilation",
        "conv2d_groups",
        "conv2d_transpose",
    ): (2, False),
    (
        "conv3d_stride",
        "conv3d_padding",
        "conv3d_output_padding",
        "conv3d_dilation",
        "conv3d_groups",
        "conv3d_transpose",
    ): (3, False),
    (
        "conv_transpose2d_stride",
        "conv_transpose2d_padding",
        "conv_transpose2d_output_padding",
        "conv_transpose2d_dilation",
        "conv_transpose2d_groups",
        "conv_transpose2d_transpose",
    ): (2, True),
    (
        "conv_transpose3d_stride",
        "conv_transpose3d_padding",
        "conv_transpose3d_output_padding",
        "conv_transpose3d_dilation",
        "conv_transpose3d_groups",
        "conv_transpose3d_transpose",
    ): (3, True),
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_copy_gives_the_same_integers(copied):
    packed, k = packed_linear(quantized, Source(torchq, 0))
    x = Source(torchq, 2).quantized(3, k)
    before = quantized.linear(x, packed, 0.5, 60)
    assert torch.equal(quantized.linear(x, copied(packed), 0.5, 60).int_repr(), before.int_repr())


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_copy_of_other_kinds_unpacks_to_the_same(copied):
    of = Source(torchq, 0)
    floats = quantized.linear_prepack_fp16(of.floats(3, 4), of.floats(3))
    rows = quantized.embedding_bag_prepack(of.table(5, 6, 4))
    conv, _ = packed_conv(quantized, of, 2)
    assert torch.equal(copied(floats).unpack()[0], floats.unpack()[0])
    assert torch.equal(copied(rows).unpack(), rows.unpack())
    assert torch.equal(copied(conv).unpack()[0], conv.unpack()[0])


def test_weight_is_held_once():
    packed, k = packed_linear(quantized, Source(torchq, 0))
    x = Source(torchq, 2).quantized(3, k)
    for zero_point in range(3):
        quantized.linear_relu(x, packed, 0.5, zero_point)
    layers = list(packed._layers.values())
    assert len(layers) == 3
    assert {layer._packed_weight.data_ptr() for layer in layers} == {packed._layer._packed_weight.data_ptr()}


def test_many_scales_do_not_pile_up_layers():
    packed, k = packed_linear(quantized, Source(torchq, 0))
    x = Source(torchq, 2).quantized(3, k)
    results = [quantized.linear(x, packed, 0.1 + 0.01 * i, 60) for i in range(40)]
    assert len(packed._layers) <= 16
    assert torch.equal(results[0], quantized.linear(x, packed, 0.1, 60))


def test_unpacks_the_linear_weight_and_bias_of_torch(torch_ao):
    for seed in range(4):
        (weight, bias), (theirs, other) = (
            q.linear_unpack(packed_linear(q, Source(library, seed))[0])
            for q, library in ((quantized, torchq), (torch.ops.quantized, torch))
        )
        assert_is_torchs(weight, theirs)
        assert bias is other is None or torch.equal(bias, other)


@pytest.mark.parametrize("names", CONVS, ids=lambda names: names[0])
def test_unpacks_the_convolution_of_torch(torch_ao, names):
    dims, transposed = CONVS[names]
    for seed in range(4):
        (weight, bias), (theirs, other) = (
            getattr(q, names[1])(packed_conv(q, Source(library, seed), dims, transposed)[0])
            for q, library in ((quantized, torchq), (torch.ops.quantized, torch))
        )
        assert_is_torchs(weight, theirs)
        assert bias is other is None or torch.equal(bias, other)


@pytest.mark.parametrize("names", WINDOWS, ids=lambda names: names[0])
def test_window_is_torchs(torch_ao, names):
    dims, transposed = WINDOWS[names]
    for seed in range(4):
        packed, _ = packed_conv(quantized, Source(torchq, seed), dims, transposed)
        theirs, _ = packed_conv(torch.ops.quantized, Source(torch, seed), dims, transposed)
        for name in names:
            given = getattr(quantized, name)(packed)
            assert given == getattr(torch.ops.quantized, name)(theirs)
            method = name.removeprefix(f"conv{'_transpose' if transposed else ''}{dims}d_")
            assert getattr(packed, method)() == given == getattr(theirs, method)()


def test_sizes_are_torchs(torch_ao):
    for seed in range(4):
        given, expected = (
            q.conv2d_unpack_sizes(packed_conv(q, Source(library, seed), 2)[0])
            for q, library in ((quantized, torchq), (torch.ops.quantized, torch))
        )
        assert given == expected


def test_methods_give_what_functions_give():
    packed, _ = packed_conv(quantized, Source(torchq, 2), 2)
    assert torch.equal(packed.weight(), packed.unpack()[0])
    assert packed.bias() is packed.unpack()[1] is None or torch.equal(packed.bias(), packed.unpack()[1])
    floats = quantized.linear_prepack_fp16(torch.ones(2, 3), torch.ones(2))
    assert torch.equal(floats.bias(), torch.ones(2))
    assert quantized.linear_prepack_fp16(torch.ones(2, 3)).bias() is None


def test_conv_is_conv2d_by_an_older_name():
    of = Source(torchq, 0)
    weight, bias = of.weight(3, 2, 3, 3), of.floats(3)
    packed = quantized.conv_prepack(weight, bias, [1, 1], [1, 1], [1, 1], 1)
    assert isinstance(packed, quantized.ConvPackedParams)
    assert torch.equal(quantized.conv_unpack(packed)[0].int_repr(), weight.int_repr())
    assert quantized.conv2d_padding(packed) == [1, 1]


def test_shows_its_layer():
    packed, _ = packed_linear(quantized, Source(torchq, 0), 3, 4)
    assert isinstance(packed, quantized.LinearPackedParams)
    assert repr(packed).startswith("LinearPackedParams(QuantizedLinear(in_features=4, out_features=3")
    rows = quantized.embedding_bag_prepack(Source(torchq, 0).table(5, 6, 8))
    assert isinstance(rows, quantized.EmbeddingPackedParams)
    assert "num_embeddings=5, embedding_dim=6" in repr(rows)
    assert isinstance(quantized.linear_prepack_fp16(torch.ones(2, 3)), quantized.LinearPackedParamsFp16)
