"""Torch functions on QTensors: which stay integer, and that their integers are right."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import torchq
from torchq import qtensor, reference
from torchq.qtensor_functions import FUNCTIONS

SCALE, ZERO_POINT = 0.05, 100
DTYPES = {"quint8": (torchq.quint8, 100), "qint8": (torchq.qint8, -21)}
pytestmark = pytest.mark.usefixtures("one_thread")

# Moving values about: the same call on the integers says what must come out.
MOVES = {
    "view": lambda x: x.view(4, -1),
    "view_as": lambda x: x.view_as(x.reshape(4, -1)),
    "reshape": lambda x: x.reshape(-1),
    "torch.reshape": lambda x: torch.reshape(x, (8, -1)),
    "torch.reshape-by-name": lambda x: torch.reshape(input=x, shape=(8, -1)),
    "flatten": lambda x: x.flatten(1),
    "torch.flatten": lambda x: torch.flatten(x, 1),
    "torch.flatten-by-name": lambda x: torch.flatten(input=x, start_dim=1),
    "unflatten": lambda x: x.unflatten(1, (2, 8)),
    "permute": lambda x: x.permute(0, 2, 3, 1),
    "torch.permute": lambda x: torch.permute(x, (3, 2, 1, 0)),
    "transpose": lambda x: x.transpose(1, 3),
    "torch.transpose": lambda x: torch.transpose(x, 0, 1),
    "t": lambda x: x[0, 0].t(),
    "torch.t": lambda x: torch.t(x[0, 0]),
    "T": lambda x: x[0, 0].T,
    "mT": lambda x: x.mT,
    "movedim": lambda x: x.movedim(1, -1),
    "torch.movedim": lambda x: torch.movedim(x, 0, 2),
    "squeeze": lambda x: x[:1].squeeze(0),
    "torch.squeeze": lambda x: torch.squeeze(x[:, :1]),
    "unsqueeze": lambda x: x.unsqueeze(2),
    "torch.unsqueeze": lambda x: torch.unsqueeze(x, 0),
    "expand": lambda x: x[:, :1].expand(2, 3, 6, 5),
    "expand_as": lambda x: x[:, :1].expand_as(x),
    "repeat": lambda x: x.repeat(1, 2, 1, 1),
    "item": lambda x: x[1, 2, 3, 4],
    "slice": lambda x: x[..., 1:4:2],
    "none": lambda x: x[:, None, 0],
    "mask": lambda x: x[torch.arange(2) > 0],
    "index-tensor": lambda x: x[:, torch.tensor([3, 0, 3])],
    "iterate": lambda x: list(x)[1],
    "select": lambda x: x.select(1, 3),
    "torch.select": lambda x: torch.select(x, 1, -1),
    "narrow": lambda x: x.narrow(1, 2, 5),
    "torch.narrow": lambda x: torch.narrow(x, 0, 1, 1),
    "index_select": lambda x: x.index_select(1, torch.tensor([5, 2])),
    "torch.index_select": lambda x: torch.index_select(x, 1, torch.tensor([5, 2])),
    "chunk": lambda x: x.chunk(3, 1)[2],
    "torch.chunk": lambda x: torch.chunk(x, 2)[1],
    "split": lambda x: x.split([4, 12], 1)[1],
    "torch.split": lambda x: torch.split(x, 5, 1)[3],
    "unbind": lambda x: x.unbind(1)[7],
    "torch.unbind": lambda x: torch.unbind(x)[1],
    "flip": lambda x: x.flip(1, 2),
    "torch.flip": lambda x: torch.flip(x, (3,)),
    "roll": lambda x: x.roll(2, 1),
    "torch.roll": lambda x: torch.roll(x, 1, 3),
    "channel_shuffle": lambda x: torch.channel_shuffle(x, 4),
    "pixel_shuffle": lambda x: F.pixel_shuffle(x, 2),
    "pixel_unshuffle": lambda x: F.pixel_unshuffle(x[:, :, :4, :4], 2),
    "contiguous": lambda x: x.mT.contiguous(),
    "clone": lambda x: x.clone(),
    "torch.clone": torch.clone,
    "torch.clone-by-name": lambda x: torch.clone(input=x),
    "detach": lambda x: x.detach(),
    "torch.detach": torch.detach,
    "data": lambda x: x.data,
    "cpu": lambda x: x.cpu(),
    "to": lambda x: x.to("cpu"),
    "cat": lambda x: torch.cat([x, x[:, :3]], 1),
    "concat": lambda x: torch.concat([x, x], -1),
    "concatenate": lambda x: torch.concatenate((x, x)),
    "stack": lambda x: torch.stack([x, x], 2),
    "dropout": lambda x: F.dropout(x, 0.5, training=False),
    "dropout1d": lambda x: F.dropout1d(x[0], 0.5, training=False),
    "dropout2d": lambda x: F.dropout2d(x, 0.5, training=False),
    "dropout3d": lambda x: F.dropout3d(x, 0.5, training=False),
    "alpha_dropout": lambda x: F.alpha_dropout(x, 0.5, training=False),
    "feature_alpha_dropout": lambda x: F.feature_alpha_dropout(x, 0.5, training=False),
}


def pooled(q: Tensor) -> Tensor:
    """The reference's mean over the image."""
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
    "mean": (lambda x: x.mean((2, 3), keepdim=True), pooled),
    "torch.mean": (lambda x: torch.mean(x, (-1, -2)), lambda q: pooled(q).flatten(1)),
    "pad": (lambda x: F.pad(x, (1, 2, 0, 3)), lambda q: F.pad(q, (1, 2, 0, 3), value=zero_point_of(q))),
    "interpolate": (
        lambda x: F.interpolate(x, scale_factor=2),
        lambda q: q.repeat_interleave(2, 2).repeat_interleave(2, 3),
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


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_moving_keeps_integers_and_parameters(move, ints):
    with torchq.no_float_fallback():
        result = move(wrapped(ints))
    assert type(result) is torchq.QTensor
    assert (result.q_scale(), result.q_zero_point()) == (SCALE, zero_point_of(ints))
    assert torch.equal(result.int_repr(), move(ints))
    assert result.shape == result.int_repr().shape


@pytest.mark.parametrize(("function", "expected"), COMPUTES.values(), ids=COMPUTES)
@pytest.mark.parametrize("channels_last", [False, True], ids=["contiguous", "channels-last"])
def test_computing_gives_the_references_integers(function, expected, channels_last, ints):
    ints = ints.contiguous(memory_format=torch.channels_last) if channels_last else ints
    with torchq.no_float_fallback():
        result = function(wrapped(ints))
    assert (result.q_scale(), result.q_zero_point()) == (SCALE, zero_point_of(ints))
    assert torch.equal(result.int_repr(), expected(ints))


def asks(function) -> bool:
    """Whether a function of the table asks about a tensor: tests/test_qtensor_attributes.py is for those."""
    if getattr(function, "__name__", "") == "__get__":
        return function not in (Tensor.T.__get__, Tensor.mT.__get__, Tensor.data.__get__)
    return function.__name__.startswith(("is_", "_is_")) or function in ASKING


ASKING = (
    *(Tensor.size, Tensor.stride, Tensor.dim, Tensor.ndimension, Tensor.numel, Tensor.nelement, Tensor.__len__),
    *(
        Tensor.__hash__,
        Tensor.untyped_storage,
        Tensor.element_size,
        Tensor.storage_offset,
        Tensor.get_device,
        torch.numel,
    ),
)
NEEDS_A_GPU = {Tensor.cuda, Tensor.pin_memory}
TESTED_ELSEWHERE = {
    # in test_qtensor_copies.py, test_qtensor_inplace.py and below
    *(Tensor.float, Tensor.equal, torch.equal, Tensor.__setitem__, torch.relu_, Tensor.relu_, F.relu_),
    # and in test_qtensor_errors.py
    *(Tensor.copy_, Tensor.requires_grad_, Tensor.data_ptr),
    *([torch.dequantize] if hasattr(torch, "dequantize") else []),
    # nn.functional's max_pool2d asks torch.max_pool2d
    F.max_pool2d,
}


def test_every_function_of_the_table_is_tested(monkeypatch):
    asked = set()

    class Recorder(dict):
        def get(self, function, default=None):
            asked.add(function)
            return super().get(function, default)

    monkeypatch.setattr(qtensor, "FUNCTIONS", Recorder(FUNCTIONS))
    for call in (*MOVES.values(), *(function for function, _ in COMPUTES.values())):
        call(wrapped(integers("quint8")))
    listed = {function for function in FUNCTIONS if not asks(function)}
    assert listed - asked - NEEDS_A_GPU - TESTED_ELSEWHERE == set()
