"""Dynamically quantized convolutions."""

from typing import ClassVar

import torch
from torch import nn

from torchq import ops
from torchq.nn.quantized.conv_base import ConvModule, Convolution, TransposedConvolution
from torchq.nn.quantized.conversion import weighted_part
from torchq.nn.quantized.inputs import float_input_error
from torchq.qtensor import QTensor
from torchq.qtensor_qparams import choose_dynamic_qparams


class DynamicConv(ConvModule):
    """Base of the convolutions with int8 weights that quantize their float input by its own range.

    State: that of ``WeightedQuantizedModule``.

    Args: those of ``ConvModule``.
    """

    _float_types: ClassVar[tuple[type[nn.Module], ...]]

    def forward(self, input: torch.Tensor, reduce_range: bool = True) -> torch.Tensor:
        """Returns the convolution, with exact sums of the integers and nothing rounded behind them.

        Args:
            input: float ``[N, C, *spatial]``; computed in float32.
            reduce_range: choose the input's scale for 7 bits, as torch.ao does, instead of 8.

        Returns:
            ``[N, O, *spatial]`` in the dtype of ``input``, channels innermost in memory.

        Raises:
            TypeError: if ``input`` is no tensor, quantized or not floating point.
            ValueError: if its shape does not fit, or it has NaN or infinity.
        """
        return convolved(self, input, reduce_range, self._relu)

    @classmethod
    def from_float(cls, mod: nn.Module) -> "DynamicConv":
        """Makes a dynamically quantized convolution from a float one.

        Args:
            mod: has a ``qconfig``, of which the weight's part is used.

        Raises:
            TypeError: if ``mod`` has another type.
            ValueError: if the qconfig or the padding does not fit.
        """
        return cls._with_weight_of(mod, weighted_part(mod, cls._float_types, cls))

    def _get_name(self) -> str:
        return f"DynamicQuantized{type(self).__name__}"


def convolved(conv: ConvModule, input: torch.Tensor, reduce_range: bool, relu: bool) -> torch.Tensor:
    """Returns a float input's convolution with the weight of a module, which may be a static one.

    Args:
        conv: holds the weight.
        input: float ``[N, C, *spatial]``; computed in float32.
        reduce_range: choose the input's scale for 7 bits instead of 8.
        relu: whether the result is at least 0.

    Raises:
        TypeError: if ``input`` is no tensor, quantized or not floating point.
        ValueError: if its shape does not fit, or it has NaN or infinity.
    """
    if not isinstance(input, torch.Tensor) or isinstance(input, QTensor) or not input.is_floating_point():
        raise float_input_error(conv._get_name(), input)
    if input.dim() != conv.dims + 2 or input.size(1) != conv.in_channels:
        raise ValueError(f"{conv._get_name()} takes an input of shape {conv._shape()}, got {tuple(input.shape)}")
    # Nothing has no range, and any scale will do.
    scale, zero_point = choose_dynamic_qparams(input, 0, 255, reduce_range) if input.numel() else (1.0, 0)
    integers = conv._padded(ops.quantize_per_tensor(input, scale, zero_point, torch.uint8))
    window = (conv._window, conv._transposed, relu)
    return ops.convolution_dequantize(integers, scale, zero_point, *conv.operands(), *window).to(input.dtype)


class Conv1d(Convolution, DynamicConv):
    """Convolves float sequences with int8 weights, and inputs quantized on the fly.

    Args and errors are those of ``torchq.nn.quantized.Conv1d``.

    Example:
        >>> Conv1d(16, 33, 3, stride=2)(torch.randn(20, 16, 100)).shape
        torch.Size([20, 33, 49])
    """

    dims = 1
    _float_types = (nn.Conv1d,)


class Conv2d(Convolution, DynamicConv):
    """Convolves float images with int8 weights, and inputs quantized on the fly.

    Args and errors are those of ``torchq.nn.quantized.Conv2d``.
    """

    dims = 2
    _float_types = (nn.Conv2d,)


class Conv3d(Convolution, DynamicConv):
    """Convolves float volumes with int8 weights, and inputs quantized on the fly.

    Args and errors are those of ``torchq.nn.quantized.Conv3d``.
    """

    dims = 3
    _float_types = (nn.Conv3d,)


class ConvTranspose1d(TransposedConvolution, DynamicConv):
    """The transposed convolution of float sequences with int8 weights, and inputs quantized on the fly.

    Args and errors are those of ``torchq.nn.quantized.ConvTranspose1d``.
    """

    dims = 1
    _float_types = (nn.ConvTranspose1d,)


class ConvTranspose2d(TransposedConvolution, DynamicConv):
    """The transposed convolution of float images with int8 weights, and inputs quantized on the fly.

    Args and errors are those of ``torchq.nn.quantized.ConvTranspose2d``.
    """

    dims = 2
    _float_types = (nn.ConvTranspose2d,)


class ConvTranspose3d(TransposedConvolution, DynamicConv):
    """The transposed convolution of float volumes with int8 weights, and inputs quantized on the fly.

    Args and errors are those of ``torchq.nn.quantized.ConvTranspose3d``.
    """

    dims = 3
    _float_types = (nn.ConvTranspose3d,)
