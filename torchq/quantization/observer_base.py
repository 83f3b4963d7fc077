"""What all observers share: factories for qconfigs, the grid, and the checks."""

import abc
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from torchq.dtypes import (
    QScheme,
    as_qdtype,
    as_qscheme,
    per_channel_symmetric,
    per_tensor_affine,
    per_tensor_symmetric,
    quint8,
)
from torchq.quantization.qparams import affine_qparams, quantization_range, symmetric_qparams, symmetric_zero_point

_FLOAT32 = torch.finfo(torch.float32)
FLOAT32_EPS = _FLOAT32.eps


class ObserverFactory:
    """A callable that builds one observer per call, from a class and some of its arguments.

    A qconfig holds factories, not observers, because every observed module needs an observer of its own.
    Made by ``ObserverBase.with_args`` and ``with_callable_args``.

    Args:
        target: the observer class.
        arguments: fixed keyword arguments.
        callable_arguments: keyword arguments whose value is the result of a call made at construction time.
    """

    def __init__(
        self, target: Callable[..., Any], arguments: dict[str, Any], callable_arguments: dict[str, Callable[[], Any]]
    ) -> None:
        self.target = target
        self.arguments = arguments
        self.callable_arguments = callable_arguments

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        late = {name: make() for name, make in self.callable_arguments.items() if name not in kwargs}
        return self.target(*args, **{**self.arguments, **late, **kwargs})

    def with_args(self, **kwargs: Any) -> "ObserverFactory":
        """Returns a factory with more arguments fixed, or some of them replaced."""
        return ObserverFactory(self.target, {**self.arguments, **kwargs}, self.callable_arguments)

    def with_callable_args(self, **kwargs: Callable[[], Any]) -> "ObserverFactory":
        """Returns a factory that calls each value anew for every observer it builds."""
        return ObserverFactory(self.target, self.arguments, {**self.callable_arguments, **kwargs})

    def __repr__(self) -> str:
        arguments = {**self.arguments, **self.callable_arguments}
        return f"{self.target.__name__}.with_args({', '.join(f'{k}={v!r}' for k, v in arguments.items())})"


class ObserverBase(nn.Module, abc.ABC):
    """Base of all observers.

    Args:
        dtype: what the observed tensor shall become.
        is_dynamic: qparams are chosen at run time, so nothing is recorded.

    Attributes:
        module_name: qualified name of what is observed, set by ``prepare``; error messages use it.
    """

    def __init__(self, dtype: Any, is_dynamic: bool = False) -> None:
        super().__init__()
        self.dtype = dtype
        self.is_dynamic = is_dynamic
        self.module_name: str | None = None

    @abc.abstractmethod
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Records ``x`` and returns it unchanged."""

    @abc.abstractmethod
    def calculate_qparams(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns scale and zero point for what was recorded."""

    @classmethod
    def with_args(cls, **kwargs: Any) -> ObserverFactory:
        """Returns a factory of this observer with some arguments fixed.

        Example:
            >>> MinMaxObserver.with_args(quant_min=0, quant_max=127)().quant_max
            127
        """
        return ObserverFactory(cls, kwargs, {})

    @classmethod
    def with_callable_args(cls, **kwargs: Callable[[], Any]) -> ObserverFactory:
        """Returns a factory that calls each value anew for every observer it builds."""
        return ObserverFactory(cls, {}, kwargs)

    def _label(self) -> str:
        of = f" of {self.module_name!r}" if self.module_name is not None else ""
        return type(self).__name__ + of


