"""The dynamically quantized linear layer."""

from typing import Any

import torch
from torch import nn

from torchq import ops
from torchq.dtypes import as_qdtype, qint8
from torchq.nn import qat
from torchq.nn.quantized.conversion import quantized_weight_bias, weighted_part
from torchq.nn.quantized.dynamic.granularity import GranularModule
from torchq.nn.quantized.inputs import float_input_error
from torchq.nn.quantized.weighted import WeightedQuantizedModule
from torchq.qtensor import QTensor


class Linear(GranularModule, WeightedQuantizedModule):
    """Applies ``y = x W^T + b`` to float tensors, with int8 weights and inputs quantized on the fly.

    ``granularity`` says over what the input's minimum and maximum are taken:

    - ``"per_tensor"``: over all of it, in 7 bits, as torch.ao does; a row's result depends on the others.
    - ``"per_token"``: over each row, in the full 8 bits; more accurate, and a row's result is its own.

    State: that of ``WeightedQuantizedModule``, and the granularity as ``per_token``, a bool.

    Args:
        in_features: K.
        out_features: N.
        bias_: whether there is a bias.
        dtype: of the weight; ``qint8`` is the only one.
        granularity: ``"per_tensor"`` or ``"per_token"``; may be set later.

    Raises:
        ValueError: for another dtype or granularity.

    Example:
        >>> Linear(20, 30)(torch.randn(128, 20)).shape
        torch.Size([128, 30])
    """

    _float_types: tuple[type[nn.Module], ...] = (
        nn.Linear,
        nn.modules.linear.NonDynamicallyQuantizableLinear,
        qat.dynamic.Linear,
    )

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias_: bool = True,
        dtype: Any = qint8,
        granularity: str = "per_tensor",
    ) -> None:
        if as_qdtype(dtype) is not qint8:
            raise ValueError(f"{self._get_name()} takes {qint8} weights, got {dtype}")
        super().__init__((out_features, in_features), bias_)
        self.in_features = in_features
        self.out_features = out_features
        self.granularity = granularity

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the layer's output.

        Args:
            x: float ``[..., K]``; computed in float32.

        Returns:
            ``[..., N]`` in the dtype of ``x``.

        Raises:
            TypeError: if ``x`` is no tensor, quantized or not floating point.
            ValueError: if its last dimension is not K.
        """
        if not isinstance(x, torch.Tensor) or isinstance(x, QTensor) or not x.is_floating_point():
            raise float_input_error(self._get_name(), x)
        if not (shape := x.shape) or shape[-1] != self.in_features:
            raise ValueError(
                f"{self._get_name()} takes an input of shape [..., {self.in_features}], got {tuple(x.shape)}"
            )
        buffers = self._buffers
        output = ops.linear_dynamic(
            x if x.dtype is torch.float32 else x.float(),
            buffers["_packed_weight"],
            buffers["_weight_scales"],
            buffers["_bias"],
            self._per_token,
            not self._per_token,
            self._relu,
        )
        return output if x.dtype is torch.float32 else output.to(x.dtype)

    @classmethod
    def from_float(cls, mod: nn.Module) -> "Linear":
        """Makes a dynamically quantized layer from a float one.

        Args:
            mod: has a ``qconfig``, of which the weight's part is used.

        Raises:
            TypeError: if ``mod`` has another type.
            ValueError: if the qconfig does not fit.
        """
        linear = weighted_part(mod, cls._float_types, cls)
        weight, bias = quantized_weight_bias(mod, linear)
        module = cls(linear.in_features, linear.out_features, bias is not None)
        module.set_weight_bias(weight, bias)
        return module

    def _get_name(self) -> str:
        return "DynamicQuantizedLinear"

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, dtype={qint8}, "
            f"qscheme={self._weight_qscheme()}, granularity={self.granularity}"
        )
