"""Torch functions that compute on QTensors: that they stay integer, and give the reference's integers."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import torchq
from torchq import reference

SCALE, ZERO_POINT = 0.05, 100
DTYPES = {"quint8": (torchq.quint8, 100), "qint8": (torchq.qint8, -21)}
pytestmark = pytest.mark.usefixtures("one_thread")


def averaged(q: Tensor) -> Tensor:
    """The mean of the integers over the image, which knows no zero point."""
    return torch.round(q.sum((2, 3), keepdim=True, dtype=torch.float64) / q[0, 0].numel()).to(q.dtype)


def pooled(q: Tensor) -> Tensor:
    """The reference's average over the image."""
    zero_point = DTYPES[str(q.dtype).replace("torch.", "q")][1]
    return reference.adaptive_avg_pool(q, zero_point, (1, 1))


def quantized(value: float, dtype: torch.dtype) -> int:
    zero_point = DTYPES[str(dtype).replace("torch.", "q")][1]
    return int(reference.quantize_per_tensor(torch.tensor(value), SCALE, zero_point, dtype))


def zero_point_of(q: Tensor) -> int:
    return DTYPES[str(q.dtype).replace("torch.", "q")][1]


def clamped(q: Tensor, low: float | None, high: float | None) -> Tensor:
    info = torch.iinfo(q.dtype)
    lowest = info.min if low is None else quantized(low, q.dtype)
    highest = info.max if high is None else quantized(high, q.dtype)
    return reference.clamp(q, lowest, highest)


def volume(x: Tensor) -> Tensor:
    """The images with two dimensions for their height."""
    return x.reshape(2, 16, 2, 3, 5)