class UniformQuantizationObserverBase(ObserverBase):
    """Base of the observers that choose a uniform grid from a recorded range.

    Args:
        dtype: ``quint8``, ``qint8`` or ``qint32``, torchq's or torch's.
        qscheme: how scales are shared and whether zero is in the middle.
        reduce_range: give up one bit of the range.
        quant_min: smallest integer, with ``quant_max``; the dtype's own when None.
        quant_max: largest integer.
        factory_kwargs: ``device`` and ``dtype`` of the buffers.
        eps: smallest scale; a normal float32 above 0.
        is_dynamic: must be False; use ``PlaceholderObserver`` for dynamic quantization.

    Attributes:
        supported_qschemes: the schemes that the class can choose qparams for.

    Raises:
        TypeError: if ``dtype`` or ``qscheme`` is neither torchq's nor torch's.
        ValueError: if an argument does not fit the class, the dtype or the scheme.
    """

    # State dicts say 3 in torch.ao too, since its per-channel buffers are named min_val and max_val.
    _version = 3
    supported_qschemes: tuple[QScheme, ...] = (per_tensor_affine, per_tensor_symmetric)

    min_val: torch.Tensor
    max_val: torch.Tensor
    eps: torch.Tensor

    def __init__(
        self,
        dtype: Any = quint8,
        qscheme: Any = per_tensor_affine,
        reduce_range: bool = False,
        quant_min: int | None = None,
        quant_max: int | None = None,
        factory_kwargs: dict[str, Any] | None = None,
        eps: float = FLOAT32_EPS,
        is_dynamic: bool = False,
    ) -> None:
        name = type(self).__name__
        if is_dynamic:
            raise ValueError(f"{name} records data; for dynamic quantization use PlaceholderObserver(is_dynamic=True)")
        super().__init__(as_qdtype(dtype), is_dynamic)
        self.qscheme = as_qscheme(qscheme)
        if self.qscheme not in self.supported_qschemes:
            raise ValueError(f"{name} supports {', '.join(map(str, self.supported_qschemes))}, got {self.qscheme}")
        if self.is_symmetric and reduce_range and self.dtype is quint8:
            raise ValueError(
                f"{name} cannot reduce the range of symmetric quint8: its zero point 128 would lie outside"
            )
        if not _FLOAT32.tiny <= eps <= _FLOAT32.max:
            raise ValueError(f"eps must lie in [{_FLOAT32.tiny}, {_FLOAT32.max}], float32's normal numbers, got {eps}")
        self.reduce_range = reduce_range
        self.has_customized_qrange = quant_min is not None and quant_max is not None
        self.quant_min, self.quant_max = quantization_range(self.dtype, reduce_range, quant_min, quant_max)
        factory_kwargs = torch.nn.factory_kwargs(factory_kwargs)
        self.register_buffer("eps", torch.tensor([eps], **factory_kwargs))
        self.register_buffer("min_val", self._empty_range(float("inf"), factory_kwargs))
        self.register_buffer("max_val", self._empty_range(float("-inf"), factory_kwargs))

    @property
    def is_symmetric(self) -> bool:
        """Whether the scheme puts zero in the middle of the range."""
        return self.qscheme in (per_tensor_symmetric, per_channel_symmetric)

    @property
    def has_data(self) -> bool:
        """Whether at least one value was recorded."""
        return self.min_val.numel() > 0 and bool((self.min_val <= self.max_val).all())

    def calculate_qparams(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Chooses scale and zero point for the recorded range.

        Returns:
            scale: float32 ``[1]``, or ``[C]`` per channel.
            zero_point: int64, the same shape.

        Raises:
            RuntimeError: if no data was recorded.
            ValueError: if the range is too wide for a float32 scale.
        """
        if not self.has_data:
            raise RuntimeError(
                f"{self._label()} never saw data: run the prepared model on calibration data first, "
                "or set the module's qconfig to None to leave it in float"
            )
        return self._qparams_of(*self._chosen_range())

    def reset_min_max_vals(self) -> None:
        """Forgets the recorded data."""
        kwargs = {"dtype": self.min_val.dtype, "device": self.min_val.device}
        self.min_val = self._empty_range(float("inf"), kwargs)
        self.max_val = self._empty_range(float("-inf"), kwargs)

    def extra_repr(self) -> str:
        return f"min_val={self.min_val}, max_val={self.max_val}"

    def _empty_range(self, value: float, factory_kwargs: dict[str, Any]) -> torch.Tensor:
        return torch.tensor(value, **factory_kwargs)

    def _chosen_range(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.min_val, self.max_val

    def _qparams_of(self, min_val: torch.Tensor, max_val: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        ends = (min_val, max_val, self.quant_min, self.quant_max, self.eps)
        if self.is_symmetric:
            middle = symmetric_zero_point(self.dtype, self.quant_min, self.quant_max, self.has_customized_qrange)
            scale, zero_point = symmetric_qparams(*ends, middle)
        else:
            scale, zero_point = affine_qparams(*ends)
        if not torch.isfinite(scale).all():
            raise ValueError(f"{self._label()} saw [{min_val.min()}, {max_val.max()}], too wide for a float32 scale")
        return scale, zero_point

    def _checked(self, x: torch.Tensor) -> torch.Tensor:
        """Returns ``x`` detached and as float32 (the buffers' dtype)."""
        if not isinstance(x, torch.Tensor):
            raise TypeError(f"{self._label()} expects a tensor, got {type(x).__name__}")
        return x.detach().to(self.min_val.dtype)

    def _finite_range(self, x: torch.Tensor, dim: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns minimum and maximum of ``x``, over ``dim`` if given; aminmax passes NaN on."""
        low, high = torch.aminmax(x, dim=dim)
        if not (torch.isfinite(low) & torch.isfinite(high)).all():
            raise ValueError(
                f"{self._label()} saw NaN or infinity (min {low.min()}, max {high.max()}) in a tensor of shape "
                f"{tuple(x.shape)}: calibrate with finite data"
            )
        return low, high
