"""One call of an operator and what it must give."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from torchq import ops, reference

MULTIPLIES_PACKED_WEIGHT = {"linear", "linear_dequantize", "linear_dynamic", "convolution", "convolution_dequantize"}
RECURRENT = {"lstm_dynamic", "gru_dynamic"}


def same(result: Tensor | tuple[Tensor, ...], expected: Tensor | tuple[Tensor, ...]) -> bool:
    """Whether two results of an operator are equal."""
    return all(torch.equal(a, b) for a, b in zip(tree_leaves(result), tree_leaves(expected), strict=True))


@dataclass(eq=False)
class Sample:
    """One call.

    Attributes:
        op: name of the operator.
        name: what the sample is there for.
        arguments: those of ``torchq.reference`` in order; of the operator itself where the reference lacks it.
        given: the result of an operator that the reference lacks.
        typical: small and plain, for tests of the plumbing rather than the numbers.
        parallel: large enough that several threads share the work.
    """

    op: str
    name: str
    arguments: dict[str, Any]
    given: Tensor | None = None
    typical: bool = False
    parallel: bool = False

    def __str__(self) -> str:
        return f"{self.op}-{self.name}"

    @cached_property
    def op_arguments(self) -> tuple:
        """The arguments of the operator, which takes the weight packed."""
        arguments = dict(self.arguments)
        if self.op in RECURRENT:
            weights = {name: w for name, w in arguments.items() if name.startswith("weight_") and w is not None}
            return tuple((arguments | {name: ops.pack_weight(w) for name, w in weights.items()}).values())
        if self.op not in MULTIPLIES_PACKED_WEIGHT:
            return tuple(arguments.values())
        groups, zero_points = arguments.pop("groups", 1), arguments.pop("weight_zero_points")
        arguments["weight"] = ops.pack_weight(arguments["weight"], zero_points, groups)
        return tuple(arguments.values())

    @cached_property
    def expected(self) -> Tensor | tuple[Tensor, ...]:
        """What the operator must give, to the bit."""
        return getattr(reference, self.op)(**self.arguments) if self.given is None else self.given

    def run(self) -> Tensor | tuple[Tensor, ...]:
        """Calls the operator through its Python wrapper."""
        return getattr(ops, self.op)(*self.op_arguments)
