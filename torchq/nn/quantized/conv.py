"""Quantized convolutions."""

from typing import Any, ClassVar

import torch
from torch import nn

from torchq import ops
from torchq.nn import qat
from torchq.nn.intrinsic import qat as intrinsic_qat
from torchq.nn.quantized.conv_base import ConvModule, Convolution
from torchq.nn.quantized.conversion import output_qparams, weighted_part
from torchq.nn.quantized.inputs import BYTES, input_error
from torchq.nn.quantized.static import StaticQuantizedModule
from torchq.qtensor import QTensor


class StaticConv(ConvModule, StaticQuantizedModule):
    """Base of the convolutions with a fixed scale and zero point: exact int32 sums, and one rounding.

    State: that of ``StaticQuantizedModule``.

    Args: those of ``ConvModule``.
    """

    _float_types: ClassVar[tuple[type[nn.Module], ...]]

    def forward(self, input: QTensor) -> QTensor:
        """Returns the convolution.

        Args:
            input: ``quint8`` or ``qint8`` ``[N, C, *spatial]`` with one scale; read without a copy if channels are
                innermost in its memory (channels_last).

        Returns:
            ``[N, O, *spatial]``, channels innermost in memory, with the module's scale, zero point and dtype.

        Raises:
            TypeError: if ``input`` is not quantized.
            ValueError: if its shape does not fit, or it has several scales.
        """
        return self._run(input if self._reflected is None else self._reflecting(input))

    def _reflecting(self, input: Any) -> QTensor:
        """Returns the image with its edges reflected around it."""
        self._check(input)
        return input._with_data(self._padded(input._data))

    def _check(self, input: Any) -> None:
        if (
            not isinstance(input, QTensor)
            or input._axis is not None
            or input._data.dtype not in BYTES
            or len(shape := input._data.shape) != self.dims + 2
            or shape[1] != self.in_channels
        ):
            raise input_error(self._get_name(), input, self._shape())

    def _operator(self, input: QTensor, *residual: Any) -> torch.Tensor:
        output = (self.scale, self.zero_point, self._output_storage, self._relu)
        window = (self._window, self._transposed)
        qparams, weight = (input._scale, input._zero_point), self.operands()
        return ops.convolution(input._data, *qparams, *weight, *window, *output, *residual)

    @classmethod
    def from_float(cls, mod: nn.Module) -> "StaticConv":
        """Makes a quantized convolution from a prepared and calibrated, or trained, float one.

        Args:
            mod: has a ``qconfig`` and an observer of its output.

        Raises:
            RuntimeError: if the observer is missing or never saw data.
            TypeError: if ``mod`` has another type.
            ValueError: if the qconfig or the padding does not fit.
        """
        conv = weighted_part(mod, cls._float_types, cls)
        qparams = output_qparams(mod)
        module = cls._with_weight_of(mod, conv)
        module.set_output_qparams(*qparams)
        return module


class Conv1d(Convolution, StaticConv):
    """Convolves quantized sequences, with exact int32 sums and one rounding; padding means the zero point.

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: in steps.
        stride: in steps.
        padding: on both sides; or ``"valid"``, or ``"same"`` where that pads both sides equally.
        dilation: in steps.
        groups: divides C and O.
        bias: whether there is a bias.
        padding_mode: ``"zeros"`` or ``"reflect"``.
        device: where the weight is made.
        dtype: must be None; it is there for torch.ao's signature.

    Raises:
        ValueError: if an argument is none of these.
    """

    dims = 1
    _float_types = (nn.Conv1d, qat.Conv1d, intrinsic_qat.ConvBn1d)

    def _get_name(self) -> str:
        return "QuantizedConv1d"


class Conv2d(Convolution, StaticConv):
    """Convolves quantized images, with exact int32 sums and one rounding; padding means the zero point.

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: one number or (height, width).
        stride: likewise.
        padding: likewise, or ``"valid"``, or ``"same"`` where that pads both sides equally.
        dilation: likewise.
        groups: divides C and O.
        bias: whether there is a bias.
        padding_mode: ``"zeros"`` or ``"reflect"``.
        device: where the weight is made.
        dtype: must be None; it is there for torch.ao's signature.

    Raises:
        ValueError: if an argument is none of these.

    Example:
        >>> module = Conv2d(16, 33, 3, stride=2)
        >>> module(torchq.quantize_per_tensor(torch.randn(20, 16, 50, 100), 1.0, 0, torchq.quint8)).shape
        torch.Size([20, 33, 24, 49])
    """

    dims = 2
    _float_types = (nn.Conv2d, qat.Conv2d, intrinsic_qat.ConvBn2d)

    def _get_name(self) -> str:
        return "QuantizedConv2d"


class Conv3d(Convolution, StaticConv):
    """Convolves quantized volumes, with exact int32 sums and one rounding; padding means the zero point.

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: one number or (depth, height, width).
        stride: likewise.
        padding: likewise, or ``"valid"``, or ``"same"`` where that pads both sides equally.
        dilation: likewise.
        groups: divides C and O.
        bias: whether there is a bias.
        padding_mode: ``"zeros"`` or ``"reflect"``.
        device: where the weight is made.
        dtype: must be None; it is there for torch.ao's signature.

    Raises:
        ValueError: if an argument is none of these.
    """

    dims = 3
    _float_types = (nn.Conv3d, qat.Conv3d, intrinsic_qat.ConvBn3d)

    def _get_name(self) -> str:
        return "QuantizedConv3d"
