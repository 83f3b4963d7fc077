"""Comparing results of QTensors with those of torch's own quantized tensors."""

import torch

import torchq

HAS_TORCHS = hasattr(torch, "quint8")


def assert_is_torchs(mine, theirs):
    """Asserts that a result is the other's: integers, scales and zero points if it is quantized, or equal."""
    if isinstance(theirs, (tuple, list)):
        assert len(mine) == len(theirs)
        for part, of_theirs in zip(mine, theirs, strict=True):
            assert_is_torchs(part, of_theirs)
    elif not isinstance(theirs, torch.Tensor):
        assert mine == theirs
    elif not theirs.is_quantized:
        assert type(mine) is torch.Tensor
        assert mine.dtype == theirs.dtype
        assert torch.equal(mine, theirs)
    else:
        assert isinstance(mine, torchq.QTensor)
        assert mine.shape == theirs.shape
        assert qparams(mine) == qparams(theirs)
        assert torch.equal(mine.int_repr(), theirs.int_repr())


def qparams(q):
    """Dtype, scheme, scale, zero point and axis, in words and numbers."""
    dtype = q.qdtype if isinstance(q, torchq.QTensor) else q.dtype
    scheme = str(q.qscheme()).rpartition(".")[2]
    if scheme == "per_tensor_affine":
        return str(dtype).rpartition(".")[2], scheme, q.q_scale(), q.q_zero_point()
    scales, zero_points = q.q_per_channel_scales(), q.q_per_channel_zero_points()
    kept = [(str(t.dtype), t.tolist()) for t in (scales, zero_points)]
    return str(dtype).rpartition(".")[2], scheme, *kept, q.q_per_channel_axis()
