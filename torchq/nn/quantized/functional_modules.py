"""Sums, products and concatenations as modules, so that their results can be observed and quantized."""

import math
from collections.abc import Sequence
from typing import NoReturn

import torch
from torch import nn
from torch.nn import functional as F

from torchq import ops
from torchq.nn.quantized.conversion import output_qparams
from torchq.nn.quantized.operations import arithmetic
from torchq.nn.quantized.state import QuantizedOutputModule
from torchq.qtensor import QTensor


class _Operations(nn.Module):
    """The operations on float tensors; their results go through ``_observed``."""

    def forward(self, x: torch.Tensor) -> NoReturn:
        """Raises RuntimeError: there is no single operation to run."""
        raise RuntimeError(f"{type(self).__name__} has no forward: call add, mul, cat or another of its operations")

    def _observed(self, result: torch.Tensor) -> torch.Tensor:
        return result

    def add(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Returns ``x + y``."""
        return self._observed(torch.add(x, y))

    def add_scalar(self, x: torch.Tensor, y: float) -> torch.Tensor:
        """Returns ``x + y`` for a number ``y``."""
        return torch.add(x, y)

    def mul(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Returns ``x * y``."""
        return self._observed(torch.mul(x, y))

    def mul_scalar(self, x: torch.Tensor, y: float) -> torch.Tensor:
        """Returns ``x * y`` for a number ``y``."""
        return torch.mul(x, y)

    def cat(self, x: Sequence[torch.Tensor], dim: int = 0) -> torch.Tensor:
        """Returns the tensors of ``x`` joined along ``dim``."""
        return self._observed(torch.cat(list(x), dim=dim))

    def add_relu(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Returns ``relu(x + y)``."""
        return self._observed(F.relu(torch.add(x, y)))

    def matmul(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Returns ``x @ y``."""
        return self._observed(torch.matmul(x, y))


class FloatFunctional(_Operations):
    """Computes what ``torch.add`` and its like compute, and shows the result to an observer.

    Use one instance per place in the model: each gets its own scale and zero point. Operations with a Python
    number are not observed, because their qparams follow from the input's.

    Example:
        >>> FloatFunctional().add_relu(torch.tensor([3.0, -5.0]), torch.tensor([4.0, 1.0]))
        tensor([7., 0.])
    """

    def __init__(self) -> None:
        super().__init__()
        self.activation_post_process = nn.Identity()

    def _observed(self, result: torch.Tensor) -> torch.Tensor:
        return self.activation_post_process(result)


class FXFloatFunctional(_Operations):
    """The operations of ``FloatFunctional`` without an observer, for graphs that have one of their own behind them."""


class QFunctional(QuantizedOutputModule):
    """The operations of ``FloatFunctional`` on quantized tensors.

    All of them work on the integers, by docs/numerics.md. Results have the module's scale and zero point, and the dtype
    of the inputs, which must be that of the output; with a number they have a scale and zero point that follow from the
    input's. A module set as ``activation_post_process`` sees each result that the FloatFunctional's observer saw, and
    gives what is returned; there is none to begin with.

    State: that of ``QuantizedOutputModule``.

    Example:
        >>> a, b = (torchq.quantize_per_tensor(torch.tensor(v), 1.0, 0, torchq.quint8) for v in (3.0, 4.0))
        >>> QFunctional().add(a, b).int_repr()
        tensor(7, dtype=torch.uint8)
    """

    def forward(self, x: QTensor) -> NoReturn:
        """Raises RuntimeError: there is no single operation to run."""
        raise RuntimeError("QFunctional has no forward: call add, mul, cat or another of its operations")

    def add(self, x: QTensor, y: QTensor) -> QTensor:
        """Returns ``x + y``."""
        self._check("add", x, y)
        return self._observed(arithmetic.elementwise(ops.add, x, y, self.scale, self.zero_point))

    def add_relu(self, x: QTensor, y: QTensor) -> QTensor:
        """Returns ``relu(x + y)``."""
        self._check("add_relu", x, y)
        return self._observed(arithmetic.elementwise(ops.add, x, y, self.scale, self.zero_point, relu=True))

    def add_scalar(self, x: QTensor, y: float) -> QTensor:
        """Returns ``x + y`` for a number ``y``, as ``torchq.nn.quantized.operations.add_scalar``."""
        self._check("add_scalar", x, has_scale=False)
        return arithmetic.add_scalar(x, y)

    def mul(self, x: QTensor, y: QTensor) -> QTensor:
        """Returns ``x * y``."""
        self._check("mul", x, y)
        return self._observed(arithmetic.elementwise(ops.mul, x, y, self.scale, self.zero_point))

    def mul_scalar(self, x: QTensor, y: float) -> QTensor:
        """Returns ``x * y`` for a number ``y``, as ``torchq.nn.quantized.operations.mul_scalar``."""
        self._check("mul_scalar", x, has_scale=False)
        return arithmetic.mul_scalar(x, y)

    def cat(self, x: Sequence[QTensor], dim: int = 0) -> QTensor:
        """Returns the tensors of ``x`` joined along ``dim``."""
        self._check("cat", *x)
        return self._observed(arithmetic.joined(x, dim, self.scale, self.zero_point))

    def matmul(self, x: QTensor, y: QTensor) -> QTensor:
        """Returns ``x @ y``, for vectors, matrices and batches of matrices as ``torch.matmul``."""
        self._check("matmul", x, y)
        return self._observed(arithmetic.product(x, y, self.scale, self.zero_point))

    @classmethod
    def from_float(cls, mod: FloatFunctional) -> "QFunctional":
        """Makes a QFunctional from a prepared and calibrated FloatFunctional.

        One that never saw data, because a model does not use it or with numbers only, has no scale (it is NaN), and
        raises a RuntimeError where one is needed.

        Args:
            mod: has an observer.

        Raises:
            RuntimeError: if the observer is missing.
        """
        module = cls()
        if getattr(getattr(mod, "activation_post_process", None), "has_data", True):
            module.set_output_qparams(*output_qparams(mod))
        else:
            module.scale = math.nan
        return module

    def _set_state(self, state: dict[str, torch.Tensor]) -> None:
        if state["scale"].isnan():
            self.scale, self.zero_point = math.nan, 0
        else:
            super()._set_state(state)

    def _observed(self, result: QTensor) -> QTensor:
        # The look-up costs a tenth of what calling an nn.Identity each time would.
        observer = self._modules.get("activation_post_process")
        return result if observer is None else observer(result)

    def _check(self, name: str, *inputs: QTensor, has_scale: bool = True) -> None:
        if has_scale and math.isnan(self.scale):
            raise RuntimeError(
                f"QFunctional.{name} has no scale: its FloatFunctional never saw data; run the prepared model on "
                "calibration data that takes this path"
            )
        for x in inputs:
            if not isinstance(x, QTensor):
                given = "a float tensor" if isinstance(x, torch.Tensor) else f"a {type(x).__name__}"
                raise TypeError(f"QFunctional.{name} takes quantized tensors, got {given}: put a QuantStub before it")
            if x._axis is not None:
                raise ValueError(f"QFunctional.{name} takes tensors with one scale, got one quantized per channel")
            if has_scale and x._data.dtype is not self._output_storage:
                raise ValueError(f"QFunctional.{name} gives {self.output_dtype}, got an input of {x.qdtype}")

    def extra_repr(self) -> str:
        return f"scale={self.scale}, zero_point={self.zero_point}"
