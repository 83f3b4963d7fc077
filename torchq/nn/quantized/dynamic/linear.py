"""The dynamically quantized linear layer."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from torchq import ops
from torchq.dtypes import from_torch, qint8
from torchq.nn import qat
from torchq.nn.quantized.conversion import quantized_weight_bias, weighted_part
from torchq.nn.quantized.dynamic.granularity import GranularModule
from torchq.nn.quantized.dynamic.recurrent_weight import halved
from torchq.nn.quantized.inputs import float_input_error
from torchq.nn.quantized.weighted import WeightedQuantizedModule
from torchq.qtensor import QTensor


class Linear(GranularModule, WeightedQuantizedModule):
    """Applies ``y = x W^T + b`` to float tensors, with int8 weights and inputs quantized on the fly.

    With weights of float16 no input is quantized, and all is computed in float32.

    ``granularity`` says over what the input's minimum and maximum are taken:

    - ``"per_tensor"``: over all of it, in 7 bits, as torch.ao does; a row's result depends on the others.
    - ``"per_token"``: over each row, in the full 8 bits; more accurate, and a row's result is its own.

    State: that of ``WeightedQuantizedModule``, or ``weight`` in float16 and ``bias``, if there is one; and the
    granularity as ``per_token``, a bool.

    Args:
        in_features: K.
        out_features: N.
        bias_: whether there is a bias.
        dtype: of the weight: ``qint8`` or ``torch.float16``.
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
        self.weight_dtype = from_torch(dtype)
        if self.weight_dtype not in (qint8, torch.float16):
            raise ValueError(f"{self._get_name()} takes weights of {qint8} or torch.float16, got {dtype}")
        self._quantizes_input = self.weight_dtype is qint8
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
        values = x if x.dtype is torch.float32 else x.float()
        if self._quantizes_input:
            buffers = self._buffers
            output = ops.linear_dynamic(
                values,
                buffers["_packed_weight"],
                buffers["_weight_scales"],
                buffers["_bias"],
                self._per_token,
                not self._per_token,
                self._relu,
            )
        else:
            output = F.linear(values, self._packed_weight.float(), self._bias)
            output = output.relu() if self._relu else output
        return output if x.dtype is torch.float32 else output.to(x.dtype)

    def weight(self) -> Any:
        """Returns the weight, unpacked: ``qint8``, with one scale or one per output channel; or float16."""
        return super().weight() if self._quantizes_input else self._packed_weight.clone()

    def set_weight_bias(self, w: Any, b: torch.Tensor | None) -> None:
        """Packs a weight and copies a bias.

        Args:
            w: ``qint8`` ``[N, K]``, with one scale or one per index of axis 0; float if the layer's dtype is
                ``torch.float16``.
            b: float ``[N]``, or None.

        Raises:
            TypeError: if ``w`` is none of these.
            ValueError: if dtype, scale, axis or a shape does not fit, or a value is beyond float16.
        """
        if self._quantizes_input:
            return super().set_weight_bias(w, b)
        weight, bias = halved(self._get_name(), self._weight_size, w, b)
        self.register_buffer("_packed_weight", weight, persistent=False)
        self.register_buffer("_bias", bias, persistent=False)
        return None

    def _blank_weight(self) -> Any:
        return super()._blank_weight() if self._quantizes_input else torch.zeros(self._weight_size)

    def _plain_state(self) -> dict[str, torch.Tensor]:
        bias = {} if self._bias is None else {"bias": self._bias.clone()}
        return {"weight": self._packed_weight.clone(), **bias, "per_token": torch.tensor(False)}

    def _state(self) -> dict[str, torch.Tensor]:
        return super()._state() if self._quantizes_input else self._plain_state()

    def _state_shapes(self) -> dict[str, list[torch.Size]]:
        if self._quantizes_input:
            return super()._state_shapes()
        return {name: [value.shape] for name, value in self._plain_state().items()}

    def _set_state(self, state: dict[str, torch.Tensor]) -> None:
        if self._quantizes_input:
            super()._set_state(state)
        elif state["weight"].dtype is not torch.float16:
            raise TypeError(f"weight must be torch.float16, got {state['weight'].dtype}")
        else:
            bias, device = state.get("bias"), self._packed_weight.device
            self.set_weight_bias(state["weight"].to(device), None if bias is None else bias.to(device))

    @classmethod
    def from_float(cls, mod: nn.Module) -> "Linear":
        """Makes a dynamically quantized layer from a float one.

        Args:
            mod: has a ``qconfig``, of which the weight's part is used; with a dtype of ``torch.float16`` the weight is
                rounded to that.

        Raises:
            TypeError: if ``mod`` has another type.
            ValueError: if the qconfig does not fit, or a value is beyond float16.
        """
        linear = weighted_part(mod, cls._float_types, cls)
        if getattr(mod.qconfig.weight(), "dtype", None) is torch.float16:
            dtype, weight, bias = torch.float16, linear.weight, linear.bias
        else:
            dtype, (weight, bias) = qint8, quantized_weight_bias(mod, linear)
        module = cls(linear.in_features, linear.out_features, bias is not None, dtype)
        module.set_weight_bias(weight, bias)
        return module

    def _get_name(self) -> str:
        return "DynamicQuantizedLinear"

    def extra_repr(self) -> str:
        text = f"in_features={self.in_features}, out_features={self.out_features}, dtype={self.weight_dtype}"
        if not self._quantizes_input:
            return text
        return f"{text}, qscheme={self._weight_qscheme()}, granularity={self.granularity}"
