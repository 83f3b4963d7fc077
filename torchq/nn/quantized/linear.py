"""The quantized linear layer."""

from typing import Any

import torch
from torch import nn

from torchq import ops
from torchq.dtypes import as_qdtype, qint8
from torchq.nn import qat
from torchq.nn.intrinsic import FusedModule
from torchq.nn.intrinsic import qat as intrinsic_qat
from torchq.nn.quantized.conversion import output_qparams, quantized_weight_bias, weighted_part
from torchq.nn.quantized.inputs import BYTES, input_error
from torchq.nn.quantized.static import StaticQuantizedModule
from torchq.qtensor import QTensor


class Linear(StaticQuantizedModule):
    """Applies ``y = x W^T + b`` to quantized tensors, with exact int32 sums and one rounding.

    Args:
        in_features: K.
        out_features: N.
        bias_: whether there is a bias.
        dtype: of the weight; ``qint8`` is the only one.

    Raises:
        ValueError: for another dtype.

    Example:
        >>> module = Linear(20, 30)
        >>> module(torchq.quantize_per_tensor(torch.randn(128, 20), 1.0, 0, torchq.quint8)).shape
        torch.Size([128, 30])
    """

    _float_types: tuple[type[nn.Module], ...] = (
        nn.Linear,
        nn.modules.linear.NonDynamicallyQuantizableLinear,
        qat.Linear,
        intrinsic_qat.LinearBn1d,
    )

    def __init__(self, in_features: int, out_features: int, bias_: bool = True, dtype: Any = qint8) -> None:
        if as_qdtype(dtype) is not qint8:
            raise ValueError(f"{self._get_name()} takes {qint8} weights, got {dtype}")
        super().__init__((out_features, in_features), bias_)
        self.in_features = in_features
        self.out_features = out_features

    def forward(self, x: QTensor) -> QTensor:
        """Returns the layer's output.

        Args:
            x: ``quint8`` or ``qint8`` ``[..., K]`` with one scale.

        Returns:
            ``[..., N]`` with the module's scale, zero point and dtype.

        Raises:
            TypeError: if ``x`` is not quantized.
            ValueError: if its last dimension is not K, or it has several scales.
        """
        return self._run(x)

    def _operator(self, input: QTensor) -> torch.Tensor:
        output = (self.scale, self.zero_point, self._output_storage, self._relu)
        return ops.linear(input._data, input._scale, input._zero_point, *self.operands(), *output)

    def _check(self, input: Any) -> None:
        if (
            not isinstance(input, QTensor)
            or input._axis is not None
            or input._data.dtype not in BYTES
            or not (shape := input._data.shape)
            or shape[-1] != self.in_features
        ):
            raise input_error(self._get_name(), input, f"[..., {self.in_features}]")

    @classmethod
    def from_float(cls, mod: nn.Module) -> "Linear":
        """Makes a quantized layer from a prepared and calibrated float one.

        Args:
            mod: has a ``qconfig`` and an observer of its output.

        Raises:
            RuntimeError: if the observer is missing or never saw data.
            TypeError: if ``mod`` has another type.
            ValueError: if the qconfig does not fit.
        """
        linear = weighted_part(mod, cls._float_types, cls)
        qparams = output_qparams(mod)
        weight, bias = quantized_weight_bias(mod, linear)
        module = cls._sized_as(mod, bias is not None)
        module.set_weight_bias(weight, bias)
        module.set_output_qparams(*qparams)
        return module

    @classmethod
    def _sized_as(cls, mod: nn.Module, bias: bool) -> "Linear":
        """Returns a layer with the arguments of a float one, or of a container of one."""
        linear = mod[0] if isinstance(mod, FusedModule) else mod
        return cls(linear.in_features, linear.out_features, bias)

    def _get_name(self) -> str:
        return "QuantizedLinear"

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, scale={self.scale}, "
            f"zero_point={self.zero_point}, qscheme={self._weight_qscheme()}"
        )
