"""The bases of quantized modules that take a quantized tensor."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from torchq import ops
from torchq.dtypes import QDtype, qint8, quint8
from torchq.nn.quantized.conversion import output_qparams, require_type
from torchq.nn.quantized.inputs import checked_integers
from torchq.nn.quantized.state import QuantizedOutputModule
from torchq.nn.quantized.weighted import WeightedQuantizedModule
from torchq.qtensor import QTensor


def _bound(operator: Any) -> Any:
    """Returns what an operator calls in turn, to be called without it: it costs a part of a microsecond each time."""
    return getattr(operator, "_op", operator)


_run_layer = _bound(torch.ops.torchq.run_layer.default)
_run_layer_add = _bound(torch.ops.torchq.run_layer_add.default)
_is_compiling, _is_tracing = torch.compiler.is_compiling, torch._C._get_tracing_state
# A module that is used in several places has as many inputs.
_MOST_LAYERS = 16


class StaticQuantizedModule(WeightedQuantizedModule, QuantizedOutputModule):
    """A quantized module with a weight, and a fixed scale and zero point of its output.

    For each scale and zero point that its input comes with, and that is one as a rule, it lays out once what does not
    change from call to call (``torchq.ops.prepare_layer``).

    State: that of ``WeightedQuantizedModule`` and of ``QuantizedOutputModule``.
    """

    # Of a convolution; a linear layer has none.
    _window: tuple[int, ...] = ()

    def __init__(self, weight_size: tuple[int, ...], bias: bool, groups: int = 1) -> None:
        self._layers: dict[tuple, Tensor] = {}
        super().__init__(weight_size, bias, groups)

    def _run(self, input: Any, *residual: Any) -> QTensor:
        """Returns the module's output, or raises what ``_check`` does.

        Args:
            input: what the module was called with.
            residual: of a convolution: nothing, or the integers, scale and zero point of what is added to it.
        """
        scale, zero_point = self.scale, self.zero_point
        key = None
        # What is traced has to be an operator with a shape function, and the same one each time.
        if type(input) is QTensor and type(data := input._data) is Tensor and not (_is_compiling() or _is_tracing()):
            key = (input._scale, input._zero_point, data.dtype, scale, zero_point)
            layer = self._layers.get(key) if input._axis is None else None
            if layer is not None:
                try:
                    # nn.Module.__getattr__ would find the buffer only after two failed lookups.
                    weight = self._buffers["_packed_weight"]
                    if residual:
                        return QTensor(_run_layer_add(data, weight, layer, *residual), scale, zero_point)
                    return QTensor(_run_layer(data, weight, layer), scale, zero_point)
                except RuntimeError:
                    # The input does not fit, which is said below, or the CPU capability is not that of the layer.
                    self._layers.clear()
        self._check(input)
        if key is not None and data.is_cpu:
            self._prepare(key)
        return QTensor(self._operator(input, *residual), scale, zero_point)

    def _check(self, input: Any) -> None:
        """Raises a TypeError or ValueError for an input that the module cannot take."""
        raise NotImplementedError

    def _operator(self, input: QTensor, *residual: Any) -> Tensor:
        """Returns the integers of the output by an operator that takes everything at once; arguments as ``_run``."""
        raise NotImplementedError

    def _prepare(self, key: tuple) -> None:
        if len(self._layers) == _MOST_LAYERS:
            self._layers.clear()
        self._layers[key] = ops.prepare_layer(
            *self.operands(), self._window, self._transposed, *key, self._output_storage, self._relu
        )

    def _hold(self, w: QTensor, buffers: dict[str, Tensor | None]) -> None:
        self._layers.clear()
        super()._hold(w, buffers)

    def set_output_qparams(self, scale: float, zero_point: int, dtype: QDtype | None = quint8) -> None:
        """Sets scale, zero point and dtype of the output; see ``QuantizedOutputModule``."""
        self._layers.clear()
        super().set_output_qparams(scale, zero_point, dtype)

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out what holds for this machine, and for these weights."""
        return {**self.__dict__, "_layers": {}}


class SameDtypeModule(QuantizedOutputModule):
    """A module that returns a tensor of its input's dtype, with a scale and zero point of its own.

    Calibration says which dtype that is, and another one is refused; a module made by hand takes both.

    Args:
        scale: of the output; see ``set_output_qparams``.
        zero_point: of the output.

    Raises:
        TypeError: if the zero point is no integer.
        ValueError: if scale or zero point does not fit.
    """

    output_dtypes = (quint8, qint8, None)
    _float_types: ClassVar[tuple[type[nn.Module], ...]]

    def __init__(self, scale: float, zero_point: int) -> None:
        super().__init__()
        self.set_output_qparams(scale, zero_point)

    def set_output_qparams(self, scale: float, zero_point: int, dtype: QDtype | None = None) -> None:
        """Sets scale and zero point of the output.

        Args:
            scale: finite and > 0, as its reciprocal, in float32.
            zero_point: within the dtype's range.
            dtype: of input and output, ``quint8`` or ``qint8``; None for either.

        Raises:
            TypeError: if ``zero_point`` is no integer.
            ValueError: if a value is out of range, or ``dtype`` another one.
        """
        super().set_output_qparams(scale, zero_point, dtype)

    def _integers(self, input: Any) -> Tensor:
        """Returns the integers of an input, as ``checked_integers``; they must also be of the module's dtype."""
        if isinstance(input, QTensor) and input._axis is None and input._data.dtype is self._output_storage:
            return input._data
        data = checked_integers(self._get_name(), input)
        if self._output_storage is not None:
            raise ValueError(f"{self._get_name()} gives {self.output_dtype}, got an input of {input.qdtype}")
        return data

    @classmethod
    def from_float(cls, mod: nn.Module) -> "SameDtypeModule":
        """Makes the quantized module from a prepared and calibrated float one.

        Args:
            mod: has an observer of its output.

        Raises:
            RuntimeError: if the observer is missing or never saw data.
            TypeError: if ``mod`` has another type.
            ValueError: if what was observed, or an argument of ``mod``, does not fit.
        """
        module = cls._like(require_type(mod, cls._float_types, cls))
        module.set_output_qparams(*output_qparams(mod))
        return module

    @classmethod
    def _like(cls, mod: nn.Module) -> "SameDtypeModule":
        """Returns a module with the arguments of a float one; scale and zero point are set afterwards."""
        return cls(1.0, 0)
