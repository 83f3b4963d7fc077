"""Calls on quantized tensors whose integers, scales and zero points have to be those of torch's own.

Of a tensor of shape (2, 16, 6, 5). Those that move values are in moves.py.
"""

import torch
import torch.nn.functional as F

from qtensor.compare import HAS_TORCHS

MASK = torch.arange(5) % 3 == 1


def changed(change):
    """The tensor after a change in place, of a copy; whether the change returns it is a test of its own."""

    def call(q):
        q = q.clone()
        change(q)
        return q

    return call


def set_to(index, value):
    return changed(lambda q: q.__setitem__(index, value))


ORDERING = {
    "max": lambda q: q.max(),
    "torch.max": torch.max,
    "max-dim": lambda q: q.max(1),
    "torch.max-dim": lambda q: torch.max(q, -1, keepdim=True),
    "min": lambda q: q.min(),
    "torch.min": torch.min,
    "min-dim": lambda q: q.min(0, True),
    "torch.min-dim": lambda q: torch.min(q, dim=2),
    "sort": lambda q: q.sort(),
    "sort-descending": lambda q: q.sort(1, True),
    "torch.sort": lambda q: torch.sort(q, dim=2, stable=True),
    "argsort": lambda q: q.argsort(1),
    "torch.argsort": lambda q: torch.argsort(q, dim=0, descending=True, stable=True),
    "msort": lambda q: q.msort(),
    "torch.msort": torch.msort,
    "topk": lambda q: q.topk(3)[0],
    "torch.topk": lambda q: torch.topk(q, 2, 1, largest=False)[0],
}

# Over the innermost dimensions of contiguous memory, where torch adds integers; test_reducing.py has the others.
REDUCING = {
    "mean": lambda q: q.contiguous().mean(),
    "torch.mean": lambda q: torch.mean(q.contiguous()),
    "mean-dim": lambda q: q.contiguous().mean(-1),
    "mean-dims": lambda q: q.contiguous().mean((2, 3), keepdim=True),
    "torch.mean-dims": lambda q: torch.mean(q.contiguous(), (-1, -2, -3)),
    "mean-no-dims": lambda q: q.contiguous().mean(()),
    "std": lambda q: q.contiguous().std(),
    "torch.std": lambda q: torch.std(q.contiguous(), False),
    "std-dim": lambda q: q.contiguous().std(-1),
    "std-dims": lambda q: q.contiguous().std((2, 3), True, True),
    "torch.std-dims": lambda q: torch.std(q.contiguous(), (-1, -2), correction=0),
}

WRITING = {
    "copy_": changed(lambda q: q.copy_(torch.linspace(-3, 5, 960).reshape(2, 16, 6, 5))),
    "copy_-quantized": changed(lambda q: q.copy_(q.flip(0))),
    "fill_": changed(lambda q: q.fill_(1.3)),
    "torch.fill_": changed(lambda q: torch.fill_(q, 1.3)),
    "fill_-by-a-tensor": changed(lambda q: q.fill_(torch.tensor(-0.7))),
    "fill_-saturating": changed(lambda q: q.fill_(1e9)),
    "torch.fill": lambda q: torch.fill(q, 0.3),
    "set-row": set_to(0, 0.4),
    "set-row-to-a-tensor": set_to((0, 1), torch.full((6, 5), 2.1)),
    "set-mask": set_to(torch.arange(2) > 0, -0.4),
    "set-mask-to-a-tensor": set_to((slice(None), torch.arange(16) == 3), torch.full((2, 1, 6, 5), 0.8)),
    "set-indices": set_to((torch.tensor([0, 1]), torch.tensor([3, 4])), 0.6),
    "index_put_": changed(lambda q: q.index_put_((torch.tensor([1]), torch.tensor([2])), torch.full((1, 6, 5), 0.9))),
    "torch.index_put_": changed(lambda q: torch.index_put_(q, (torch.tensor([0]),), torch.tensor(1.1))),
    "index_put": lambda q: q.index_put((torch.tensor([1]),), torch.tensor(1.1)),
    "torch.index_put": lambda q: torch.index_put(q, (torch.tensor([1]),), torch.tensor(-1.1)),
    "torch._index_put_impl_": changed(lambda q: torch._index_put_impl_(q, (torch.tensor([0]),), torch.tensor(1.1))),
    "masked_fill_": changed(lambda q: q.masked_fill_(MASK, 0.7)),
    "masked_fill_-by-a-tensor": changed(lambda q: q.masked_fill_(MASK, torch.tensor(0.7))),
    "masked_fill": lambda q: q.masked_fill(MASK, -0.7),
    "torch.masked_fill": lambda q: torch.masked_fill(q, MASK, 0.2),
    "diagonal_scatter": lambda q: torch.diagonal_scatter(q, q.diagonal().flip(2)),
    "Tensor.diagonal_scatter": lambda q: q.diagonal_scatter(q.diagonal().flip(1)),
    "select_scatter": lambda q: torch.select_scatter(q, q[:, 3], 1, 5),
    "Tensor.select_scatter": lambda q: q.select_scatter(q[:, 3], 1, 5),
    "slice_scatter": lambda q: torch.slice_scatter(q, q[:, :4], 1, 2, 6),
    "Tensor.slice_scatter": lambda q: q.slice_scatter(q[:, :4], 1, 2, 6),
    "as_strided_scatter": lambda q: torch.as_strided_scatter(q.contiguous(), q[0, 0, :2, :2], (2, 2), (7, 3)),
    "Tensor.as_strided_scatter": lambda q: q.contiguous().as_strided_scatter(q[0, 0, :2, :2], (2, 2), (7, 3)),
}

