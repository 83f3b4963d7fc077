"""State of quantized modules: plain tensors made on saving and read on loading."""

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from torchq.dtypes import QDtype, qdtype_of_storage, qint8, quint8
from torchq.ops.quantize import check_qparams


class PlainStateModule(nn.Module):
    """A module whose ``state_dict()`` is computed: packed or plain Python attributes become plain tensors.

    Missing, unexpected and wrongly shaped entries are reported as ``nn.Module`` reports them. A module that
    cannot take what was loaded keeps what it had. Casting the module (``.half()``, ``.double()``) leaves its buffers as
    they are.
    """

    def _state(self) -> dict[str, torch.Tensor]:
        """Returns what is saved, by name."""
        return {}

    def _set_state(self, state: dict[str, torch.Tensor]) -> None:
        """Takes a complete state, with shapes that ``_state_shapes`` allows; one that it refuses changes nothing."""

    def _state_shapes(self) -> dict[str, list[torch.Size]]:
        """Returns the shapes that a saved tensor may have, the present one first."""
        return {name: [value.shape] for name, value in self._state().items()}

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination.update({prefix + name: value for name, value in self._state().items()})

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        shapes = self._state_shapes()
        given = {name: state_dict[prefix + name] for name in shapes if prefix + name in state_dict}
        rest = {key: value for key, value in state_dict.items() if key.removeprefix(prefix) not in given}
        super()._load_from_state_dict(rest, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        if strict:
            missing_keys.extend(prefix + name for name in shapes if name not in given)
        errors = [
            f"size mismatch for {prefix}{name}: copying a param with shape {value.shape} from checkpoint, "
            f"the shape in current model is {shapes[name][0]}."
            for name, value in given.items()
            if value.shape not in shapes[name]
        ]
        if given and not errors:
            try:
                self._set_state({**self._state(), **given})
            except (RuntimeError, TypeError, ValueError) as error:
                errors.append(f"While loading {prefix.removesuffix('.')!r}: {error}.")
        error_msgs.extend(errors)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> "PlainStateModule":
        before = {name: buffer for name, buffer in self._buffers.items() if buffer is not None}
        super()._apply(fn, recurse)
        for name, buffer in before.items():
            if self._buffers[name].dtype != buffer.dtype:
                self._buffers[name] = buffer.to(self._buffers[name].device)
        return self


class QuantizedOutputModule(PlainStateModule):
    """A module whose output has one fixed scale and zero point.

    Saved as ``scale`` (float64) and ``zero_point``, whose dtype is that of the output's integers; a zero point
    saved with another integer dtype leaves the output's as it is.

    Attributes:
        scale: scale of the output, a Python number.
        zero_point: zero point of the output, a Python number.
        output_dtypes: what ``output_dtype`` may be.
    """

    output_dtypes: tuple[QDtype | None, ...] = (quint8, qint8)

    def __init__(self) -> None:
        super().__init__()
        self.scale = 1.0
        self.zero_point = 0
        self._output_storage: torch.dtype | None = torch.uint8

    @property
    def output_dtype(self) -> QDtype | None:
        """The quantized dtype of the output; None where it is whichever the input has."""
        return None if self._output_storage is None else qdtype_of_storage(self._output_storage)

    def set_output_qparams(self, scale: float, zero_point: int, dtype: QDtype | None = quint8) -> None:
        """Sets scale, zero point and dtype of the output.

        Args:
            scale: finite and > 0, as its reciprocal, in float32.
            zero_point: within the dtype's range.
            dtype: one of ``output_dtypes``.

        Raises:
            TypeError: if ``zero_point`` is no integer.
            ValueError: if a value is out of range, or ``dtype`` another one.
        """
        if dtype not in self.output_dtypes:
            allowed = " or ".join(map(str, self.output_dtypes))
            raise ValueError(f"the output of {self._get_name()} is {allowed}, got {dtype}")
        try:
            zero_point = operator.index(zero_point)
        except TypeError as error:
            raise TypeError(f"zero_point must be an integer, got {zero_point!r}") from error
        storage = None if dtype is None else dtype.storage_dtype
        check_qparams(scale, zero_point, storage or (torch.int8 if zero_point < 0 else torch.uint8))
        self.scale = float(scale)
        self.zero_point = zero_point
        self._output_storage = storage

    def _state(self) -> dict[str, torch.Tensor]:
        return {
            **super()._state(),
            "scale": torch.tensor(self.scale, dtype=torch.float64),
            "zero_point": torch.tensor(self.zero_point, dtype=self._output_storage or torch.int64),
        }

    def _state_shapes(self) -> dict[str, list[torch.Size]]:
        one = [torch.Size([]), torch.Size([1])]
        return {**super()._state_shapes(), "scale": one, "zero_point": one}

    def _set_state(self, state: dict[str, torch.Tensor]) -> None:
        super()._set_state(state)
        zero_point = state["zero_point"]
        saved = next((d for d in self.output_dtypes if d and d.storage_dtype == zero_point.dtype), self.output_dtype)
        self.set_output_qparams(state["scale"].item(), zero_point.item(), saved)
