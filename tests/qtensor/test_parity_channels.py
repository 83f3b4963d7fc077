"""Per channel, integers, scales, zero points and axis are those of torch's own quantized tensors."""

import pytest
import torch

import torchq
from qtensor.calls import changed, set_to
from qtensor.compare import HAS_TORCHS, assert_is_torchs

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(not HAS_TORCHS, reason="this torch has no quantized tensors to compare with"),
]
X = torch.linspace(-3, 12, 360).reshape(4, 6, 5, 3)

# Of a tensor of shape (4, 6, 5, 3), per channel along the first or the second dimension.
CALLS = {
    "select-first": lambda q: q.select(0, 3),
    "select-second": lambda q: q.select(1, 2),
    "select-last": lambda q: q.select(3, 1),
    "index": lambda q: q[2],
    "index-second": lambda q: q[:, 4],
    "index-both": lambda q: q[2, 4],
    "item": lambda q: q[3, 4, 2, 1].item(),
    "slice-first": lambda q: q[1:3],
    "slice-second": lambda q: q[:, 1:6:2],
    "slice-last": lambda q: q[..., ::2],
    "slice-to-one": lambda q: q[1:2, 3:4],
    "none": lambda q: q[None],
    "none-inside": lambda q: q[:, None],
    "narrow": lambda q: q.narrow(0, 1, 2),
    "chunk": lambda q: q.chunk(2, 1),
    "split": lambda q: q.split(3),
    "split-second": lambda q: q.split([1, 5], 1),
    "tensor_split": lambda q: q.tensor_split(2, 1),
    "unbind": lambda q: q.unbind(),
    "unbind-second": lambda q: q.unbind(1),
    "unsqueeze": lambda q: q.unsqueeze(0),
    "unsqueeze-inside": lambda q: q.unsqueeze(1),
    "unsqueeze-last": lambda q: q.unsqueeze(4),
    "squeeze": lambda q: q[..., :1].squeeze(3),
    "flatten-behind": lambda q: q.flatten(2),
    "view-behind": lambda q: q.view(4, 6, 15),
    "reshape-behind": lambda q: q.reshape(4, 6, 3, 5),
    "unflatten-behind": lambda q: q.unflatten(3, (3, 1)),
    "clone": torch.clone,
    "detach": lambda q: q.detach(),
    "contiguous": lambda q: q.contiguous(),
    "cpu": lambda q: q.cpu(),
    "copy_": changed(lambda q: q.copy_(X.flip(0))),
    "copy_-quantized": changed(lambda q: q.copy_(q.clone().fill_(1.5))),
    "fill_": changed(lambda q: q.fill_(1.3)),
    "set-row": set_to(0, 1.5),
    "set-row-to-a-tensor": set_to(0, X[1]),
    "ones_like": torch.ones_like,
    "full_like": lambda q: torch.full_like(q, 0.55),
    "equal": lambda q: torch.equal(q, q.clone()),
    "equal-to-others": lambda q: torch.equal(q, q.clone().fill_(1.0)),
    "==": lambda q: q == 1.0,
    "dequantize": lambda q: torch.dequantize(q),
    "int_repr": lambda q: torch.int_repr(q),
    "q_per_channel_scales": lambda q: torch.q_per_channel_scales(q),
    "q_per_channel_zero_points": lambda q: torch.q_per_channel_zero_points(q),
    "q_per_channel_axis": lambda q: torch.q_per_channel_axis(q),
}
TORCH_LOSES_AXES_UP_TO = {"select-second": 1, "index-second": 1, "unbind-second": 1, "select-last": 2}


@pytest.mark.parametrize("dtype", ["quint8", "qint8", "qint32"])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("name", CALLS)
def test_is_torchs(name, axis, dtype):
    if axis < TORCH_LOSES_AXES_UP_TO.get(name, 0):
        pytest.skip("torch takes one from the axis, whether the selected dimension is before it or behind it")
    call = CALLS[name]
    size = X.shape[axis]
    qparams = (torch.linspace(0.05, 0.2, size), torch.arange(size) * 3, axis)
    theirs = call(torch.quantize_per_channel(X, *qparams, getattr(torch, dtype)))
    with torchq.no_float_fallback():
        mine = call(torchq.quantize_per_channel(X, *qparams, getattr(torchq, dtype)))
    assert_is_torchs(mine, theirs)


def test_copying_other_parameters_takes_them_over():
    results = []
    for library in (torch, torchq):
        q, other = (
            library.quantize_per_channel(X, scales, torch.arange(4), 0, library.qint8)
            for scales in (torch.full((4,), 0.1), torch.linspace(0.1, 0.3, 4))
        )
        results.append(q.copy_(other))
    assert_is_torchs(results[1], results[0])
