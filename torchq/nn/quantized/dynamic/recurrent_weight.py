"""The weights of recurrent modules: packed int8, or float16."""

from typing import Any

import torch

from torchq.nn.quantized.state import PlainStateModule
from torchq.nn.quantized.weighted import WeightedQuantizedModule
from torchq.qtensor import QTensor

_FLOAT16_MAX = torch.finfo(torch.float16).max


def halved(label: str, size: tuple[int, int], w: Any, b: torch.Tensor | None) -> tuple[torch.Tensor, Any]:
    """Returns a weight rounded to float16 and a bias in float32, both copies.

    Args:
        label: what messages call them.
        size: ``(out, in)``.
        w: float ``[out, in]``.
        b: float ``[out]``, or None.

    Raises:
        TypeError: if ``w`` is no float tensor.
        ValueError: if a shape does not fit, or a value is beyond float16.
    """
    if not isinstance(w, torch.Tensor) or isinstance(w, QTensor) or not w.is_floating_point():
        given = w.dtype if type(w) is torch.Tensor else f"a {type(w).__name__}"
        raise TypeError(f"{label} takes a float tensor as weight, got {given}")
    if tuple(w.shape) != size:
        raise ValueError(f"{label} takes a weight of shape {size}, got {tuple(w.shape)}")
    if b is not None and tuple(b.shape) != size[:1]:
        raise ValueError(f"{label} takes a bias of shape {size[:1]}, got {tuple(b.shape)}")
    if w.numel() and not w.detach().abs().max() <= _FLOAT16_MAX:
        raise ValueError(
            f"{label} takes a weight that float16 can hold, up to {_FLOAT16_MAX}, got values up to "
            f"{w.detach().abs().max().item()}"
        )
    return w.detach().to(torch.float16, copy=True), None if b is None else b.detach().to(torch.float32, copy=True)


class NamedWeight(PlainStateModule):
    """One of several weights of a module, which saves and loads them under its own names."""

    def named_state(self, name: str) -> dict[str, torch.Tensor]:
        """Returns what is saved: for the name ``ih_l0``, ``weight_ih_l0``, ``bias_ih_l0`` and what goes with them."""
        return {_named(key, name): value for key, value in self._state().items()}

    def named_shapes(self, name: str) -> dict[str, list[torch.Size]]:
        """Returns the shapes that these may have."""
        return {_named(key, name): shapes for key, shapes in self._state_shapes().items()}

    def set_named_state(self, name: str, state: dict[str, torch.Tensor]) -> None:
        """Takes a complete state, which may have other entries too."""
        self._set_state({key: state[_named(key, name)] for key in self._state_shapes()})

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        """Saves nothing: the module around it does."""

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Loads nothing, and takes what is there for unexpected."""
        strict, unexpected = args[1], args[3]
        if strict:
            unexpected.extend(key for key in state_dict if key.startswith(prefix))


def _named(key: str, name: str) -> str:
    which, _, rest = key.partition("_")
    return f"{which}_{name}_{rest}" if rest else f"{which}_{name}"


class Int8Weight(NamedWeight, WeightedQuantizedModule):
    """One packed weight and its bias.

    Args:
        label: what messages call it.
        size: ``(out, in)``.
        bias: whether there is one.
    """

    def __init__(self, label: str, size: tuple[int, int], bias: bool) -> None:
        self._label = label
        super().__init__(size, bias)

    def _get_name(self) -> str:
        return self._label


class Float16Weight(NamedWeight):
    """One weight kept in float16, and its bias in float32.

    Args:
        label: what messages call it.
        size: ``(out, in)``.
        bias: whether there is one.
    """

    _weight: torch.Tensor
    _bias: torch.Tensor | None

    def __init__(self, label: str, size: tuple[int, int], bias: bool) -> None:
        super().__init__()
        self._label = label
        self._size = size
        self.set_weight_bias(torch.zeros(size), torch.zeros(size[0]) if bias else None)

    def weight(self) -> torch.Tensor:
        """Returns a copy of the weight, float16."""
        return self._weight.clone()

    def bias(self) -> torch.Tensor | None:
        """Returns a copy of the bias, float32, or None."""
        return None if self._bias is None else self._bias.clone()

    def set_weight_bias(self, w: torch.Tensor, b: torch.Tensor | None) -> None:
        """Copies a weight, rounded to float16, and a bias.

        Args:
            w: float ``[out, in]``.
            b: float ``[out]``, or None.

        Raises:
            TypeError: if ``w`` is no float tensor.
            ValueError: if a shape does not fit, or a value is beyond float16.
        """
        for name, value in zip(("_weight", "_bias"), halved(self._label, self._size, w, b), strict=True):
            self.register_buffer(name, value, persistent=False)

    def operands(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Returns the weight, widened to float32, and the bias."""
        return self._weight.float(), self._bias

    def _state(self) -> dict[str, torch.Tensor]:
        bias = {} if self._bias is None else {"bias": self._bias.clone()}
        return {**super()._state(), "weight": self._weight.clone(), **bias}

    def _set_state(self, state: dict[str, torch.Tensor]) -> None:
        if state["weight"].dtype is not torch.float16:
            raise TypeError(f"weight must be torch.float16, got {state['weight'].dtype}")
        super()._set_state(state)
        device, bias = self._weight.device, state.get("bias")
        self.set_weight_bias(state["weight"].to(device), None if bias is None else bias.to(device))

    def _get_name(self) -> str:
        return self._label
