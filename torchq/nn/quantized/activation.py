"""Quantized activation functions."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from torchq import ops
from torchq.dtypes import qint8, quint8
from torchq.nn.quantized.conversion import quantize_weight, require_type, weighted_part
from torchq.nn.quantized.inputs import checked_integers
from torchq.nn.quantized.static import SameDtypeModule
from torchq.nn.quantized.weighted import weight_of_state, weight_state
from torchq.qtensor import QTensor
from torchq.qtensor_tables import looked_up


class ReLU6(nn.Module):
    """Clamps quantized values to [0, 6]; scale and zero point are the input's.

    Args:
        inplace: write the result to the input.

    Example:
        >>> x = torchq.quantize_per_tensor(torch.tensor([-1.0, 3.0, 9.0]), 0.1, 10, torchq.quint8)
        >>> ReLU6()(x).dequantize()
        tensor([0., 3., 6.])
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: QTensor) -> QTensor:
        checked_integers(self._get_name(), input)
        return F.relu6(input, self.inplace)

    @classmethod
    def from_float(cls, mod: nn.ReLU6) -> "ReLU6":
        """Makes the quantized module from a float one, which needs no observer."""
        return cls(require_type(mod, (nn.ReLU6,), cls).inplace)

    def _get_name(self) -> str:
        return "QuantizedReLU6"

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Hardswish(SameDtypeModule):
    """Applies ``x * relu6(x + 3) / 6`` to quantized values.

    Args:
        scale: of the output.
        zero_point: of the output.
        device: means nothing, and is there for torch.ao's signature, as ``dtype``.
        dtype: see ``device``.

    Example:
        >>> x = torchq.quantize_per_tensor(torch.tensor([-4.0, 0.0, 2.0]), 0.1, 100, torchq.quint8)
        >>> Hardswish(0.05, 20)(x).dequantize()
        tensor([0.0000, 0.0000, 1.6500])
    """

    _float_types = (nn.Hardswish,)

    def __init__(self, scale: float, zero_point: int, device: Any = None, dtype: Any = None) -> None:
        super().__init__(scale, zero_point)

    def forward(self, input: QTensor) -> QTensor:
        self._integers(input)
        return looked_up(F.hardswish, input, self.scale, self.zero_point)

    def _get_name(self) -> str:
        return "QuantizedHardswish"


class ELU(SameDtypeModule):
    """Applies ``x`` above 0 and ``alpha * (exp(x) - 1)`` below to quantized values.

    Args:
        scale: of the output.
        zero_point: of the output.
        alpha: minus the limit far below 0.
    """

    _float_types = (nn.ELU,)

    def __init__(self, scale: float, zero_point: int, alpha: float = 1.0) -> None:
        super().__init__(scale, zero_point)
        self.alpha = alpha

    def forward(self, input: QTensor) -> QTensor:
        self._integers(input)
        return looked_up(F.elu, input, self.scale, self.zero_point, self.alpha)

    @classmethod
    def _like(cls, mod: nn.ELU) -> "ELU":
        return cls(1.0, 0, mod.alpha)

    def _get_name(self) -> str:
        return "QuantizedELU"

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


class LeakyReLU(SameDtypeModule):
    """Multiplies quantized values below 0 by a slope.

    Args:
        scale: of the output.
        zero_point: of the output.
        negative_slope: the slope.
        inplace: means nothing, since the output has a scale of its own, and is there for torch.ao's signature, as
            ``device`` and ``dtype``.
        device: see ``inplace``.
        dtype: see ``inplace``.
    """

    _float_types = (nn.LeakyReLU,)

    def __init__(
        self,
        scale: float,
        zero_point: int,
        negative_slope: float = 1e-2,
        inplace: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(scale, zero_point)
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input: QTensor) -> QTensor:
        self._integers(input)
        return looked_up(F.leaky_relu, input, self.scale, self.zero_point, self.negative_slope)

    @classmethod
    def _like(cls, mod: nn.LeakyReLU) -> "LeakyReLU":
        return cls(1.0, 0, mod.negative_slope, mod.inplace)

    def _get_name(self) -> str:
        return "QuantizedLeakyReLU"

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class Sigmoid(SameDtypeModule):
    """Applies ``1 / (1 + exp(-x))`` to quantized values.

    Args:
        output_scale: 1/256 uses all 8 bits.
        output_zero_point: 0, or -128 with ``qint8``.
    """

    _float_types = (nn.Sigmoid,)

    def __init__(self, output_scale: float, output_zero_point: int) -> None:
        super().__init__(output_scale, output_zero_point)

    @property
    def output_scale(self) -> float:
        """The scale, under torch.ao's name."""
        return self.scale

    @property
    def output_zero_point(self) -> int:
        """The zero point, under torch.ao's name."""
        return self.zero_point

    def forward(self, input: QTensor) -> QTensor:
        self._integers(input)
        return looked_up(torch.sigmoid, input, self.scale, self.zero_point)


