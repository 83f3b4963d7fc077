"""QTensor: made as PyTorch's documentation shows, and a tensor like others."""

import math
import warnings

import pytest
import torch
from expecttest import assert_expected_inline

import torchq

FROM_TORCH = [name for name in ("quint8", "qint8", "qint32") if hasattr(torch, name)]
pytestmark = pytest.mark.usefixtures("one_thread")


def documented_per_tensor():
    return torchq.quantize_per_tensor(torch.tensor([-1.0, 0.0, 1.0, 2.0]), 0.1, 10, torchq.quint8)


def documented_per_channel():
    x = torch.tensor([[-1.0, 0.0], [1.0, 2.0]])
    return torchq.quantize_per_channel(x, torch.tensor([0.1, 0.01]), torch.tensor([10, 0]), 0, torchq.quint8)


def test_per_tensor_example_of_the_documentation():
    q = documented_per_tensor()
    assert torch.equal(q.int_repr(), torch.tensor([0, 10, 20, 30], dtype=torch.uint8))
    assert torch.equal(q.dequantize(), torch.tensor([-1.0, 0.0, 1.0, 2.0]))
    assert (q.q_scale(), q.q_zero_point()) == (0.1, 10)
    assert (q.qdtype, q.qscheme()) == (torchq.quint8, torchq.per_tensor_affine)


def test_per_channel_example_of_the_documentation():
    q = documented_per_channel()
    assert torch.equal(q.int_repr(), torch.tensor([[0, 10], [100, 200]], dtype=torch.uint8))
    assert torch.equal(q.q_per_channel_scales(), torch.tensor([0.1, 0.01]).double())
    assert torch.equal(q.q_per_channel_zero_points(), torch.tensor([10, 0]))
    assert (q.q_per_channel_axis(), q.qdtype, q.qscheme()) == (0, torchq.quint8, torchq.per_channel_affine)
    assert torch.equal(q.dequantize(), torch.tensor([[-1.0, 0.0], [1.0, 2.0]]))


def test_values_beyond_the_range_clamp_to_its_ends():
    q = torchq.quantize_per_tensor(torch.tensor([100.0, -100.0, math.inf, -math.inf]), 0.1, 10, torchq.quint8)
    assert q.dequantize().tolist() == [24.5, -1.0, 24.5, -1.0]


def test_prints_its_fields_in_torchs_order():
    assert_expected_inline(
        repr(documented_per_tensor()),
        """\
QTensor([-1.,  0.,  1.,  2.], size=(4,), dtype=torchq.quint8,
        quantization_scheme=torchq.per_tensor_affine, scale=0.1, zero_point=10)""",
    )
    assert_expected_inline(
        repr(documented_per_channel()),
        """\
QTensor([[-1.,  0.],
         [ 1.,  2.]], size=(2, 2), dtype=torchq.quint8,
        quantization_scheme=torchq.per_channel_affine,
        scale=tensor([0.1000, 0.0100], dtype=torch.float64),
        zero_point=tensor([10,  0]), axis=0)""",
    )


def fields(text):
    """What is between the brackets, without line breaks and the name of the library."""
    text = "".join(text.partition("(")[2].split())
    return text.replace("torchq.", "torch.")


@pytest.mark.skipif(not FROM_TORCH, reason="this torch has no quantized tensors to compare with")
@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 4), (2, 0, 3), (5, 3, 2), (40, 50)], ids=str)
@pytest.mark.parametrize("scale", [0.1, 0.25, 3e-5], ids=str)
def test_prints_what_torch_prints(shape, scale):
    x = torch.linspace(-3, 40, torch.Size(shape).numel()).reshape(shape)
    mine = torchq.quantize_per_tensor(x, scale, 10, torchq.quint8)
    assert fields(repr(mine)) == fields(repr(torch.quantize_per_tensor(x, scale, 10, torch.quint8)))
    if not shape or 0 in shape:
        return
    axis = len(shape) - 1
    scales, zero_points = torch.linspace(0.1, 1, shape[-1]), torch.arange(shape[-1])
    mine = torchq.quantize_per_channel(x, scales, zero_points, axis, torchq.qint8)
    assert fields(repr(mine)) == fields(repr(torch.quantize_per_channel(x, scales, zero_points, axis, torch.qint8)))


def test_prints_a_meta_tensor_without_values():
    assert_expected_inline(
        repr(documented_per_tensor().to("meta")),
        """\
QTensor(..., device='meta', size=(4,), dtype=torchq.quint8,
        quantization_scheme=torchq.per_tensor_affine, scale=0.1, zero_point=10)""",
    )


def test_is_a_tensor_of_float32():
    q = documented_per_tensor()
    assert isinstance(q, torch.Tensor)
    assert isinstance(q, torchq.QTensor)
    assert (q.dtype, q.shape, q.dim(), q.numel(), len(q)) == (torch.float32, (4,), 1, 4, 4)
    assert not q.is_floating_point()
    assert not q.requires_grad
    assert q.device == torch.device("cpu")


