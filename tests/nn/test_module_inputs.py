"""What modules do with inputs that are unusual, and what they say of those that do not fit."""

import re

import pytest
import torch

import torchq
from nn.quantized_modules import FLOAT, MAKE, STATIC, example, filled
from torchq.nn import quantized
from torchq.nn.quantized.static import SameDtypeModule
from torchq.qtensor import QTensor

pytestmark = pytest.mark.usefixtures("one_thread")
EVERY = [*STATIC, *FLOAT]
# These take whatever dimensions there are.
ANY_SHAPE = ("Hardswish", "ELU", "LeakyReLU", "Sigmoid", "Softmax", "ReLU6", "PReLU")
SHAPED = [name for name in EVERY if name not in ANY_SHAPE]


def same(first, second):
    if isinstance(first, QTensor):
        return torch.equal(first, second)
    return torch.equal(first, second) and not isinstance(second, QTensor)


@pytest.mark.parametrize("name", EVERY)
def test_layout_in_memory_does_not_matter(name):
    module, x = filled(name), example(name)
    strided = torch.stack([x, x], -1)[..., 0]
    assert not strided.is_contiguous()
    assert same(module(strided), module(x))


@pytest.mark.parametrize("name", EVERY)
def test_batch_of_none_gives_a_batch_of_none(name):
    module, x = filled(name), example(name)
    result = module(x[:0])
    assert result.shape == (0, *module(x).shape[1:])
    assert isinstance(result, QTensor) is (name in STATIC)


@pytest.mark.parametrize("name", [name for name in STATIC if isinstance(MAKE[name](), SameDtypeModule)])
def test_module_made_by_hand_takes_both_dtypes_and_a_calibrated_one_its_own(name):
    module = MAKE[name]()
    assert module.output_dtype is None
    for dtype in (torchq.quint8, torchq.qint8):
        assert module(example(name, dtype)).qdtype is dtype
    module.set_output_qparams(0.1, 3, torchq.quint8)
    assert module.output_dtype is torchq.quint8
    with pytest.raises(ValueError, match=r"gives torchq\.quint8, got an input of torchq\.qint8"):
        module(example(name, torchq.qint8))


def test_signed_zero_point_means_a_signed_dtype():
    module = quantized.Hardswish(0.1, -5)
    assert module(example("Hardswish", torchq.qint8)).q_zero_point() == -5
    with pytest.raises(ValueError, match=r"zero_point must lie in \[0, 255\]"):
        module(example("Hardswish", torchq.quint8))


@pytest.mark.parametrize("name", STATIC)
def test_static_module_refuses_what_is_not_quantized(name):
    module = filled(name)
    for x, given in ((example(name).dequantize(), "a float tensor"), ([1.0], "a list")):
        with pytest.raises(TypeError, match=f"{module._get_name()} takes a quantized tensor, got {given}"):
            module(x)


@pytest.mark.parametrize("name", STATIC)
def test_static_module_refuses_several_scales(name):
    x = example(name)
    scales = torch.full((x.shape[0],), 0.1)
    q = torchq.quantize_per_channel(x.dequantize(), scales, torch.zeros(x.shape[0]).long(), 0, torchq.qint8)
    with pytest.raises(ValueError, match="one scale, got one quantized per channel"):
        filled(name)(q)


@pytest.mark.parametrize("name", STATIC)
def test_static_module_refuses_32_bits(name):
    q = torchq.quantize_per_tensor(example(name).dequantize(), 0.1, 0, torchq.qint32)
    with pytest.raises((RuntimeError, ValueError), match="int8"):
        filled(name)(q)


@pytest.mark.parametrize("name", FLOAT)
def test_dynamic_module_refuses_what_is_no_float_tensor(name):
    module = filled(name)
    q = torchq.quantize_per_tensor(example(name), 0.1, 0, torchq.quint8)
    for x, given in (
        (q, "a quantized one: put a DeQuantStub before it"),
        (example(name).long(), "torch.int64"),
        ([1.0], "a list"),
    ):
        with pytest.raises(TypeError, match=re.escape(f"{module._get_name()} takes a float tensor, got {given}")):
            module(x)


@pytest.mark.parametrize("name", SHAPED)
def test_shape_that_does_not_fit_is_an_error_naming_both(name):
    module, x = filled(name), example(name)
    wrong = x[..., :-1] if "Linear" in name or "LayerNorm" in name else x[:, :-1]
    with pytest.raises(
        ValueError, match=rf"{module._get_name()} takes an input of shape \[.*, got .*{wrong.shape[-1]}"
    ):
        module(wrong)


@pytest.mark.parametrize("name", [name for name in SHAPED if "Conv" in name or "Batch" in name or "Instance" in name])
def test_image_without_a_batch_is_an_error(name):
    with pytest.raises(ValueError, match="takes an input of shape"):
        filled(name)(example(name)[0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("name", FLOAT)
def test_dynamic_module_computes_in_float32_and_keeps_the_dtype(name, dtype):
    module, x = filled(name), example(name).to(dtype)
    assert torch.equal(module(x), module(x.float()).to(dtype))


@pytest.mark.parametrize("name", [name for name in FLOAT if "Conv" in name])
@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=str)
def test_dynamic_convolution_refuses_what_has_no_range(name, value):
    x = example(name)
    x.view(-1)[3] = value
    with pytest.raises(ValueError, match="a range must be finite"):
        filled(name)(x)


@pytest.mark.parametrize("name", STATIC)
def test_meta_tensors_give_the_shape(name):
    module, x = filled(name), example(name)
    expected = module(x)
    meta = QTensor(x._data.to("meta"), x.q_scale(), x.q_zero_point())
    result = module.to("meta")(meta)
    assert (result.shape, result._data.stride()) == (expected.shape, expected._data.stride())
