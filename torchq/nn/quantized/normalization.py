"""Quantized normalizations by the statistics of the input itself."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from torchq import ops
from torchq.nn.quantized.inputs import SPATIAL, input_error
from torchq.nn.quantized.static import SameDtypeModule
from torchq.qtensor import QTensor


class _Norm(SameDtypeModule):
    weight: torch.Tensor | None
    bias: torch.Tensor | None

    def __init__(
        self,
        size: tuple[int, ...],
        weight: torch.Tensor | None,
        bias: torch.Tensor | None,
        scale: float,
        zero_point: int,
        eps: float,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__(scale, zero_point)
        if dtype is not None:
            raise ValueError(f"{self._get_name()} takes no dtype, got {dtype}")
        self.eps = eps
        for name, value in (("weight", weight), ("bias", bias)):
            if value is not None:
                if tuple(value.shape) != size:
                    raise ValueError(f"{self._get_name()} takes a {name} of shape {size}, got {tuple(value.shape)}")
                value = value.detach().to(device, torch.float32, copy=True).contiguous()
            self.register_buffer(name, value)


class LayerNorm(_Norm):
    """Normalizes quantized values over the last dimensions.

    State: ``weight`` and ``bias``, where there are some, and that of ``QuantizedOutputModule``.

    Args:
        normalized_shape: the size of the last dimensions; a number for one.
        weight: float, of that size, or None for ones.
        bias: float, of that size, or None for zeros.
        scale: of the output.
        zero_point: of the output.
        eps: added to the variance.
        elementwise_affine: is printed; ``weight`` and ``bias`` are what counts.
        device: where weight and bias are put.
        dtype: must be None; it is there for torch.ao's signature.

    Raises:
        ValueError: if a shape does not fit, or a dtype is given.

    Example:
        >>> x = torchq.quantize_per_tensor(torch.tensor([[0.0, 1.0, 2.0]]), 0.1, 10, torchq.quint8)
        >>> LayerNorm(3, None, None, 0.1, 128)(x).dequantize()
        tensor([[-1.2000,  0.0000,  1.2000]])
    """

    _float_types = (nn.LayerNorm,)

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        weight: torch.Tensor | None,
        bias: torch.Tensor | None,
        scale: float,
        zero_point: int,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        size = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        super().__init__(size, weight, bias, scale, zero_point, eps, device, dtype)
        self.normalized_shape = size
        self.elementwise_affine = elementwise_affine

    def forward(self, input: QTensor) -> QTensor:
        """Returns the normalized values.

        Args:
            input: of 8 bits, ``[*, *normalized_shape]``, with one scale.

        Raises:
            TypeError: if ``input`` is not quantized.
            ValueError: if its shape or dtype does not fit, or it has several scales.
        """
        size = self.normalized_shape
        data = self._integers(input)
        if data.shape[-len(size) :] != size:
            raise input_error(self._get_name(), input, f"[..., {', '.join(map(str, size))}]")
        buffers = self._buffers
        parameters = (buffers["weight"], buffers["bias"], self.eps)
        output = (self.scale, self.zero_point)
        data = ops.layer_norm(data, input._scale, input._zero_point, size, *parameters, *output)
        return QTensor(data, *output)

    @classmethod
    def _like(cls, mod: nn.LayerNorm) -> "LayerNorm":
        return cls(mod.normalized_shape, mod.weight, mod.bias, 1.0, 0, mod.eps, mod.elementwise_affine)

    def _get_name(self) -> str:
        return "QuantizedLayerNorm"

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class _ChannelNorm(_Norm):
    """Base of the norms whose statistics are those of groups of channels, each image for itself."""

    def _normalized(self, input: Any, channels: int, groups: int, dims: int | None) -> QTensor:
        data = self._integers(input)
        if data.dim() < 2 or data.size(1) != channels or (dims is not None and data.dim() != dims + 2):
            spatial = "*" if dims is None else SPATIAL[dims]
            raise input_error(self._get_name(), input, f"[N, {channels}, {spatial}]")
        buffers = self._buffers
        parameters = (buffers["weight"], buffers["bias"], self.eps)
        output = (self.scale, self.zero_point)
        data = ops.group_norm(data, input._scale, input._zero_point, groups, *parameters, *output)
        return QTensor(data, *output)


class GroupNorm(_ChannelNorm):
    """Normalizes groups of channels of quantized values, each image for itself.

    State: ``weight`` and ``bias``, where there are some, and that of ``QuantizedOutputModule``.

    Args:
        num_groups: divides C.
        num_channels: C.
        weight: float ``[C]``, or None for ones.
        bias: float ``[C]``, or None for zeros.
        scale: of the output.
        zero_point: of the output.
        eps: added to the variance.
        affine: is printed; ``weight`` and ``bias`` are what counts.
        device: where weight and bias are put.
        dtype: must be None; it is there for torch.ao's signature.

    Raises:
        ValueError: if a shape does not fit, or a dtype is given.
    """

    _float_types = (nn.GroupNorm,)

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        weight: torch.Tensor | None,
        bias: torch.Tensor | None,
        scale: float,
        zero_point: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__((num_channels,), weight, bias, scale, zero_point, eps, device, dtype)
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"num_groups must divide num_channels {num_channels}, got {num_groups}")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.affine = affine

    def forward(self, input: QTensor) -> QTensor:
        """Returns the normalized values.

        Args:
            input: of 8 bits, ``[N, C, *]``, with one scale.

        Raises:
            TypeError: if ``input`` is not quantized.
            ValueError: if its shape or dtype does not fit, or it has several scales.
        """
        return self._normalized(input, self.num_channels, self.num_groups, None)

    @classmethod
    def _like(cls, mod: nn.GroupNorm) -> "GroupNorm":
        return cls(mod.num_groups, mod.num_channels, mod.weight, mod.bias, 1.0, 0, mod.eps, mod.affine)

    def _get_name(self) -> str:
        return "QuantizedGroupNorm"

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class _InstanceNorm(_ChannelNorm):
    _dims: ClassVar[int]

    def __init__(
        self,
        num_features: int,
        weight: torch.Tensor | None,
        bias: torch.Tensor | None,
        scale: float,
        zero_point: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__((num_features,), weight, bias, scale, zero_point, eps, device, dtype)
        if track_running_stats:
            raise ValueError(f"{self._get_name()} normalizes by the input itself, got track_running_stats=True")
        self.num_features = num_features
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = False

    def forward(self, input: QTensor) -> QTensor:
        """Returns the normalized values.

        Args:
            input: of 8 bits, ``[N, C, *spatial]``, with one scale.

        Raises:
            TypeError: if ``input`` is not quantized.
            ValueError: if its shape or dtype does not fit, or it has several scales.
        """
        return self._normalized(input, self.num_features, self.num_features, self._dims)

    @classmethod
    def _like(cls, mod: nn.Module) -> "_InstanceNorm":
        statistics = (mod.momentum, mod.affine, mod.track_running_stats)
        return cls(mod.num_features, mod.weight, mod.bias, 1.0, 0, mod.eps, *statistics)

    def _get_name(self) -> str:
        return f"QuantizedInstanceNorm{self._dims}d"

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class InstanceNorm1d(_InstanceNorm):
    """Normalizes each channel of each quantized sequence by itself.

    State: ``weight`` and ``bias``, where there are some, and that of ``QuantizedOutputModule``.

    Args:
        num_features: C.
        weight: float ``[C]``, or None for ones.
        bias: float ``[C]``, or None for zeros.
        scale: of the output.
        zero_point: of the output.
        eps: added to the variance.
        momentum: means nothing here, and is there for torch.ao's signature.
        affine: is printed; ``weight`` and ``bias`` are what counts.
        track_running_stats: must be False.
        device: where weight and bias are put.
        dtype: must be None; it is there for torch.ao's signature.

    Raises:
        ValueError: if an argument is none of these.
    """

    _dims = 1
    _float_types = (nn.InstanceNorm1d,)


class InstanceNorm2d(_InstanceNorm):
    """Normalizes each channel of each quantized image by itself.

    Args, state and errors are those of ``InstanceNorm1d``.
    """

    _dims = 2
    _float_types = (nn.InstanceNorm2d,)


class InstanceNorm3d(_InstanceNorm):
    """Normalizes each channel of each quantized volume by itself.

    Args, state and errors are those of ``InstanceNorm1d``.
    """

    _dims = 3
    _float_types = (nn.InstanceNorm3d,)
