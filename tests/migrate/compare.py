"""Results of torch.ao's modules, and of torchq's, beside each other."""

import torch
from torch.utils._pytree import tree_leaves

from torchq.migrate.values import as_qtensor
from torchq.qtensor import QTensor

# Where torch.ao rounds on its way, torchq does not, or elsewhere: docs/numerics.md, Beside torch.ao.
ROUNDED_ELSEWHERE = (
    *("BatchNorm", "InstanceNorm", "LayerNorm", "GroupNorm", "BNReLU", "ELU", "Hardswish", "Sigmoid", "Softmax"),
    *("LinearTanh", "LinearLeakyReLU", "PReLU"),
)


def here(value):
    """A value for torchq: quantized tensors of torch as QTensors."""
    return as_qtensor(value) if isinstance(value, torch.Tensor) and value.is_quantized else value


def assert_same(given, expected, name=""):
    """Asserts equal qparams and integers, or equal values; one apart where rounding is documented to differ."""
    if not isinstance(given, QTensor):
        assert torch.equal(given, expected)
        return
    assert (given.q_scale(), given.q_zero_point()) == (expected.q_scale(), expected.q_zero_point())
    difference = (given.int_repr().int() - expected.int_repr().int()).abs()
    if name.startswith(ROUNDED_ELSEWHERE):
        assert difference.max() <= 1
        assert (difference > 0).sum() <= max(1, 1e-3 * difference.numel())
    else:
        assert difference.max() == 0


def assert_same_states(given, expected):
    """Asserts that results of recurrent modules differ by what the last bits of sigmoid and tanh can do."""
    for state, other in zip(tree_leaves(given), tree_leaves(expected), strict=True):
        # These bits decide now and then which way a fed back value is rounded: by a step, which is at most 2/127 in
        # 7 bits, times a weight, which is below 1 in these modules.
        assert (state - other).abs().max() <= 2 / 127
