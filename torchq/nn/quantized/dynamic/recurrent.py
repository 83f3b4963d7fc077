"""What dynamically quantized recurrent layers and cells share: weights by name, made from those of float ones."""

from typing import Any, ClassVar

import torch
from torch import nn

from torchq.dtypes import QDtype, from_torch, qint8
from torchq.nn.quantized.conversion import quantize_weight, weighted_part
from torchq.nn.quantized.dynamic.granularity import GranularModule
from torchq.nn.quantized.dynamic.recurrent_weight import Float16Weight, Int8Weight
from torchq.nn.quantized.inputs import float_input_error
from torchq.qtensor import QTensor


class RecurrentModule(GranularModule):
    """Base of the recurrent modules: quantized weights by name.

    State: that of ``GranularModule``, and the float module's own entries, such as ``weight_ih_l0`` and ``bias_ih_l0``:
    weights are float16, or int8 with a ``_scale`` (float32) and a ``_zero_point`` (int64) beside each, which have no
    dimension, or are ``[out]`` per channel.

    Args:
        sizes: names of the weights, as ``ih_l0``, to their sizes ``(out, in)``.
        bias: whether there are biases; projections, named ``hr``, have none.
        dtype: of the weights: ``qint8``, or ``torch.float16``, where all is computed in float32.
        granularity: ``"per_tensor"`` or ``"per_token"``; may be set later.

    Raises:
        ValueError: for another dtype or granularity.

    Attributes:
        weight_dtype: the dtype of the weights.
    """

    _float_types: ClassVar[tuple[type[nn.Module], ...]] = ()

    def __init__(self, sizes: dict[str, tuple[int, int]], bias: bool, dtype: Any, granularity: str) -> None:
        super().__init__()
        self.bias = bias
        self.weight_dtype: QDtype | torch.dtype = from_torch(dtype)
        if self.weight_dtype not in (qint8, torch.float16):
            raise ValueError(f"{self._get_name()} takes weights of {qint8} or torch.float16, got {dtype}")
        self._quantizes_input = self.weight_dtype is qint8
        self._sizes = sizes
        for name in sizes:
            self.add_module(name, self._new_weight(name))
        self.granularity = granularity
        self.eval()

    def _new_weight(self, name: str) -> Int8Weight | Float16Weight:
        kind = Int8Weight if self._quantizes_input else Float16Weight
        return kind(f"weight_{name} of {self._get_name()}", self._sizes[name], self._has_bias(name))

    def _has_bias(self, name: str) -> bool:
        return self.bias and not name.startswith("hr")

    def _weight(self, name: str) -> Any:
        return self._modules[name]

    @property
    def _range_options(self) -> tuple[bool, bool]:
        """What operators take: whether the range is that of each row, and whether it is for 7 bits."""
        return self._per_token, not self._per_token

    def get_weight(self) -> dict[str, QTensor | torch.Tensor]:
        """Returns the weights, as ``weight_ih_l0``: unpacked, ``qint8``, or float16."""
        return {f"weight_{name}": self._weight(name).weight() for name in self._sizes}

    def get_bias(self) -> dict[str, torch.Tensor | None]:
        """Returns copies of the biases, as ``bias_ih_l0``; None without."""
        return {f"bias_{name}": self._weight(name).bias() for name in self._sizes if not name.startswith("hr")}

    def _take(self, given: dict[str, Any]) -> None:
        """Takes all weights and biases by name, or none of them if one does not fit."""
        expected = [f"weight_{name}" for name in self._sizes]
        expected += [f"bias_{name}" for name in self._sizes if self._has_bias(name)]
        missing = [key for key in expected if given.get(key) is None]
        surplus = [key for key, value in given.items() if key not in expected and value is not None]
        if missing or surplus:
            raise ValueError(
                f"{self._get_name()} takes {', '.join(expected)}; {', '.join(missing) or 'nothing'} is missing, "
                f"{', '.join(surplus) or 'nothing'} is too much"
            )
        weights = {name: self._new_weight(name) for name in self._sizes}
        for name, weight in weights.items():
            weight.set_weight_bias(given[f"weight_{name}"], given.get(f"bias_{name}"))
        for name, weight in weights.items():
            setattr(self, name, weight)

    @classmethod
    def from_float(cls, mod: nn.Module) -> "RecurrentModule":
        """Makes the dynamically quantized module of a float one.

        Each weight is observed by itself.

        Args:
            mod: has a ``qconfig``, of which the weight's part is used; with a dtype of ``torch.float16`` weights are
                rounded to that.

        Raises:
            TypeError: if ``mod`` has another type.
            ValueError: if the qconfig does not fit, or a weight is beyond float16.
        """
        weighted_part(mod, cls._float_types, cls)
        halved = getattr(mod.qconfig.weight(), "dtype", None) is torch.float16
        module = cls._like(mod, torch.float16 if halved else qint8)
        given: dict[str, Any] = {}
        for name in module._sizes:
            weight = getattr(mod, f"weight_{name}")
            given[f"weight_{name}"] = weight if halved else quantize_weight(weight, mod.qconfig.weight())
            if module._has_bias(name):
                given[f"bias_{name}"] = getattr(mod, f"bias_{name}")
        module._take(given)
        return module

    @classmethod
    def _like(cls, mod: nn.Module, dtype: Any) -> "RecurrentModule":
        """Returns a module with the arguments of a float one, or of a reference one."""
        raise NotImplementedError

    def _state(self) -> dict[str, torch.Tensor]:
        state = super()._state()
        for name in self._sizes:
            state |= self._weight(name).named_state(name)
        return state

    def _state_shapes(self) -> dict[str, list[torch.Size]]:
        shapes = super()._state_shapes()
        for name in self._sizes:
            shapes |= self._weight(name).named_shapes(name)
        return shapes

    def _set_state(self, state: dict[str, torch.Tensor]) -> None:
        device = next(self.buffers()).device
        weights = {name: self._new_weight(name).to(device) for name in self._sizes}
        for name, weight in weights.items():
            weight.set_named_state(name, state)
        super()._set_state(state)
        for name, weight in weights.items():
            setattr(self, name, weight)

    def __repr__(self) -> str:
        # The weights are no modules to the reader.
        return f"{self._get_name()}({self.extra_repr()})"


def float32_input(name: str, input: Any) -> torch.Tensor:
    """Returns a float tensor in float32.

    Args:
        name: of the module.
        input: what was given.

    Raises:
        TypeError: if it is no tensor, quantized or not floating point.
    """
    if not isinstance(input, torch.Tensor) or isinstance(input, QTensor) or not input.is_floating_point():
        raise float_input_error(name, input)
    return input.float()


def checked_pair(name: str, hx: Any) -> tuple[Any, Any]:
    """Returns the hidden and the cell state of an LSTM.

    Args:
        name: of the module.
        hx: what was given; None means two times None.

    Raises:
        TypeError: if it is no pair.
    """
    if hx is None:
        return None, None
    if not isinstance(hx, tuple | list) or len(hx) != 2:
        given = f"{len(hx)} values" if isinstance(hx, tuple | list) else f"a {type(hx).__name__}"
        raise TypeError(f"{name} takes a hidden and a cell state, got {given}")
    return tuple(hx)
