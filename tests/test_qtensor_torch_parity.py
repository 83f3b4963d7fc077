"""QTensor functions give the integers of torch's own quantized tensors, as long as torch has them."""

import pytest
import torch
import torch.nn.functional as F

import torchq

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(not hasattr(torch, "quint8"), reason="this torch has no quantized tensors to compare with"),
]
SCALE, ZERO_POINTS = 0.05, {torch.uint8: 101, torch.int8: -21}

# Torch rounds the last channels of a pool by another formula than the rest: whole vectors of channels here.
CALLS = {
    "relu": torch.relu,
    "F.relu": F.relu,
    "relu6": F.relu6,
    "hardtanh": lambda q: F.hardtanh(q, -1.03, 0.77),
    "clamp": lambda q: torch.clamp(q, -0.515, 1.0),
    "clamp-at-ties": lambda q: torch.clamp(q, -0.525, 1.025),
    "max_pool2d": lambda q: F.max_pool2d(q, 3, 2, 1),
    "quantized_max_pool2d": lambda q: torch.quantized_max_pool2d(q, [3, 3], [2, 2], [1, 1]),
    "max_pool2d-ceil": lambda q: F.max_pool2d(q, 2, 3, 0, ceil_mode=True),
    "max_pool2d-dilated": lambda q: F.max_pool2d(q, 2, 1, 0, 3),
    "avg_pool2d": lambda q: F.avg_pool2d(q, 3, 2, 1),
    "avg_pool2d-without-padding": lambda q: F.avg_pool2d(q, (2, 3), 2, 1, count_include_pad=False),
    "avg_pool2d-ceil": lambda q: F.avg_pool2d(q, 2, 2, 0, ceil_mode=True),
    "avg_pool2d-divisor": lambda q: F.avg_pool2d(q, 2, divisor_override=3),
    "adaptive_avg_pool2d": lambda q: F.adaptive_avg_pool2d(q, (3, 4)),
    "adaptive_avg_pool2d-to-one": lambda q: F.adaptive_avg_pool2d(q, 1),
    "max_pool1d": lambda q: F.max_pool1d(q.flatten(2), 3, 2, 1),
    "quantized_max_pool1d": lambda q: torch.quantized_max_pool1d(q.flatten(2), [3], [2], [1]),
    "max_pool3d": lambda q: F.max_pool3d(q.reshape(2, 32, 2, 3, 7), 2, 1),
    "quantized_max_pool3d": lambda q: torch.quantized_max_pool3d(q.reshape(2, 32, 2, 3, 7), [2, 2, 2], [1, 1, 1]),
    "avg_pool1d": lambda q: F.avg_pool1d(q.flatten(2), 3, 2, 1),
    "avg_pool3d": lambda q: F.avg_pool3d(q.reshape(2, 32, 2, 3, 7), 2, 1, 1),
    "adaptive_avg_pool1d": lambda q: F.adaptive_avg_pool1d(q.flatten(2), 5),
    "adaptive_avg_pool3d": lambda q: F.adaptive_avg_pool3d(q.reshape(2, 32, 2, 3, 7), (1, 2, 3)),
    "interpolate": lambda q: F.interpolate(q, scale_factor=2, mode="nearest"),
    "interpolate-bilinear": lambda q: F.interpolate(q, scale_factor=2, mode="bilinear"),
    "interpolate-exact": lambda q: F.interpolate(q, scale_factor=2, mode="nearest-exact"),
    "interpolate-size": lambda q: F.interpolate(q, size=(5, 11), mode="nearest"),
    "flatten": lambda q: torch.flatten(q, 1),
    "permute": lambda q: q.permute(0, 2, 3, 1),
    "transpose": lambda q: q.transpose(1, 2),
    "reshape": lambda q: q.reshape(4, -1),
    "squeeze": lambda q: q[:, :1].squeeze(1),
    "unsqueeze": lambda q: q.unsqueeze(0),
    "select": lambda q: q.select(1, 5),
    "slice": lambda q: q[:, 3:20:2],
    "index": lambda q: q[1, 2],
    "chunk": lambda q: q.chunk(2, 1)[1],
    "split": lambda q: q.split(20, 1)[1],
    "unbind": lambda q: q.unbind(1)[3],
    "flip": lambda q: q.flip(2),
    "expand": lambda q: q[:, :1].expand(2, 5, 6, 7),
    "cat": lambda q: torch.cat([q, q], 1),
    "dropout": lambda q: F.dropout(q, 0.3, training=False),
    "clone": torch.clone,
    "contiguous": lambda q: q.contiguous(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("dtype", ZERO_POINTS, ids=["quint8", "qint8"])
def test_gives_torchs_integers(call, dtype):
    info = torch.iinfo(dtype)
    values = torch.randint(info.min, info.max + 1, (2, 32, 6, 7), generator=torch.Generator().manual_seed(0)).to(dtype)
    values = values.contiguous(memory_format=torch.channels_last)
    theirs = call(torch._make_per_tensor_quantized_tensor(values, SCALE, ZERO_POINTS[dtype]))
    with torchq.no_float_fallback():
        mine = call(torchq.QTensor(values, SCALE, ZERO_POINTS[dtype]))
    assert (mine.q_scale(), mine.q_zero_point()) == (theirs.q_scale(), theirs.q_zero_point())
    assert torch.equal(mine.int_repr(), theirs.int_repr())


@pytest.mark.parametrize("dtype", ZERO_POINTS, ids=["quint8", "qint8"])
def test_limits_at_ties_are_torchs(dtype):
    """Torch quantizes a limit with another rounding than a tensor."""
    info, source = torch.iinfo(dtype), torch.Generator().manual_seed(0)
    values = torch.arange(info.min, info.max + 1).to(dtype)
    draws = torch.rand(500, 3, generator=source, dtype=torch.float64).tolist()
    for scale, zero_point, step in (
        (0.001 + 0.2 * a, info.min + int(256 * b), int(600 * c) - 299.5) for a, b, c in draws
    ):
        limit = step * scale
        theirs = torch.clamp(torch._make_per_tensor_quantized_tensor(values, scale, zero_point), max=limit)
        mine = torch.clamp(torchq.QTensor(values, scale, zero_point), max=limit)
        assert torch.equal(mine.int_repr(), theirs.int_repr())