# Arithmetic: the call, and what the reference makes of the integers.
COMPUTES = {
    "F.relu": (F.relu, lambda q: reference.relu(q, zero_point_of(q))),
    "torch.relu": (torch.relu, lambda q: reference.relu(q, zero_point_of(q))),
    "relu": (lambda x: x.relu(), lambda q: reference.relu(q, zero_point_of(q))),
    "relu6": (F.relu6, lambda q: clamped(q, 0.0, 6.0)),
    "hardtanh": (F.hardtanh, lambda q: clamped(q, -1.0, 1.0)),
    "hardtanh-between": (lambda x: F.hardtanh(x, -2.0, 0.33), lambda q: clamped(q, -2.0, 0.33)),
    "clamp": (lambda x: x.clamp(-1.0, 2.025), lambda q: clamped(q, -1.0, 2.025)),
    "clamp-below": (lambda x: torch.clamp(x, max=0.5), lambda q: clamped(q, None, 0.5)),
    "clip": (lambda x: x.clip(min=-0.5), lambda q: clamped(q, -0.5, None)),
    "torch.clip": (lambda x: torch.clip(x, -1, 1), lambda q: clamped(q, -1.0, 1.0)),
    "max_pool2d": (
        lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True),
        lambda q: reference.max_pool(q, (3, 3), (2, 2), (1, 1), (1, 1), True),
    ),
    "max_pool2d-of-an-image": (
        lambda x: F.max_pool2d(x[0], (2, 1)),
        lambda q: reference.max_pool(q[:1], (2, 1), (2, 1), (0, 0), (1, 1), False)[0],
    ),
    "max_pool2d-one-size-each": (
        lambda x: F.max_pool2d(x, [3], (), [1]),
        lambda q: reference.max_pool(q, (3, 3), (3, 3), (1, 1), (1, 1), False),
    ),
    "torch.max_pool1d": (
        lambda x: torch.max_pool1d(x.flatten(2), 2),
        lambda q: reference.max_pool(q.flatten(2), (2,), (2,), (0,), (1,), False),
    ),
    "torch.max_pool3d": (
        lambda x: torch.max_pool3d(volume(x), 2),
        lambda q: reference.max_pool(volume(q), (2, 2, 2), (2, 2, 2), (0, 0, 0), (1, 1, 1), False),
    ),
    "torch.max_pool2d": (
        lambda x: torch.max_pool2d(x, 2),
        lambda q: reference.max_pool(q, (2, 2), (2, 2), (0, 0), (1, 1), False),
    ),
    "avg_pool2d": (
        lambda x: F.avg_pool2d(x, (3, 2), 2, (1, 0), False, False),
        lambda q: reference.avg_pool(q, zero_point_of(q), (3, 2), (2, 2), (1, 0), False, False, None),
    ),
    "adaptive_avg_pool2d": (
        lambda x: F.adaptive_avg_pool2d(x, (3, None)),
        lambda q: reference.adaptive_avg_pool(q, zero_point_of(q), (3, 5)),
    ),
    "adaptive_avg_pool2d-to-one": (lambda x: F.adaptive_avg_pool2d(x, 1), pooled),
    "max_pool1d": (
        lambda x: F.max_pool1d(x.flatten(2), 3, 2, 1, ceil_mode=True),
        lambda q: reference.max_pool(q.flatten(2), (3,), (2,), (1,), (1,), True),
    ),
    "max_pool1d-of-a-sequence": (
        lambda x: F.max_pool1d(x[0].flatten(1), [3], dilation=2),
        lambda q: reference.max_pool(q[:1].flatten(2), (3,), (3,), (0,), (2,), False)[0],
    ),
    "max_pool3d": (
        lambda x: F.max_pool3d(volume(x), (2, 3, 1), 2),
        lambda q: reference.max_pool(volume(q), (2, 3, 1), (2, 2, 2), (0, 0, 0), (1, 1, 1), False),
    ),
    "avg_pool1d": (
        lambda x: F.avg_pool1d(x.flatten(2), 3, 2, 1, False, False),
        lambda q: reference.avg_pool(q.flatten(2), zero_point_of(q), (3,), (2,), (1,), False, False, None),
    ),
    "avg_pool3d": (
        lambda x: F.avg_pool3d(volume(x), 2, divisor_override=3),
        lambda q: reference.avg_pool(volume(q), zero_point_of(q), (2, 2, 2), (2, 2, 2), (0, 0, 0), False, True, 3),
    ),
    "adaptive_avg_pool1d": (
        lambda x: F.adaptive_avg_pool1d(x.flatten(2), 7),
        lambda q: reference.adaptive_avg_pool(q.flatten(2), zero_point_of(q), (7,)),
    ),
    "adaptive_avg_pool3d": (
        lambda x: F.adaptive_avg_pool3d(volume(x), (2, None, 3)),
        lambda q: reference.adaptive_avg_pool(volume(q), zero_point_of(q), (2, 3, 3)),
    ),
    "mean": (lambda x: x.mean((2, 3), keepdim=True), averaged),
    "torch.mean": (lambda x: torch.mean(x, (-1, -2)), lambda q: averaged(q).flatten(1)),
    "pad": (lambda x: F.pad(x, (1, 2, 0, 3)), lambda q: F.pad(q, (1, 2, 0, 3), value=zero_point_of(q))),
    "interpolate": (
        lambda x: F.interpolate(x, scale_factor=2),
        lambda q: q.repeat_interleave(2, 2).repeat_interleave(2, 3),
    ),
    "interpolate-bilinear": (
        lambda x: F.interpolate(x, size=(9, 8), mode="bilinear"),
        lambda q: reference.upsample_bilinear(q, (9, 8), False, ()),
    ),
    "interpolate-bilinear-corners": (
        lambda x: F.interpolate(x, scale_factor=(1.5, 2), mode="bilinear", align_corners=True),
        lambda q: reference.upsample_bilinear(q, (9, 10), True, (1.5, 2.0)),
    ),
    "interpolate-bilinear-by-factors": (
        lambda x: F.interpolate(x, scale_factor=1.7, mode="bilinear"),
        lambda q: reference.upsample_bilinear(q, (10, 8), False, (1.7, 1.7)),
    ),
    "interpolate-bilinear-by-sizes-of-factors": (
        lambda x: F.interpolate(x, scale_factor=1.7, mode="bilinear", recompute_scale_factor=True),
        lambda q: reference.upsample_bilinear(q, (10, 8), False, ()),
    ),
    "interpolate-exact": (
        lambda x: F.interpolate(x, size=(12, 10), mode="nearest-exact"),
        lambda q: q.repeat_interleave(2, 2).repeat_interleave(2, 3),
    ),
}


def integers(name: str) -> Tensor:
    info = torch.iinfo(getattr(torch, name[1:]))
    values = torch.arange(2 * 16 * 6 * 5).reshape(2, 16, 6, 5) * 37 % 256 + info.min
    return values.to(getattr(torch, name[1:]))


@pytest.fixture(params=DTYPES)
def ints(request: pytest.FixtureRequest) -> Tensor:
    return integers(request.param)


def wrapped(q: Tensor) -> torchq.QTensor:
    return torchq.QTensor(q, SCALE, zero_point_of(q))


@pytest.mark.parametrize(("function", "expected"), COMPUTES.values(), ids=COMPUTES)
@pytest.mark.parametrize("channels_last", [False, True], ids=["contiguous", "channels-last"])
def test_computing_gives_the_references_integers(function, expected, channels_last, ints):
    ints = ints.contiguous(memory_format=torch.channels_last) if channels_last else ints
    with torchq.no_float_fallback():
        result = function(wrapped(ints))
    assert (result.q_scale(), result.q_zero_point()) == (SCALE, zero_point_of(ints))
    assert torch.equal(result.int_repr(), expected(ints))
