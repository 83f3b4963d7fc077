"""What all fake quantizers share: two switches, and factories for qconfigs."""

import abc
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from torchq.quantization.observer_base import ObserverFactory


class FakeQuantizeBase(nn.Module, abc.ABC):
    """Base of the fake quantizers: two switches, and factories for qconfigs.

    Casting a model (``.half()``, ``.double()``) leaves the qparams inside as they are, float32.

    Attributes:
        fake_quant_enabled: uint8 ``[1]``, whether values are rounded.
        observer_enabled: uint8 ``[1]``, whether statistics are collected.
    """

    fake_quant_enabled: torch.Tensor
    observer_enabled: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("fake_quant_enabled", torch.tensor([1], dtype=torch.uint8))
        self.register_buffer("observer_enabled", torch.tensor([1], dtype=torch.uint8))

    @abc.abstractmethod
    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Returns ``X`` rounded to what the integers hold, in its own dtype."""

    @abc.abstractmethod
    def calculate_qparams(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the scale and zero point that values are rounded with."""

    def update_qparams(self) -> None:
        """Takes the scale and zero point that the observer chooses now; does nothing in a class without one."""

    def enable_fake_quant(self, enabled: bool = True) -> None:
        """Switches rounding on, or off."""
        self.fake_quant_enabled[0] = int(enabled)

    def disable_fake_quant(self) -> None:
        """Switches rounding off."""
        self.enable_fake_quant(False)

    def enable_observer(self, enabled: bool = True) -> None:
        """Switches the collection of statistics on, or off."""
        self.observer_enabled[0] = int(enabled)

    def disable_observer(self) -> None:
        """Switches the collection of statistics off: scale and zero point stay as they are."""
        self.enable_observer(False)

    @classmethod
    def with_args(cls, **kwargs: Any) -> ObserverFactory:
        """Returns a factory of this class with some arguments fixed.

        Example:
            >>> FakeQuantize.with_args(quant_min=0, quant_max=15)().quant_max
            15
        """
        return ObserverFactory(cls, kwargs, {})

    @classmethod
    def with_callable_args(cls, **kwargs: Callable[[], Any]) -> ObserverFactory:
        """Returns a factory that calls each value anew for every fake quantizer it builds."""
        return ObserverFactory(cls, {}, kwargs)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> "FakeQuantizeBase":
        before = [
            (module._buffers, name, buffer)
            for module in self.modules()
            for name, buffer in module._buffers.items()
            if buffer is not None
        ]
        super()._apply(fn, recurse)
        for buffers, name, buffer in before:
            if buffers[name].dtype != buffer.dtype:
                buffers[name] = buffer.to(buffers[name].device)
        return self


def disable_fake_quant(mod: nn.Module) -> None:
    """Switches the rounding of a fake quantizer off; for ``model.apply``, so other modules are left alone.

    Example:
        >>> model = nn.Sequential(FakeQuantize()).apply(disable_fake_quant)
        >>> model(torch.tensor([0.1, 0.77, 2.0]))
        tensor([0.1000, 0.7700, 2.0000])
    """
    if isinstance(mod, FakeQuantizeBase):
        mod.disable_fake_quant()


def enable_fake_quant(mod: nn.Module) -> None:
    """Switches the rounding of a fake quantizer on; for ``model.apply``, so other modules are left alone."""
    if isinstance(mod, FakeQuantizeBase):
        mod.enable_fake_quant()


def disable_observer(mod: nn.Module) -> None:
    """Freezes the qparams of a fake quantizer; for ``model.apply``, so other modules are left alone."""
    if isinstance(mod, FakeQuantizeBase):
        mod.disable_observer()


def enable_observer(mod: nn.Module) -> None:
    """Lets the qparams of a fake quantizer follow the data; for ``model.apply``, so other modules are left alone."""
    if isinstance(mod, FakeQuantizeBase):
        mod.enable_observer()
