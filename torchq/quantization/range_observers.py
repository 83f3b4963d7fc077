"""Observers of the smallest and the largest value, of a tensor or of each of its channels."""

from collections.abc import Sequence
from typing import Any

import torch

from torchq.dtypes import (
    per_channel_affine,
    per_channel_affine_float_qparams,
    per_channel_symmetric,
    per_tensor_affine,
    quint8,
)
from torchq.quantization.observer_base import FLOAT32_EPS, UniformQuantizationObserverBase
from torchq.quantization.reduction import Statistics


class MinMaxObserver(UniformQuantizationObserverBase):
    """Records the smallest and largest value seen.

    Affine: ``scale = (max - min) / (quant_max - quant_min)``, ``zero_point = quant_min - rne(min / scale)``.
    Symmetric: ``scale = 2 max(|min|, |max|) / (quant_max - quant_min)``, zero point 0, or 128 for ``quint8``.
    Arguments and errors: see ``UniformQuantizationObserverBase``.

    Example:
        >>> observer = MinMaxObserver()
        >>> _ = observer(torch.tensor([-1.0, 0.0, 4.1]))
        >>> scale, zero_point = observer.calculate_qparams()
        >>> round(scale.item(), 6), zero_point.item()
        (0.02, 50)
    """

    supports_dynamic = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values = self._checked(x)
        if values.numel() == 0:
            return x
        self._record(*self._finite_range(values))
        return x


class PerChannelMinMaxObserver(UniformQuantizationObserverBase):
    """Records the smallest and largest value of each channel.

    With ``per_channel_affine_float_qparams``, ``scale = (max - min) / quant_max``, or 1 where that is not above
    ``eps``, and ``zero_point = -min / scale`` is a float; the others are as in ``MinMaxObserver``.

    Args:
        ch_axis: the channel axis; may be negative.
        dtype: see ``UniformQuantizationObserverBase``, as the rest.

    Example:
        >>> observer = PerChannelMinMaxObserver(dtype=torchq.qint8, qscheme=per_channel_symmetric)
        >>> _ = observer(torch.tensor([[-1.275, 0.0], [0.0, 2.55]]))
        >>> [round(scale, 6) for scale in observer.calculate_qparams()[0].tolist()]
        [0.01, 0.02]
    """

    supported_qschemes = (per_channel_affine, per_channel_symmetric, per_channel_affine_float_qparams)

    def __init__(
        self,
        ch_axis: int = 0,
        dtype: Any = quint8,
        qscheme: Any = per_channel_affine,
        reduce_range: bool = False,
        quant_min: int | None = None,
        quant_max: int | None = None,
        factory_kwargs: dict[str, Any] | None = None,
        eps: float = FLOAT32_EPS,
        is_dynamic: bool = False,
    ) -> None:
        super().__init__(dtype, qscheme, reduce_range, quant_min, quant_max, factory_kwargs, eps, is_dynamic)
        self.ch_axis = ch_axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values = self._checked(x)
        if values.numel() == 0:
            return x
        if not -values.dim() <= self.ch_axis < values.dim():
            raise ValueError(f"{self._label()} has ch_axis {self.ch_axis}, got a tensor of shape {tuple(values.shape)}")
        channels = values.movedim(self.ch_axis, 0)
        low, high = self._finite_range(channels.reshape(len(channels), -1), dim=1)
        if self.has_data and low.shape != self.min_val.shape:
            raise ValueError(f"{self._label()} saw {self.min_val.numel()} channels before, now {low.numel()}")
        self._record(low, high)
        return x

    def _empty_range(self, value: float, factory_kwargs: dict[str, Any]) -> torch.Tensor:
        return torch.tensor([], **factory_kwargs)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        state_dict = dict(state_dict)
        for name, buffer in (("min_val", self.min_val), ("max_val", self.max_val)):
            # Their names before version 3.
            if prefix + name + "s" in state_dict:
                state_dict[prefix + name] = state_dict.pop(prefix + name + "s")
            # The number of channels is known only once data was seen, so the buffers take the saved size.
            if prefix + name in state_dict and state_dict[prefix + name].dim() == 1:
                buffer.resize_(state_dict[prefix + name].shape)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