COMPARING = {
    "eq": lambda q: q.eq(0.5),
    "==": lambda q: q == q.flip(0),
    "==-broadcast": lambda q: q == q[:1, :1],
    "torch.eq": lambda q: torch.eq(q, 1),
    "not_equal": lambda q: q.not_equal(0.5),
    "!=": lambda q: q != q.flip(1),
    "torch.ne": lambda q: torch.ne(q, 0.5),
    "torch.not_equal": lambda q: torch.not_equal(q, 0.5),
    "<": lambda q: q < 0.5,
    "less": lambda q: q.less(q.flip(0)),
    "torch.lt": lambda q: torch.lt(q, 0.5),
    "torch.less": lambda q: torch.less(q, 0.5),
    "<=": lambda q: q <= 0.5,
    "less_equal": lambda q: q.less_equal(0.5),
    "torch.le": lambda q: torch.le(q, q.flip(0)),
    "torch.less_equal": lambda q: torch.less_equal(q, 0.5),
    ">": lambda q: q > torch.tensor(0.5),
    "greater": lambda q: q.greater(0.5),
    "torch.gt": lambda q: torch.gt(q, q.flip(2)),
    "torch.greater": lambda q: torch.greater(q, 0.5),
    ">=": lambda q: q >= 0.5,
    "greater_equal": lambda q: q.greater_equal(0.5),
    "torch.ge": lambda q: torch.ge(q, q[0]),
    "torch.greater_equal": lambda q: torch.greater_equal(q, 0.5),
    "torch.eq-out": lambda q: torch.eq(q, 0.5, out=torch.empty(0, dtype=torch.bool)),
    "equal": lambda q: q.equal(q.clone()),
    "torch.equal": lambda q: torch.equal(q, q.flip(0)),
    "torch.equal-of-other-shapes": lambda q: torch.equal(q, q[:1]),
    "item": lambda q: q[1, 2, 3, 4].item(),
    "float": lambda q: float(q[1, 2, 3, 4]),
    "int": lambda q: int(q[1, 2, 3, 4]),
    "bool": lambda q: bool(q[1, 2, 3, 4]),
}

OTHERS = {
    "ones_like": torch.ones_like,
    "full_like": lambda q: torch.full_like(q, -0.7),
    "pad": lambda q: F.pad(q, (1, 2, 0, 3)),
    "pad-value": lambda q: F.pad(q, (1, 0), value=0.7),
    "pad-reflect": lambda q: F.pad(q, (1, 2, 3, 0), mode="reflect"),
    "pad-reflect-1d": lambda q: F.pad(q[0], (3, 1), mode="reflect"),
    "constant_pad_nd": lambda q: torch.constant_pad_nd(q, (0, 1, 2, 0), 0.7),
    "threshold": lambda q: F.threshold(q, 0.42, 0.83),
    "torch.threshold": lambda q: torch.threshold(q, -0.43, 0.77),
    "clamp-between": lambda q: q.clamp(-0.5, 0.7),
    "clamp-crossed": lambda q: torch.clamp(q, 0.7, -0.5),
    "clip": lambda q: q.clip(-0.5, 0.7),
    "t_": lambda q: q[:, :, 0, 0].clone().t_(),
    "transpose_": lambda q: q.clone().transpose_(1, 2),
    "swapaxes_": lambda q: q.clone().swapaxes_(1, 3),
    "swapdims_": lambda q: q.clone().swapdims_(0, 3),
    "squeeze_": lambda q: q[:1].clone().squeeze_(),
    "squeeze_-dim": lambda q: q[:1].clone().squeeze_(0),
    "unsqueeze_": lambda q: q.clone().unsqueeze_(1),
    "as_strided_": lambda q: q.contiguous().clone().as_strided_((3, 4), (2, 5), 7),
    "torch.as_strided_": lambda q: torch.as_strided_(q.contiguous().clone(), (3, 4), (2, 5)),
    "resize_": lambda q: q.contiguous().clone().resize_(4, 100),
    "resize_as_": lambda q: q.contiguous().clone().resize_as_(q[0]),
    "torch.resize_as_": lambda q: torch.resize_as_(q.contiguous().clone(), q[:, 0]),
    "detach_": lambda q: q.clone().detach_(),
    "conj_physical_": lambda q: q.clone().conj_physical_(),
    "data-set": changed(lambda q: setattr(q, "data", q.flip(0))),
    "share_memory_": lambda q: q.clone().share_memory_().is_shared(),
    "is_shared": lambda q: q.is_shared(),
    "empty_like": lambda q: torch.empty_like(q).fill_(0.6),
    "relu_": changed(torch.relu_),
    "hardtanh-in-place": changed(lambda q: F.hardtanh(q, -0.5, 0.7, inplace=True)),
    "storage_offset": lambda q: q[1].storage_offset(),
    "cat-out": lambda q: torch.cat([q[:1], q[1:]], out=torch.ones_like(q)),
    "max-out": lambda q: torch.max(q, out=torch.ones_like(q[0, 0, 0, 0])),
    "mean-out": lambda q: torch.mean(q.contiguous(), (2, 3), out=torch.ones_like(q[:, :, 0, 0])),
    "std-out": lambda q: torch.std(q.contiguous(), (2, 3), out=torch.ones_like(q[:, :, 0, 0])),
    "index_select-out": lambda q: torch.index_select(q, 1, torch.tensor([3, 1]), out=torch.ones_like(q[:, :2])),
}