class Softmax(SameDtypeModule):
    """Applies the softmax along a dimension of quantized values.

    Args:
        dim: the dimension.
        scale: of the output; 1/256 uses all 8 bits.
        zero_point: of the output.

    Raises:
        ValueError: without a dimension.

    Example:
        >>> x = torchq.quantize_per_tensor(torch.tensor([[0.0, 1.0, 2.0]]), 0.1, 10, torchq.quint8)
        >>> Softmax(1, 1 / 256, 0)(x).int_repr()
        tensor([[ 23,  63, 170]], dtype=torch.uint8)
    """

    _float_types = (nn.Softmax,)

    def __init__(self, dim: int | None = None, scale: float = 1.0, zero_point: int = 0) -> None:
        super().__init__(scale, zero_point)
        if dim is None:
            raise ValueError("QuantizedSoftmax takes the dimension along which values add up to 1, got dim=None")
        self.dim = dim

    def forward(self, input: QTensor) -> QTensor:
        data = self._integers(input).transpose(self.dim, -1)
        probabilities = ops.softmax(data, input._scale, self.scale, self.zero_point)
        return QTensor(probabilities.transpose(self.dim, -1), self.scale, self.zero_point)

    @classmethod
    def _like(cls, mod: nn.Softmax) -> "Softmax":
        return cls(mod.dim)

    def _get_name(self) -> str:
        return "QuantizedSoftmax"

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class PReLU(SameDtypeModule):
    """Multiplies quantized values below 0 by a quantized slope, one for all or one per channel.

    State: that of ``QuantizedOutputModule``, and ``weight``, ``weight_scale`` and ``weight_zero_point``.

    Args:
        output_scale: of the output.
        output_zero_point: of the output.
        num_parameters: number of slopes: 1, or the channels of the input; all 0 to begin with.
    """

    _float_types = (nn.PReLU,)
    _slopes: torch.Tensor

    def __init__(self, output_scale: float, output_zero_point: int, num_parameters: int = 1) -> None:
        super().__init__(output_scale, output_zero_point)
        self.num_parameters = num_parameters
        self.set_weight(QTensor(torch.zeros(num_parameters, dtype=torch.uint8), 1.0, 0))

    @property
    def weight(self) -> QTensor:
        """The slopes, quantized."""
        return self._weight

    def set_weight(self, w: QTensor) -> None:
        """Sets the slopes.

        Args:
            w: ``quint8`` or ``qint8`` ``[num_parameters]``, with one scale or one each.

        Raises:
            TypeError: if ``w`` is no ``QTensor``.
            ValueError: if its shape or dtype does not fit.
        """
        if not isinstance(w, QTensor):
            raise TypeError(f"{self._get_name()} takes a QTensor as weight, got {type(w).__name__}")
        if tuple(w.shape) != (self.num_parameters,) or w.qdtype not in (quint8, qint8):
            raise ValueError(
                f"{self._get_name()} takes a weight of {quint8} or {qint8} and shape {(self.num_parameters,)}, got "
                f"{w.qdtype} and {tuple(w.shape)}"
            )
        self.register_buffer("_slopes", w.dequantize(), persistent=False)
        self._weight = w

    def forward(self, input: QTensor) -> QTensor:
        data = self._integers(input)
        slopes = self._buffers["_slopes"]
        data = ops.prelu(data, input._scale, input._zero_point, slopes, self.scale, self.zero_point)
        return QTensor(data, self.scale, self.zero_point)

    def _state(self) -> dict[str, torch.Tensor]:
        return {**super()._state(), **weight_state(self._weight)}

    def _state_shapes(self) -> dict[str, list[torch.Size]]:
        either = [torch.Size([]), torch.Size([self.num_parameters])]
        return {**super()._state_shapes(), "weight_scale": either, "weight_zero_point": either}

    def _set_state(self, state: dict[str, torch.Tensor]) -> None:
        before = self._weight
        self.set_weight(weight_of_state(state, 0))
        try:
            super()._set_state(state)
        except (TypeError, ValueError):
            self.set_weight(before)
            raise

    @classmethod
    def _like(cls, mod: nn.PReLU) -> "PReLU":
        module = cls(1.0, 0, mod.num_parameters)
        part = weighted_part(mod, cls._float_types, cls)
        module.set_weight(quantize_weight(part.weight, mod.qconfig.weight(), dtypes=(quint8, qint8)))
        return module

    def _get_name(self) -> str:
        return "QuantizedPReLU"
