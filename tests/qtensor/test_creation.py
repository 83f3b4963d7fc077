"""QTensors made in torch's other ways: of lists, of integers, with qparams of their own range, and without values."""

import math

import pytest
import torch

import torchq
from qtensor.compare import HAS_TORCHS, assert_is_torchs, qparams
from torchq.qtensor_functions.creating import NEW

pytestmark = pytest.mark.usefixtures("one_thread")
needs_torchs = pytest.mark.skipif(not HAS_TORCHS, reason="this torch has no quantized tensors to compare with")
X = torch.linspace(-3, 5, 24).reshape(2, 3, 4)
SCALES, ZERO_POINTS = torch.tensor([0.1, 0.02]), torch.tensor([10, 3])


@needs_torchs
@pytest.mark.parametrize("by_name", [False, True], ids=["by-position", "by-name"])
def test_several_tensors_are_quantized_as_torch_does(by_name):
    results = []
    for library in (torch, torchq):
        given = ([X, X[0]], SCALES, ZERO_POINTS)
        if by_name:
            given = dict(zip(("tensors", "scales", "zero_points"), given, strict=True))
            results.append(library.quantize_per_tensor(**given, dtype=library.quint8))
        else:
            results.append(library.quantize_per_tensor(*given, library.quint8))
    assert_is_torchs(results[1], results[0])
    assert type(results[1]) is tuple


def test_several_tensors_take_as_many_parameters():
    with pytest.raises(ValueError, match="3 tensors take as many scales and zero points, got 2 and 2"):
        torchq.quantize_per_tensor([X, X, X], SCALES, ZERO_POINTS, torchq.quint8)
    with pytest.raises(ValueError, match=r"1 tensors take as many scales and zero points, got 0\.1 and 2"):
        torchq.quantize_per_tensor([X], 0.1, ZERO_POINTS, torchq.quint8)
    with pytest.raises(TypeError, match="takes input or tensors, got both"):
        torchq.quantize_per_tensor(X, 0.1, 0, torchq.quint8, tensors=[X])


def test_a_qtensor_is_not_quantized_again():
    q = torchq.quantize_per_tensor(X, 0.1, 10, torchq.quint8)
    for quantize in (
        lambda: torchq.quantize_per_tensor(q, 0.1, 10, torchq.quint8),
        lambda: torchq.quantize_per_channel(q, SCALES, ZERO_POINTS, 0, torchq.quint8),
        lambda: torchq.quantize_per_tensor_dynamic(q, torchq.quint8, False),
    ):
        with pytest.raises(TypeError, match="input is a QTensor already"):
            quantize()
    with pytest.raises(TypeError, match=r"input must be a plain tensor of uint8, int8 or int32, got QTensor"):
        torchq._make_per_tensor_quantized_tensor(q, 0.1, 10)


TORCHS_OWN = {
    "quantize_per_tensor": (0.1, 10, torch.uint8),
    "quantize_per_channel": (SCALES, ZERO_POINTS, 0, torch.uint8),
    "quantize_per_tensor_dynamic": (torch.uint8, False),
    "_make_per_tensor_quantized_tensor": (0.1, 10),
    "_make_per_channel_quantized_tensor": (SCALES, ZERO_POINTS, 0),
    "quantized_rnn_relu_cell": (*[SCALES] * 9, 0.1, 0.1, 1, 1),
}


@needs_torchs
@pytest.mark.parametrize("name", TORCHS_OWN)
def test_functions_for_torchs_own_tensors_refuse_it(name):
    q = torchq.quantize_per_tensor(X, 0.1, 10, torchq.quint8)
    with pytest.raises(TypeError, match=rf"torch\.{name} (makes|takes) tensors of torch's own quantized dtypes"):
        getattr(torch, name)(q, *TORCHS_OWN[name])


def test_input_is_a_tensor():
    with pytest.raises(TypeError, match=r"input must be a tensor, got 1\.0"):
        torchq.quantize_per_tensor(1.0, 0.1, 10, torchq.quint8)


@needs_torchs
@pytest.mark.parametrize("reduce_range", [False, True])
@pytest.mark.parametrize("dtype", ["quint8", "qint8"])
def test_dynamic_parameters_are_torchs(dtype, reduce_range):
    source = torch.Generator().manual_seed(0)
    for magnitude in (1.0, 1e-3, 1e-4, 1e-20, 1e-45, 1e30):
        for x in (magnitude * torch.randn(50, generator=source), magnitude * torch.rand(50, generator=source)):
            theirs = torch.quantize_per_tensor_dynamic(x, getattr(torch, dtype), reduce_range)
            mine = torchq.quantize_per_tensor_dynamic(x, getattr(torchq, dtype), reduce_range)
            assert_is_torchs(mine, theirs)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.ones(0), r"a range needs at least one value, got shape \(0,\)"),
        (torch.tensor([1.0, math.nan]), r"a range must be finite, got \[nan, nan\]"),
        (torch.tensor([1.0, math.inf]), r"a range must be finite, got \[1\.0, inf\]"),
    ],
    ids=["empty", "nan", "infinity"],
)
def test_a_range_is_finite_and_of_something(x, message):
    with pytest.raises(ValueError, match=message):
        torchq.quantize_per_tensor_dynamic(x, torchq.quint8, False)
    with pytest.raises(ValueError, match=message):
        torchq._choose_qparams_per_tensor(x)