class _MovingAverage(UniformQuantizationObserverBase):
    """What the two observers with moving averages share.

    Args:
        averaging_constant: weight of the newest tensor, from 0 to 1.
        kwargs: see ``UniformQuantizationObserverBase``.
    """

    def __init__(self, averaging_constant: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= averaging_constant <= 1:
            raise ValueError(f"averaging_constant must lie in [0, 1], got {averaging_constant}")
        if self.is_dynamic and averaging_constant != 1:
            raise ValueError(
                f"{type(self).__name__} can be dynamic with averaging_constant=1 only, where the newest tensor alone "
                f"counts, got {averaging_constant}"
            )
        self.averaging_constant = averaging_constant

    def _updated_range(self, low: torch.Tensor, high: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        c = self.averaging_constant
        average_low, average_high = self.min_val + c * (low - self.min_val), self.max_val + c * (high - self.max_val)
        if not (torch.isfinite(average_low) & torch.isfinite(average_high)).all():
            raise ValueError(
                f"{self._label()} saw [{low.min()}, {high.max()}], too far from what it saw before to average"
            )
        # Constant tensors can bring the two so close that they round past each other.
        return average_low, torch.max(average_low, average_high)

    def _merge(self, ranks: Sequence[Statistics]) -> Statistics:
        # In float64, so that one rounding, back to float32, is left.
        return {name: torch.stack([rank[name] for rank in ranks]).double().mean(0) for name in ("min_val", "max_val")}


class MovingAverageMinMaxObserver(_MovingAverage, MinMaxObserver):
    """Records exponential moving averages of each tensor's smallest and largest value.

    ``min += averaging_constant * (min(x) - min)``, the first tensor's values to begin with; max likewise.

    Args:
        averaging_constant: weight of the newest tensor, from 0 to 1; must be 1 if ``is_dynamic``.
        dtype: see ``UniformQuantizationObserverBase``, as the rest.

    Example:
        >>> observer = MovingAverageMinMaxObserver(averaging_constant=0.5)
        >>> _ = observer(torch.tensor([0.0, 1.0])), observer(torch.tensor([0.0, 2.0]))
        >>> observer.max_val
        tensor(1.5000)
    """

    def __init__(
        self,
        averaging_constant: float = 0.01,
        dtype: Any = quint8,
        qscheme: Any = per_tensor_affine,
        reduce_range: bool = False,
        quant_min: int | None = None,
        quant_max: int | None = None,
        eps: float = FLOAT32_EPS,
        is_dynamic: bool = False,
        *,
        factory_kwargs: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            averaging_constant,
            dtype=dtype,
            qscheme=qscheme,
            reduce_range=reduce_range,
            quant_min=quant_min,
            quant_max=quant_max,
            factory_kwargs=factory_kwargs,
            eps=eps,
            is_dynamic=is_dynamic,
        )


class MovingAveragePerChannelMinMaxObserver(_MovingAverage, PerChannelMinMaxObserver):
    """Records exponential moving averages of the smallest and largest value of each channel.

    Args:
        averaging_constant: weight of the newest tensor, from 0 to 1.
        ch_axis: the channel axis; may be negative.
        dtype: see ``UniformQuantizationObserverBase``, as the rest.

    Example:
        >>> observer = MovingAveragePerChannelMinMaxObserver(averaging_constant=0.5)
        >>> _ = observer(torch.tensor([[1.0], [2.0]])), observer(torch.tensor([[2.0], [4.0]]))
        >>> observer.max_val
        tensor([1.5000, 3.0000])
    """

    def __init__(
        self,
        averaging_constant: float = 0.01,
        ch_axis: int = 0,
        dtype: Any = quint8,
        qscheme: Any = per_channel_affine,
        reduce_range: bool = False,
        quant_min: int | None = None,
        quant_max: int | None = None,
        eps: float = FLOAT32_EPS,
        is_dynamic: bool = False,
        *,
        factory_kwargs: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            averaging_constant,
            ch_axis=ch_axis,
            dtype=dtype,
            qscheme=qscheme,
            reduce_range=reduce_range,
            quant_min=quant_min,
            quant_max=quant_max,
            factory_kwargs=factory_kwargs,
            eps=eps,
            is_dynamic=is_dynamic,
        )
