"""The dynamically quantized linear layer with a relu."""

from typing import Any

from torchq.dtypes import qint8
from torchq.nn.intrinsic import fused
from torchq.nn.quantized import dynamic


class LinearReLU(dynamic.Linear):
    """A dynamically quantized Linear followed by a relu, at the cost of the Linear.

    Args:
        in_features: K.
        out_features: N.
        bias: whether there is a bias.
        dtype: of the weight: ``qint8`` or ``torch.float16``.
        granularity: see ``torchq.nn.quantized.dynamic.Linear``.

    Raises:
        ValueError: for another dtype or granularity.

    Example:
        >>> module = LinearReLU(2, 1)
        >>> module.set_weight_bias(torchq.quantize_per_tensor(torch.ones(1, 2), 1.0, 0, torchq.qint8), None)
        >>> module(torch.tensor([[63.0, 63.0], [-64.0, -64.0]]))
        tensor([[126.],
                [  0.]])
    """

    _relu = True
    _float_types = (fused.LinearReLU,)

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        dtype: Any = qint8,
        granularity: str = "per_tensor",
    ) -> None:
        super().__init__(in_features, out_features, bias, dtype, granularity)

    def _get_name(self) -> str:
        return "DynamicQuantizedLinearReLU"
