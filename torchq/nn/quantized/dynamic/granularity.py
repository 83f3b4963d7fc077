"""Over what a module that quantizes its input on the fly takes the input's range."""

import torch

from torchq.nn.quantized.state import PlainStateModule

_GRANULARITIES = ("per_tensor", "per_token")


class GranularModule(PlainStateModule):
    """A module that quantizes its float input while it runs.

    State: the granularity as ``per_token``, a bool.
    """

    # Modules whose weights are floats quantize nothing.
    _quantizes_input = True
    _per_token = False

    @property
    def granularity(self) -> str:
        """Over what the input's range is taken: ``"per_tensor"``, in 7 bits, or ``"per_token"``, in 8."""
        return _GRANULARITIES[self._per_token]

    @granularity.setter
    def granularity(self, value: str) -> None:
        if value not in _GRANULARITIES:
            raise ValueError(f"granularity must be 'per_tensor' or 'per_token', got {value!r}")
        if value == "per_token" and not self._quantizes_input:
            raise ValueError(f"{self._get_name()} quantizes no input, got granularity={value!r}")
        self._per_token = value == "per_token"

    def _state(self) -> dict[str, torch.Tensor]:
        return {**super()._state(), "per_token": torch.tensor(self._per_token)}

    def _set_state(self, state: dict[str, torch.Tensor]) -> None:
        per_token = state["per_token"]
        if per_token.dtype is not torch.bool:
            raise TypeError(f"per_token must be torch.bool, got {per_token.dtype}")
        super()._set_state(state)
        self.granularity = _GRANULARITIES[per_token.item()]
