"""What reference modules share: qparams of the weight, and the weight rounded by them."""

from typing import Any

import torch
from torch import nn

from torchq.dtypes import as_qdtype, as_qscheme, per_tensor_affine, quint8
from torchq.qtensor import QTensor
from torchq.qtensor_creation import quantize_per_channel, quantize_per_tensor


class ReferenceQuantizedModule(nn.Module):
    """Mixin of float modules that compute with a weight that was quantized and dequantized.

    The float weight stays a parameter. State: that of the float class, and ``weight_scale``, ``weight_zero_point`` and
    ``weight_axis``.

    Attributes:
        weight_qscheme: how the weight's scales are shared.
        weight_dtype: the quantized dtype of the weight.
        weight_quant_min: its smallest integer; the dtype's own when None.
        weight_quant_max: its largest integer.
    """

    weight: torch.Tensor
    weight_scale: torch.Tensor
    weight_zero_point: torch.Tensor
    weight_axis: torch.Tensor

    def _init_weight_qparams(self, weight_qparams: dict[str, Any] | None, device: Any) -> None:
        """Takes the qparams, or a scale of 1 if there are none.

        Args:
            weight_qparams: as ``torchq.quantization.utils.get_qparam_dict`` returns them.
            device: of the buffers.
        """
        qparams = {"qscheme": per_tensor_affine, "dtype": quint8, "scale": 1.0, "zero_point": 0, "axis": 0}
        qparams.update(weight_qparams or {})
        self.weight_qscheme = as_qscheme(qparams["qscheme"])
        self.weight_dtype = as_qdtype(qparams["dtype"])
        self.weight_quant_min: int | None = qparams.get("quant_min")
        self.weight_quant_max: int | None = qparams.get("quant_max")
        for name in ("scale", "zero_point", "axis"):
            value = torch.as_tensor(qparams[name], device=device).detach().clone()
            self.register_buffer(f"weight_{name}", value)

    def get_quantized_weight(self) -> QTensor:
        """Returns the weight, quantized."""
        weight, dtype = self.weight.detach(), self.weight_dtype
        if self.weight_qscheme is per_tensor_affine:
            quantized = quantize_per_tensor(weight, self.weight_scale.item(), self.weight_zero_point.item(), dtype)
        else:
            qparams = (self.weight_scale, self.weight_zero_point, self.weight_axis.item())
            quantized = quantize_per_channel(weight, *qparams, dtype)
        if self.weight_quant_min is not None and (self.weight_quant_min, self.weight_quant_max) != (
            dtype.qmin,
            dtype.qmax,
        ):
            quantized._data.clamp_(self.weight_quant_min, self.weight_quant_max)
        return quantized

    def get_weight(self) -> torch.Tensor:
        """Returns the weight, quantized and dequantized."""
        return self.get_quantized_weight().dequantize().to(self.weight.dtype)

    def _take(self, source: nn.Module) -> "ReferenceQuantizedModule":
        """Takes the weight, bias and mode of the float module; returns the module itself."""
        for name in ("weight", "bias"):
            if getattr(source, name, None) is not None:
                setattr(self, name, nn.Parameter(getattr(source, name).detach()))
        return self.train(source.training)

    def _get_name(self) -> str:
        return f"Quantized{type(self).__name__}(Reference)"
