"""Observers: modules that watch tensors go by and choose a scale and a zero point for them.

The names, arguments and results are those of ``torch.ao.quantization``: given the same float32 data, scale
and zero point are equal to the bit. Two cases that torch.ao lets pass are errors here: NaN or infinity in
the data, and asking for qparams before any data was seen.
"""

from typing import Any

import torch

from torchq.dtypes import (
    as_qscheme,
    per_channel_affine,
    per_channel_symmetric,
    per_tensor_affine,
    per_tensor_symmetric,
    qint8,
    quint8,
)
from torchq.quantization.histogram_observer import HistogramObserver
from torchq.quantization.observer_base import (
    FLOAT32_EPS,
    ObserverBase,
    ObserverFactory,
    UniformQuantizationObserverBase,
)

__all__ = [
    "HistogramObserver",
    "MinMaxObserver",
    "MovingAverageMinMaxObserver",
    "ObserverBase",
    "ObserverFactory",
    "PerChannelMinMaxObserver",
    "PlaceholderObserver",
    "UniformQuantizationObserverBase",
    "default_dynamic_quant_observer",
    "default_histogram_observer",
    "default_observer",
    "default_per_channel_weight_observer",
    "default_placeholder_observer",
    "default_weight_observer",
]


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

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values = self._checked(x)
        if values.numel() == 0:
            return x
        low, high = self._updated_range(*self._finite_range(values))
        self.min_val.copy_(low)
        self.max_val.copy_(high)
        return x

    def _updated_range(self, low: torch.Tensor, high: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.min(low, self.min_val), torch.max(high, self.max_val)


class MovingAverageMinMaxObserver(MinMaxObserver):
    """Records exponential moving averages of each tensor's smallest and largest value.

    ``min += averaging_constant * (min(x) - min)``, the first tensor's values to begin with; max likewise.

    Args:
        averaging_constant: weight of the newest tensor, from 0 to 1.
        dtype: see ``UniformQuantizationObserverBase``, as the rest.
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
        super().__init__(dtype, qscheme, reduce_range, quant_min, quant_max, factory_kwargs, eps, is_dynamic)
        if not 0 <= averaging_constant <= 1:
            raise ValueError(f"averaging_constant must lie in [0, 1], got {averaging_constant}")
        self.averaging_constant = averaging_constant

    def _updated_range(self, low: torch.Tensor, high: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.has_data:
            return low, high
        c = self.averaging_constant
        return self.min_val + c * (low - self.min_val), self.max_val + c * (high - self.max_val)


class PerChannelMinMaxObserver(UniformQuantizationObserverBase):
    """Records the smallest and largest value of each channel.

    Args:
        ch_axis: the channel axis; may be negative.
        dtype: see ``UniformQuantizationObserverBase``, as the rest.

    Example:
        >>> observer = PerChannelMinMaxObserver(dtype=qint8, qscheme=per_channel_symmetric)
        >>> _ = observer(torch.tensor([[-1.275, 0.0], [0.0, 2.55]]))
        >>> [round(scale, 6) for scale in observer.calculate_qparams()[0].tolist()]
        [0.01, 0.02]
    """

    supported_qschemes = (per_channel_affine, per_channel_symmetric)

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
        low, high = self._finite_range(values.movedim(self.ch_axis, 0).flatten(1), dim=1)
        if self.min_val.numel() == 0:
            self.min_val.resize_(low.shape)
            self.max_val.resize_(high.shape)
        elif low.shape != self.min_val.shape:
            raise ValueError(f"{self._label()} saw {self.min_val.numel()} channels before, now {low.numel()}")
        else:
            low, high = torch.min(low, self.min_val), torch.max(high, self.max_val)
        self.min_val.copy_(low)
        self.max_val.copy_(high)
        return x

    def _empty_range(self, value: float, factory_kwargs: dict[str, Any]) -> torch.Tensor:
        return torch.tensor([], **factory_kwargs)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # The number of channels is known only once data was seen, so the buffers take the saved size.
        for buffer, key in ((self.min_val, prefix + "min_val"), (self.max_val, prefix + "max_val")):
            if key in state_dict and state_dict[key].dim() == 1:
                buffer.resize_(state_dict[key].shape)
        super()._load_from_state_dict(state_dict, prefix, *args)


class PlaceholderObserver(ObserverBase):
    """Records nothing; carries the settings of a tensor that needs no calibration.

    Args:
        dtype: what the tensor shall become.
        custom_op_name: name of an operator that this observer stands for.
        compute_dtype: if given, means ``is_dynamic=True``.
        quant_min: smallest integer.
        quant_max: largest integer.
        qscheme: ``per_tensor_affine`` when None.
        eps: smallest scale; float32's machine epsilon when None.
        is_dynamic: qparams are chosen at run time.
    """

    def __init__(
        self,
        dtype: Any = torch.float32,
        custom_op_name: str = "",
        compute_dtype: Any = None,
        quant_min: int | None = None,
        quant_max: int | None = None,
        qscheme: Any = None,
        eps: float | None = None,
        is_dynamic: bool = False,
    ) -> None:
        super().__init__(dtype, is_dynamic or compute_dtype is not None)
        self.qscheme = per_tensor_affine if qscheme is None else as_qscheme(qscheme)
        self.quant_min = quant_min
        self.quant_max = quant_max
        self.eps = FLOAT32_EPS if eps is None else eps
        self.custom_op = custom_op_name

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def calculate_qparams(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Raises RuntimeError: there is no data to choose from."""
        raise RuntimeError(f"{self._label()} records nothing, so it has no scale and zero point")

    def extra_repr(self) -> str:
        return f"dtype={self.dtype}, is_dynamic={self.is_dynamic}"


default_observer = MinMaxObserver.with_args(quant_min=0, quant_max=127)
default_placeholder_observer = PlaceholderObserver
default_weight_observer = MinMaxObserver.with_args(dtype=qint8, qscheme=per_tensor_symmetric)
default_per_channel_weight_observer = PerChannelMinMaxObserver.with_args(dtype=qint8, qscheme=per_channel_symmetric)
default_histogram_observer = HistogramObserver.with_args(quant_min=0, quant_max=127)
default_dynamic_quant_observer = PlaceholderObserver.with_args(
    dtype=quint8, quant_min=0, quant_max=255, is_dynamic=True
)