def test_dynamic_dtypes_have_8_bits():
    with pytest.raises(TypeError, match=r"dtype must be torchq\.quint8 or torchq\.qint8, got torchq\.qint32"):
        torchq.quantize_per_tensor_dynamic(X, torchq.qint32, False)


@needs_torchs
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int32], ids=str)
def test_integers_become_a_qtensor_as_in_torch(dtype):
    ints = torch.arange(24).reshape(2, 3, 4).to(dtype)
    for make, given in (
        ("_make_per_tensor_quantized_tensor", (0.1, 10)),
        ("_make_per_channel_quantized_tensor", (SCALES, ZERO_POINTS, 0)),
    ):
        mine = getattr(torchq, make)(ints, *given)
        assert_is_torchs(mine, getattr(torch, make)(ints, *given))
        assert mine._data.data_ptr() != ints.data_ptr()


def test_integers_are_of_a_dtype_and_parameters_that_fit():
    ints = torch.arange(6, dtype=torch.uint8).reshape(2, 3)
    with pytest.raises(TypeError, match=r"expected torch\.uint8, torch\.int8 or torch\.int32, got torch\.int64"):
        torchq._make_per_tensor_quantized_tensor(ints.long(), 0.1, 10)
    with pytest.raises(ValueError, match="zero_point must lie in"):
        torchq._make_per_tensor_quantized_tensor(ints, 0.1, 256)
    with pytest.raises(ValueError, match=r"scales and zero_points must have shape \(3,\)"):
        torchq._make_per_channel_quantized_tensor(ints, SCALES, ZERO_POINTS, 1)
    with pytest.raises(IndexError, match="axis must lie in"):
        torchq._make_per_channel_quantized_tensor(ints, SCALES, ZERO_POINTS, 2)


@needs_torchs
@pytest.mark.parametrize("dtype", ["quint8", "qint8", "qint32"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels-last"])
def test_empty_ones_have_the_parameters_that_torchs_have(dtype, layout):
    results = []
    for library in (torch, torchq):
        options = {"dtype": getattr(library, dtype), "memory_format": layout}
        affine = library._empty_affine_quantized([2, 3, 4, 5], scale=0.1, zero_point=7, **options)
        channels = library._empty_per_channel_affine_quantized(
            [2, 3, 4, 5], scales=SCALES, zero_points=ZERO_POINTS, axis=0, **options
        )
        made = [affine, channels, *(library.empty_quantized([2, 8], q) for q in (affine, channels))]
        results.append([(qparams(q), q.shape, q.stride()) for q in made])
        results[-1].append([qparams(torch.empty_like(q)) for q in (affine, channels)])
    assert results[1] == results[0]


def test_empty_ones_are_refused_what_does_not_fit():
    q = torchq.quantize_per_channel(X, SCALES, ZERO_POINTS, 0, torchq.quint8)
    with pytest.raises(ValueError, match=r"size must have 2 channels along axis 0, got \(3, 4\)"):
        torchq.empty_quantized([3, 4], q)
    with pytest.raises(TypeError, match="qtensor must be a QTensor, got Tensor"):
        torchq.empty_quantized([3, 4], X)
    with pytest.raises(ValueError, match="scale must be finite"):
        torchq._empty_affine_quantized([2], scale=0.0, zero_point=0, dtype=torchq.quint8)
    with pytest.raises(TypeError, match="expected one of"):
        torchq._empty_affine_quantized([2], scale=0.1, zero_point=0, dtype=torch.float32)


@pytest.mark.skipif(not hasattr(torch, "empty_quantized"), reason="this torch has no empty_quantized")
def test_torchs_empty_quantized_takes_qtensors():
    q = torchq.quantize_per_tensor(X, 0.1, 10, torchq.qint8)
    made = torch.empty_quantized([7], q)
    assert (made.shape, made.qdtype, made.q_scale(), made.q_zero_point()) == ((7,), torchq.qint8, 0.1, 10)


def test_empty_like_follows_device_and_layout():
    q = torchq.quantize_per_tensor(torch.ones(2, 3, 4, 5), 0.1, 10, torchq.qint8)
    assert torch.empty_like(q, device="meta").device.type == "meta"
    assert torch.empty_like(q, memory_format=torch.channels_last).stride() == (60, 1, 15, 3)
    assert torch.zeros_like(q, dtype=torch.float32).int_repr().eq(10).all()
    assert torch.equal(torch.ones_like(q, dtype=torch.float64), torch.ones(2, 3, 4, 5, dtype=torch.float64))


SIZED = {"new_full": ((2,), 3.0), "new_empty_strided": ((2,), (1,)), "new_tensor": ([1.0, 2.0],)}


@pytest.mark.parametrize("function", NEW, ids=lambda function: function.__name__)
def test_new_tensors_are_plain_ones_of_the_dtype_that_it_reports(function):
    q = torchq.quantize_per_tensor(X, 0.1, 10, torchq.quint8)
    with torchq.no_float_fallback():
        made = function(q, *SIZED.get(function.__name__, ((2,),)))
    assert (type(made), made.shape, made.dtype) == (torch.Tensor, (2,), torch.float32)


def test_new_is_refused():
    q = torchq.quantize_per_tensor(X, 0.1, 10, torchq.quint8)
    with pytest.raises(TypeError, match=r"Tensor\.new makes no QTensor"):
        q.new(2)
