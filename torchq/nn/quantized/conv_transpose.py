"""Quantized transposed convolutions."""

from torch import nn

from torchq.nn.quantized.conv import StaticConv
from torchq.nn.quantized.conv_base import TransposedConvolution


class ConvTranspose1d(TransposedConvolution, StaticConv):
    """The transposed convolution of quantized sequences, with exact int32 sums and one rounding.

    Its weight is ``[C, O / groups, kernel_size]``, with one scale or one per index of axis 1.

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: in steps.
        stride: in steps.
        padding: by how much the output is shorter on each side.
        output_padding: by how much it is longer at the end; below stride or dilation.
        groups: divides C and O.
        bias: whether there is a bias.
        dilation: in steps.
        padding_mode: ``"zeros"`` is the only one.
        device: where the weight is made.
        dtype: must be None; it is there for torch.ao's signature.

    Raises:
        ValueError: if an argument is none of these.
    """

    dims = 1
    _float_types = (nn.ConvTranspose1d,)

    def _get_name(self) -> str:
        return "QuantizedConvTranspose1d"


class ConvTranspose2d(TransposedConvolution, StaticConv):
    """The transposed convolution of quantized images, with exact int32 sums and one rounding.

    Its weight is ``[C, O / groups, *kernel_size]``, with one scale or one per index of axis 1.

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: one number or (height, width).
        stride: likewise.
        padding: likewise; by how much the output is smaller on each side.
        output_padding: likewise; by how much it is larger at the end; below stride or dilation.
        groups: divides C and O.
        bias: whether there is a bias.
        dilation: one number or (height, width).
        padding_mode: ``"zeros"`` is the only one.
        device: where the weight is made.
        dtype: must be None; it is there for torch.ao's signature.

    Raises:
        ValueError: if an argument is none of these.

    Example:
        >>> module = ConvTranspose2d(16, 8, 4, stride=2, padding=1)
        >>> module(torchq.quantize_per_tensor(torch.randn(2, 16, 10, 20), 1.0, 0, torchq.quint8)).shape
        torch.Size([2, 8, 20, 40])
    """

    dims = 2
    _float_types = (nn.ConvTranspose2d,)

    def _get_name(self) -> str:
        return "QuantizedConvTranspose2d"


class ConvTranspose3d(TransposedConvolution, StaticConv):
    """The transposed convolution of quantized volumes, with exact int32 sums and one rounding.

    Its weight is ``[C, O / groups, *kernel_size]``, with one scale or one per index of axis 1.

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: one number or (depth, height, width).
        stride: likewise.
        padding: likewise; by how much the output is smaller on each side.
        output_padding: likewise; by how much it is larger at the end; below stride or dilation.
        groups: divides C and O.
        bias: whether there is a bias.
        dilation: one number or (depth, height, width).
        padding_mode: ``"zeros"`` is the only one.
        device: where the weight is made.
        dtype: must be None; it is there for torch.ao's signature.

    Raises:
        ValueError: if an argument is none of these.
    """

    dims = 3
    _float_types = (nn.ConvTranspose3d,)

    def _get_name(self) -> str:
        return "QuantizedConvTranspose3d"
