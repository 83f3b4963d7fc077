"""What all observers share: factories for qconfigs, the grid, and the checks."""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from torchq.dtypes import (
    QScheme,
    as_qscheme,
    from_torch,
    per_channel_affine_float_qparams,
    per_tensor_affine,
    per_tensor_symmetric,
    quint4x2,
    quint8,
)
from torchq.quantization import reduction
from torchq.quantization.qparams import (
    as_grid_dtype,
    check_min_max_valid,
    choose_qparams,
    is_symmetric,
    quantization_range,
    symmetric_zero_point,
)
from torchq.quantization.reduction import Statistics

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
        dtype: what the observed tensor shall become; a quantized dtype of torch is kept as torchq's.
        is_dynamic: qparams are to be chosen at run time.

    Attributes:
        module_name: qualified name of what is observed, set by ``prepare``; error messages use it.
    """

    def __init__(self, dtype: Any, is_dynamic: bool = False) -> None:
        super().__init__()
        self.dtype = from_torch(dtype)
        self.is_dynamic = is_dynamic
        self.module_name: str | None = None

    @abc.abstractmethod
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Records ``x`` and returns it unchanged."""

    @abc.abstractmethod
    def calculate_qparams(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns scale and zero point for what was recorded."""

    def all_reduce(self, group: "torch.distributed.ProcessGroup | None" = None) -> None:
        """Merges what was recorded with what this observer recorded on the other ranks, in place.

        See ``all_reduce_observers``, which does so for all observers of a model at once.

        Args:
            group: the process group; the default one if None.

        Raises:
            RuntimeError: if no rank has data, or ``torch.distributed`` is not initialized.
            ValueError: if the ranks' observers do not have the same settings.
        """
        reduction.all_reduce({self.module_name or type(self).__name__: self}, group)

    def _statistics(self) -> Statistics | None:
        """Returns what was recorded, an empty dictionary without data, or None if the class records nothing."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its ranks share: define _statistics")

    def _merge(self, ranks: Sequence[Statistics]) -> Statistics:
        """Returns what all ranks together recorded.

        Args:
            ranks: what ``_statistics`` returned on each rank that has data, by rank.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how to merge its ranks: define _merge")

    def _set_statistics(self, statistics: Statistics) -> None:
        """Replaces what was recorded."""
        for name, value in statistics.items():
            getattr(self, name).resize_(value.shape).copy_(value)

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
        dtype: ``quint8``, ``qint8``, ``qint32`` or ``quint4x2``, torchq's or torch's; or a plain integer dtype:
            ``torch.uint8``, ``int8``, ``uint16``, ``int16`` or ``int32``.
        qscheme: how scales are shared and whether zero is in the middle.
        reduce_range: give up one bit of the range.
        quant_min: smallest integer, with ``quant_max``; the dtype's own when None.
        quant_max: largest integer.
        factory_kwargs: ``device`` and ``dtype`` of the buffers.
        eps: smallest scale; a normal float32 above 0.
        is_dynamic: qparams are to be chosen at run time, from the range of one tensor.

    Attributes:
        supported_qschemes: the schemes that the class can choose qparams for.
        supports_dynamic: whether ``is_dynamic`` may be True.

    Raises:
        TypeError: if ``dtype`` or ``qscheme`` is neither torchq's nor torch's.
        ValueError: if an argument does not fit the class, the dtype or the scheme.
    """

    # State dicts say 3 in torch.ao too, since its per-channel buffers are named min_val and max_val.
    _version = 3
    supported_qschemes: tuple[QScheme, ...] = (per_tensor_affine, per_tensor_symmetric)
    supports_dynamic = False

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
        super().__init__(as_grid_dtype(dtype), is_dynamic)
        if is_dynamic and not self.supports_dynamic:
            raise ValueError(f"{name} records data; for dynamic quantization use PlaceholderObserver(is_dynamic=True)")
        self.qscheme = as_qscheme(qscheme)
        if self.qscheme not in self.supported_qschemes:
            raise ValueError(f"{name} supports {', '.join(map(str, self.supported_qschemes))}, got {self.qscheme}")
        if not _FLOAT32.tiny <= eps <= _FLOAT32.max:
            raise ValueError(f"eps must lie in [{_FLOAT32.tiny}, {_FLOAT32.max}], float32's normal numbers, got {eps}")
        self.reduce_range = reduce_range
        self.has_customized_qrange = quant_min is not None and quant_max is not None
        self.quant_min, self.quant_max = quantization_range(self.dtype, reduce_range, quant_min, quant_max)
        self._check_zero_point()
        factory_kwargs = torch.nn.factory_kwargs(factory_kwargs)
        self.register_buffer("eps", torch.tensor([eps], **factory_kwargs))
        self.register_buffer("min_val", self._empty_range(float("inf"), factory_kwargs))
        self.register_buffer("max_val", self._empty_range(float("-inf"), factory_kwargs))

    def _check_zero_point(self) -> None:
        """Raises a ValueError if the scheme's zero point would not lie within the range."""
        name = type(self).__name__
        if is_symmetric(self.qscheme):
            if self.reduce_range and self.dtype in (quint8, torch.uint8):
                raise ValueError(
                    f"{name} cannot reduce the range of symmetric {self.dtype}: its zero point 128 would lie outside"
                )
            middle = symmetric_zero_point(self.dtype, self.quant_min, self.quant_max, self.has_customized_qrange)
            if self.dtype is quint4x2 or not self.quant_min <= middle <= self.quant_max:
                raise ValueError(
                    f"{name} has no symmetric scheme for {self.dtype} in [{self.quant_min}, {self.quant_max}]: "
                    "use an affine one"
                )
        elif self.qscheme is per_channel_affine_float_qparams and self.quant_min != 0:
            raise ValueError(
                f"{self.qscheme} makes the smallest value 0, so quant_min must be 0, got {self.quant_min} "
                f"of {self.dtype}"
            )

    @property
    def has_data(self) -> bool:
        """Whether at least one value was recorded."""
        return check_min_max_valid(self.min_val, self.max_val)

    def calculate_qparams(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Chooses scale and zero point for the recorded range.

        Returns:
            scale: float32 ``[1]``, or ``[C]`` per channel.
            zero_point: int64, the same shape; float32 if the scheme is ``per_channel_affine_float_qparams``.

        Raises:
            RuntimeError: if no data was recorded.
            ValueError: if the range is too wide for a float32 scale.
        """
        if not self.has_data:
            raise RuntimeError(
                f"{self._label()} never saw data: run the prepared model on calibration data first, "
                "or set the module's qconfig to None to leave it in float"
            )
        return self._calculate_qparams(*self._chosen_range())

    def _calculate_qparams(self, min_val: torch.Tensor, max_val: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Chooses scale and zero point for a range; torch.ao's name, for observers that derive from this one."""
        grid = (self.quant_min, self.quant_max, self.dtype, self.eps, self.has_customized_qrange, self.qscheme)
        try:
            return choose_qparams(min_val, max_val, *grid)
        except ValueError as error:
            raise ValueError(f"{self._label()}: {error}") from error

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

    def _record(self, low: torch.Tensor, high: torch.Tensor) -> None:
        """Takes a tensor's range, or its channels' ranges, into what was recorded."""
        if self.has_data:
            low, high = self._updated_range(low, high)
        self._set_statistics({"min_val": low, "max_val": high})

    def _updated_range(self, low: torch.Tensor, high: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns what the recorded range becomes with one more."""
        return torch.min(low, self.min_val), torch.max(high, self.max_val)

    def _statistics(self) -> Statistics:
        return {"min_val": self.min_val, "max_val": self.max_val} if self.has_data else {}

    def _merge(self, ranks: Sequence[Statistics]) -> Statistics:
        low, high = (torch.stack([rank[name] for rank in ranks]) for name in ("min_val", "max_val"))
        return {"min_val": low.amin(0), "max_val": high.amax(0)}

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        state_dict = dict(state_dict)
        if (local_metadata.get("version") or 1) < 2:
            # Not part of the state then, and always this.
            state_dict.setdefault(prefix + "eps", torch.tensor([FLOAT32_EPS]))
        for name, value in (("min_val", float("inf")), ("max_val", float("-inf"))):
            # Before version 3, an observer without data had no elements here.
            saved, own = state_dict.get(prefix + name), getattr(self, name)
            if own.dim() == 0 and saved is not None and saved.numel() == 0:
                state_dict[prefix + name] = torch.tensor(value)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)