@pytest.mark.parametrize("name", FROM_TORCH)
def test_torchs_own_dtypes_are_accepted(name):
    x = torch.tensor([-1.0, 0.0, 2.0])
    q = torchq.quantize_per_tensor(x, 0.1, 10, getattr(torch, name))
    assert q.qdtype is getattr(torchq, name)
    q = torchq.quantize_per_channel(x[None], torch.tensor([0.1]), torch.tensor([10]), 0, getattr(torch, name))
    assert q.qdtype is getattr(torchq, name)


@pytest.mark.skipif(not FROM_TORCH, reason="this torch has no quantized tensors to compare with")
@pytest.mark.parametrize("name", FROM_TORCH)
def test_gives_torchs_integers_and_values(name):
    x = torch.linspace(-30, 30, 1001).reshape(7, 11, 13)
    mine = torchq.quantize_per_tensor(x, 0.1, 7, getattr(torchq, name))
    theirs = torch.quantize_per_tensor(x, 0.1, 7, getattr(torch, name))
    assert torch.equal(mine.int_repr(), theirs.int_repr())
    assert torch.equal(mine.dequantize(), theirs.dequantize())
    for axis in range(-3, 3):
        scales, zero_points = torch.linspace(0.05, 0.2, x.shape[axis]), torch.arange(x.shape[axis]) * 3
        mine = torchq.quantize_per_channel(x, scales, zero_points, axis, getattr(torchq, name))
        theirs = torch.quantize_per_channel(x, scales, zero_points, axis % 3, getattr(torch, name))
        assert torch.equal(mine.int_repr(), theirs.int_repr())
        assert torch.equal(mine.dequantize(), theirs.dequantize())
        assert mine.q_per_channel_axis() == axis % 3


def test_numbers_in_tensors_serve_as_scale_and_zero_point():
    q = torchq.quantize_per_tensor(torch.ones(2), torch.tensor(0.5), torch.tensor(3), torchq.quint8)
    assert (q.q_scale(), q.q_zero_point(), q.int_repr().tolist()) == (0.5, 3, [5, 5])
    assert (type(q.q_scale()), type(q.q_zero_point())) == (float, int)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_other_floats_are_converted_first(dtype):
    q = torchq.quantize_per_tensor(torch.tensor([-1.0, 0.5], dtype=dtype), 0.25, 10, torchq.quint8)
    assert q.int_repr().tolist() == [6, 12]


def test_integers_are_a_copy():
    q = documented_per_tensor()
    q.int_repr().zero_()
    assert q.int_repr().tolist() == [0, 10, 20, 30]


def test_gradient_does_not_flow_into_it():
    x = torch.ones(3, requires_grad=True)
    q = torchq.quantize_per_tensor(x, 0.1, 0, torchq.quint8)
    assert not q.requires_grad
    assert not q.dequantize().requires_grad


def test_gradient_does_not_flow_into_scales():
    scales = torch.tensor([0.1, 0.2], requires_grad=True)
    q = torchq.quantize_per_channel(torch.ones(2, 3), scales, torch.tensor([1, 2]), 0, torchq.quint8)
    assert not q.q_per_channel_scales().requires_grad
    assert not q.dequantize().requires_grad


def test_dequantize_leaves_plain_tensors_as_they_are():
    x = torch.ones(3)
    assert torchq.dequantize(x) is x
    assert torch.equal(torchq.dequantize(documented_per_tensor()), torch.tensor([-1.0, 0.0, 1.0, 2.0]))


@pytest.mark.parametrize("kind", [list, tuple])
def test_dequantize_maps_lists_to_a_tuple(kind):
    x = torch.ones(3)
    result = torchq.dequantize(kind([documented_per_tensor(), x]))
    values, plain = result
    assert (type(result), type(values)) == (tuple, torch.Tensor)
    assert torch.equal(values, torch.tensor([-1.0, 0.0, 1.0, 2.0]))
    assert plain is x


@pytest.mark.skipif(not hasattr(torch, "dequantize"), reason="this torch has no dequantize")
def test_torchs_dequantize_takes_lists():
    q = documented_per_tensor()
    result = torch.dequantize([q, q])
    assert type(result) is tuple
    assert all(torch.equal(values, q.dequantize()) for values in result)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1, 1, 1)], ids=str)
def test_scalars_and_empty_tensors(shape):
    q = torchq.quantize_per_tensor(torch.full(shape, 1.5), 0.5, 4, torchq.qint8)
    assert torch.equal(q.int_repr(), torch.full(shape, 7, dtype=torch.int8))
    assert torch.equal(q.dequantize(), torch.full(shape, 1.5))
    assert torch.relu(q).shape == shape


def test_layout_is_the_inputs():
    x = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    q = torchq.quantize_per_tensor(x, 0.1, 10, torchq.quint8)
    assert q.stride() == x.stride()
    assert q.is_contiguous(memory_format=torch.channels_last)
    assert not q.is_contiguous()
    gaps = torch.randn(4, 10)[:, ::2]
    assert torch.equal(
        torchq.quantize_per_tensor(gaps, 0.1, 10, torchq.quint8).int_repr(),
        torchq.quantize_per_tensor(gaps.contiguous(), 0.1, 10, torchq.quint8).int_repr(),
    )


def test_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        repr(documented_per_tensor())
        repr(documented_per_channel())
