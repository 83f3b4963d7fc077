"""What quantized convolutions share: static and dynamic ones, in 1 to 3 dimensions, transposed or not."""

from numbers import Integral
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from torchq import ops
from torchq.nn.quantized.conversion import quantized_weight_bias
from torchq.nn.quantized.inputs import SPATIAL
from torchq.nn.quantized.weighted import WeightedQuantizedModule

_SIZES = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")


class ConvModule(WeightedQuantizedModule):
    """Base of the quantized convolutions. Subclasses say how many dimensions an image has.

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: one number, or one per dimension, as the others.
        stride: in pixels.
        padding: in pixels, on both sides; or ``"valid"``, or ``"same"`` where that pads both sides equally.
        dilation: in pixels.
        output_padding: of a transposed convolution; 0 for others.
        groups: divides C and O.
        bias: whether there is a bias.
        padding_mode: ``"zeros"`` or, unless transposed, ``"reflect"``.
        device: where the weight is made.
        dtype: must be None; it is there for torch.ao's signature.

    Attributes:
        dims: spatial dimensions of an image.

    Raises:
        ValueError: if an argument is none of these.
    """

    dims: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        output_padding: Any,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        name, modes = self._get_name(), ("zeros",) if self._transposed else ("zeros", "reflect")
        if padding_mode not in modes:
            raise ValueError(f"{name} takes a padding_mode of {' or '.join(modes)}, got {padding_mode!r}")
        if dtype is not None:
            raise ValueError(f"{name} takes no dtype, got {dtype}")
        self._check_channels(in_channels, out_channels, groups)
        kernel_size = self._numbers("kernel_size", kernel_size, 1)
        channels = (in_channels, out_channels) if self._transposed else (out_channels, in_channels)
        super().__init__((channels[0], channels[1] // groups, *kernel_size), bias, groups)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = self._numbers("stride", stride, 1)
        self.dilation = self._numbers("dilation", dilation, 1)
        self.padding = self._resolved_padding(padding)
        self.transposed = self._transposed
        self.output_padding = self._numbers("output_padding", output_padding, 0)
        self.groups = groups
        self.padding_mode = padding_mode
        reflects = padding_mode == "reflect"
        self._reflected = [size for size in reversed(self.padding) for _ in range(2)] if reflects else None
        zeros = (0,) * self.dims if reflects else self.padding
        extra = (self.output_padding,) if self._transposed else ()
        self._window = ops.window(kernel_size, self.stride, zeros, self.dilation, *extra)
        self.to(device)

    def _check_channels(self, in_channels: int, out_channels: int, groups: int) -> None:
        if groups < 1 or min(in_channels, out_channels) < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"in_channels and out_channels must be at least 1 and divisible by groups, got {in_channels}, "
                f"{out_channels} and {groups}"
            )

    def _padded(self, integers: torch.Tensor) -> torch.Tensor:
        """Returns the image with what ``padding_mode`` reflects around it; zeros are the operator's matter."""
        return integers if self._reflected is None else F.pad(integers, self._reflected, mode="reflect")

    def _shape(self) -> str:
        return f"[N, {self.in_channels}, {SPATIAL[self.dims]}]"

    def _numbers(self, name: str, value: Any, least: int) -> tuple[int, ...]:
        numbers = (value,) * self.dims if isinstance(value, Integral) else value
        if (
            not isinstance(numbers, (tuple, list))
            or len(numbers) != self.dims
            or not all(isinstance(number, Integral) and number >= least for number in numbers)
        ):
            raise ValueError(f"{name} must be an integer >= {least}, or a tuple of {self.dims}, got {value!r}")
        return tuple(numbers)

    def _resolved_padding(self, padding: Any) -> tuple[int, ...]:
        """Returns how much is added on each side."""
        if self._transposed or not isinstance(padding, str):
            return self._numbers("padding", padding, 0)
        if padding not in ("valid", "same"):
            raise ValueError(f"padding must be numbers, 'valid' or 'same', got {padding!r}")
        total = [d * (k - 1) for k, d in zip(self.kernel_size, self.dilation, strict=True)]
        if padding == "valid":
            return (0,) * self.dims
        if any(size % 2 for size in total):
            raise ValueError(
                f"padding 'same' with kernel {self.kernel_size} and dilation {self.dilation} pads the sides unequally"
            )
        return tuple(size // 2 for size in total)

    @classmethod
    def _with_weight_of(cls, mod: nn.Module, conv: nn.Module) -> "ConvModule":
        """Returns a convolution with the arguments and the quantized weight of a float one.

        Args:
            mod: has a ``qconfig``.
            conv: what ``weighted_part`` returned for it.
        """
        weight, bias = quantized_weight_bias(mod, conv, axis=1 if cls._transposed else 0)
        names = (*_SIZES, "output_padding") if cls._transposed else _SIZES
        module = cls(**{name: getattr(conv, name) for name in names}, bias=bias is not None)
        module.set_weight_bias(weight, bias)
        return module

    def extra_repr(self) -> str:
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        parts += [f"{name}={getattr(self, name)}" for name in ("scale", "zero_point") if hasattr(self, name)]
        plain = {
            "padding": (0,) * self.dims,
            "dilation": (1,) * self.dims,
            "output_padding": (0,) * self.dims,
            "groups": 1,
        }
        parts += [f"{name}={getattr(self, name)}" for name, value in plain.items() if getattr(self, name) != value]
        parts += ["bias=False"] if self._bias is None else []
        return ", ".join(parts)


class Convolution(ConvModule):
    """A convolution, with the arguments of ``nn.Conv2d`` in their order."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | str = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        window = (kernel_size, stride, padding, dilation, 0)
        super().__init__(in_channels, out_channels, *window, groups, bias, padding_mode, device, dtype)


class TransposedConvolution(ConvModule):
    """A transposed convolution, with the arguments of ``nn.ConvTranspose2d`` in their order."""

    _transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        output_padding: int | tuple[int, ...] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, ...] = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        window = (kernel_size, stride, padding, dilation, output_padding)
        super().__init__(in_channels, out_channels, *window, groups, bias, padding_mode, device, dtype)
