"""The quantized 2d convolution."""

from numbers import Integral
from typing import Any

from torch import nn
from torch.nn.modules.utils import _pair

from torchq import ops
from torchq.nn import qat
from torchq.nn.intrinsic import qat as intrinsic_qat
from torchq.nn.quantized.conversion import output_qparams, quantized_weight_bias, weighted_part
from torchq.nn.quantized.static import StaticQuantizedModule
from torchq.qtensor import QTensor


class Conv2d(StaticQuantizedModule):
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
        padding_mode: ``"zeros"`` is the only one.
        device: where the weight is made.
        dtype: must be None; it is there for torch.ao's signature.

    Raises:
        ValueError: if an argument is none of these.

    Example:
        >>> import torch
        >>> module = Conv2d(16, 33, 3, stride=2)
        >>> module(torchq.quantize_per_tensor(torch.randn(20, 16, 50, 100), 1.0, 0, torchq.quint8)).shape
        torch.Size([20, 33, 24, 49])
    """

    _float_types: tuple[type[nn.Module], ...] = (nn.Conv2d, qat.Conv2d, intrinsic_qat.ConvBn2d)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        name = self._get_name()
        if padding_mode != "zeros":
            raise ValueError(f"{name} pads with zeros, got padding_mode={padding_mode!r}")
        if dtype is not None:
            raise ValueError(f"{name} takes no dtype, got {dtype}")
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"groups must divide in_channels {in_channels} and out_channels {out_channels}, got {groups}"
            )
        kernel_size = _checked_pair("kernel_size", kernel_size, 1)
        stride = _checked_pair("stride", stride, 1)
        dilation = _checked_pair("dilation", dilation, 1)
        super().__init__((out_channels, in_channels // groups, *kernel_size), bias, groups)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = _resolved_padding(padding, kernel_size, dilation)
        self.dilation = dilation
        self.groups = groups
        self.padding_mode = padding_mode
        self._window = ops.window(kernel_size, stride, self.padding, dilation)
        self.to(device)

    def forward(self, input: QTensor) -> QTensor:
        """Returns the convolution.

        Args:
            input: ``quint8`` or ``qint8`` ``[N, C, H, W]`` with one scale; channels_last is read without a copy.

        Returns:
            ``[N, O, OH, OW]``, channels_last, with the module's scale, zero point and dtype.

        Raises:
            TypeError: if ``input`` is not quantized.
            ValueError: if its shape does not fit, or it has several scales.
        """
        if (
            not isinstance(input, QTensor)
            or input._axis is not None
            or input._data.dim() != 4
            or input._data.size(1) != self.in_channels
        ):
            raise self._input_error(input, f"[N, {self.in_channels}, H, W]")
        buffers = self._buffers
        data = ops.convolution(
            input._data,
            input._scale,
            input._zero_point,
            buffers["_packed_weight"],
            buffers["_weight_scales"],
            buffers["_bias"],
            self._window,
            False,
            self.scale,
            self.zero_point,
            self._output_storage,
            self._relu,
        )
        return QTensor(data, self.scale, self.zero_point)

    @classmethod
    def from_float(cls, mod: nn.Module) -> "Conv2d":
        """Makes a quantized convolution from a prepared and calibrated float one.

        Args:
            mod: has a ``qconfig`` and an observer of its output.

        Raises:
            RuntimeError: if the observer is missing or never saw data.
            TypeError: if ``mod`` has another type.
            ValueError: if the qconfig or the padding does not fit.
        """
        conv = weighted_part(mod, cls._float_types, cls)
        qparams = output_qparams(mod)
        weight, bias = quantized_weight_bias(mod, conv)
        module = cls(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,
            conv.stride,
            conv.padding,
            conv.dilation,
            conv.groups,
            bias is not None,
            conv.padding_mode,
        )
        module.set_weight_bias(weight, bias)
        module.set_output_qparams(*qparams)
        return module

    def _get_name(self) -> str:
        return "QuantizedConv2d"

    def extra_repr(self) -> str:
        parts = [
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"scale={self.scale}, zero_point={self.zero_point}"
        ]
        parts += [f"padding={self.padding}"] if self.padding != (0, 0) else []
        parts += [f"dilation={self.dilation}"] if self.dilation != (1, 1) else []
        parts += [f"groups={self.groups}"] if self.groups != 1 else []
        parts += ["bias=False"] if self._bias is None else []
        return ", ".join(parts)


def _checked_pair(name: str, value: Any, least: int) -> tuple[int, int]:
    pair = _pair(value)
    if len(pair) != 2 or not all(isinstance(size, Integral) and size >= least for size in pair):
        raise ValueError(f"{name} must be one or two integers >= {least}, got {value!r}")
    return pair


def _resolved_padding(
    padding: int | tuple[int, int] | str, kernel_size: tuple[int, int], dilation: tuple[int, int]
) -> tuple[int, int]:
    """Returns the rows and columns added on each side."""
    if padding == "valid":
        return (0, 0)
    if padding != "same":
        return _checked_pair("padding", padding, 0)
    total = [d * (k - 1) for k, d in zip(kernel_size, dilation, strict=True)]
    if any(size % 2 for size in total):
        raise ValueError(f"padding 'same' with kernel {kernel_size} and dilation {dilation} pads the sides unequally")
    return (total[0] // 2, total[1] // 2)
