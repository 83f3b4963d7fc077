"""Quantized convolutions with a sum in their rounding step, as at the end of a residual block."""

from torchq.nn import quantized
from torchq.nn.intrinsic import fused
from torchq.nn.quantized.inputs import input_error
from torchq.qtensor import QTensor


class ConvAdd2d(quantized.Conv2d):
    """A quantized Conv2d whose exact sums another tensor is added to, before the one rounding.

    Args and errors are those of ``torchq.nn.quantized.Conv2d``; also, depthwise convolutions are refused, whose kernels
    have no sum.
    """

    _float_types = (fused.ConvAdd2d,)

    def _check_channels(self, in_channels: int, out_channels: int, groups: int) -> None:
        super()._check_channels(in_channels, out_channels, groups)
        if groups > 1 and groups == in_channels == out_channels:
            raise ValueError(f"{self._get_name()} takes no depthwise convolution, got {groups} groups")

    def forward(self, input: QTensor, extra_input: QTensor) -> QTensor:
        """Returns the convolution of ``input``, plus ``extra_input``.

        Args:
            input: see ``Conv2d``.
            extra_input: of the result's shape and dtype, with one scale.

        Raises:
            RuntimeError: if the shape of ``extra_input`` does not fit.
            TypeError: if one of them is not quantized.
            ValueError: if the shape of ``input`` or the dtype of ``extra_input`` does not fit, or if one of them has
                several scales.
        """
        return convolved_and_added(self, input, extra_input)

    def _get_name(self) -> str:
        return "QuantizedConvAdd2d"


class ConvAddReLU2d(ConvAdd2d):
    """A ``ConvAdd2d`` followed by a relu, at the cost of the ConvAdd2d.

    Args, shapes and errors are those of ``ConvAdd2d``.
    """

    _relu = True
    _float_types = (fused.ConvAddReLU2d,)

    def _get_name(self) -> str:
        return "QuantizedConvAddReLU2d"


def convolved_and_added(conv: quantized.Conv2d, input: QTensor, extra_input: QTensor) -> QTensor:
    """Returns the convolution of ``input`` with a module's weight, plus ``extra_input``, rounded once.

    Args and errors are those of ``ConvAdd2d.forward``.

    Args:
        conv: not depthwise, with the scale and zero point of the result.
        input: see ``ConvAdd2d``.
        extra_input: see ``ConvAdd2d``.
    """
    if not isinstance(extra_input, QTensor) or extra_input._axis is not None:
        raise input_error(conv._get_name(), extra_input, f"[N, {conv.out_channels}, OH, OW]")
    if extra_input._data.dtype is not conv._output_storage:
        raise ValueError(f"{conv._get_name()} gives {conv.output_dtype}, got an extra_input of {extra_input.qdtype}")
    residual = (extra_input._data, extra_input._scale, extra_input._zero_point)
    return conv._run(input if conv._reflected is None else conv._reflecting(input), *residual)