# What torch has for its quantized tensors only, while it has them.
QUANTIZED = {
    "dequantize": lambda q: q.dequantize(),
    "Tensor.dequantize": lambda q: torch.Tensor.dequantize(q),
    "torch.dequantize": lambda q: torch.dequantize(q),
    "torch.dequantize-of-a-list": lambda q: torch.dequantize([q, q[0]]),
    "empty_quantized": lambda q: torch.empty_quantized((2, 3), q).fill_(0.6),
    "int_repr": lambda q: torch.int_repr(q),
    "q_scale": lambda q: torch.q_scale(q),
    "q_zero_point": lambda q: torch.q_zero_point(q),
    "qscheme": lambda q: str(torch.Tensor.qscheme(q)).rpartition(".")[2],
}

# What torch has for its other tensors only. Limits are integers times the scale, so that values say what must come out.
BEYOND_TORCH = {
    "amax": lambda q: q.amax(1),
    "torch.amax": lambda q: torch.amax(q, (0, 2), True),
    "amin": lambda q: q.amin(),
    "torch.amin": lambda q: torch.amin(q, (0, 2)),
    "aminmax": lambda q: q.aminmax(dim=1),
    "torch.aminmax": torch.aminmax,
    "argmax": lambda q: q[:, :, 0, :2].argmax(1),
    "torch.argmax": lambda q: torch.argmax(q[0, 0], -1, keepdim=True),
    "argmin": lambda q: q[0, 0].argmin(),
    "torch.argmin": lambda q: torch.argmin(q[0, 0], 1),
    "clamp_": changed(lambda q: q.clamp_(-0.5, 0.75)),
    "torch.clamp_": changed(lambda q: torch.clamp_(q, max=0.75)),
    "clip_": changed(lambda q: q.clip_(min=-0.5)),
    "torch.clip_": changed(lambda q: torch.clip_(q, -0.5, 0.75)),
    "clamp_min": lambda q: q.clamp_min(-0.5),
    "torch.clamp_min": lambda q: torch.clamp_min(q, -0.5),
    "clamp_max": lambda q: q.clamp_max(0.75),
    "torch.clamp_max": lambda q: torch.clamp_max(q, 0.75),
    "clamp_min_": changed(lambda q: q.clamp_min_(-0.5)),
    "torch.clamp_min_": changed(lambda q: torch.clamp_min_(q, -0.5)),
    "clamp_max_": changed(lambda q: q.clamp_max_(0.75)),
    "torch.clamp_max_": changed(lambda q: torch.clamp_max_(q, 0.75)),
    "threshold_": changed(lambda q: F.threshold_(q, 0.52, 0.75)),
    "threshold-in-place": changed(lambda q: F.threshold(q, 0.52, 0.75, inplace=True)),
    "zero_": changed(lambda q: q.zero_()),
    "torch.zero_": changed(torch.zero_),
    "zeros_like": torch.zeros_like,
    "tolist": lambda q: q[0, 0].tolist(),
    "contains": lambda q: 0.25 in q,
    "is_nonzero": lambda q: q[0, 0, 0, 0].is_nonzero(),
    "torch.is_nonzero": lambda q: torch.is_nonzero(q[0, 0, 0, 0]),
    "torch.detach_": lambda q: torch.detach_(q.clone()),
    "torch.conj_physical_": lambda q: torch.conj_physical_(q.clone()),
}

CALLS = {**ORDERING, **REDUCING, **WRITING, **COMPARING, **OTHERS, **(QUANTIZED if HAS_TORCHS else {})}
