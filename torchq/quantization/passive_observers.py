"""Observers that choose nothing from data: settings without data, fixed qparams, and a recorder for debugging."""

from typing import Any

import torch

from torchq.dtypes import as_qscheme, per_tensor_affine, per_tensor_symmetric, quint8
from torchq.quantization.observer_base import FLOAT32_EPS, ObserverBase
from torchq.quantization.qparams import as_grid_dtype, quantization_range


class _PassiveObserver(ObserverBase):
    """An observer that records nothing from which qparams follow, so that ranks have nothing to merge."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def calculate_qparams(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Raises RuntimeError: there is no range to choose from."""
        raise RuntimeError(f"{self._label()} records no range, so it has no scale and zero point")

    def _statistics(self) -> None:
        return None


class PlaceholderObserver(_PassiveObserver):
    """Records nothing; carries the settings of a tensor that needs no calibration.

    Args:
        dtype: what the tensor shall become: a quantized or any other dtype.
        custom_op_name: name of an operator that this observer stands for.
        compute_dtype: if given, means ``is_dynamic=True``.
        quant_min: smallest integer.
        quant_max: largest integer.
        qscheme: ``per_tensor_affine`` when None.
        eps: smallest scale; float32's machine epsilon when None.
        is_dynamic: qparams are chosen at run time.

    Example:
        >>> PlaceholderObserver(dtype=torch.float16)
        PlaceholderObserver(dtype=torch.float16, is_dynamic=False)
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

    def extra_repr(self) -> str:
        return f"dtype={self.dtype}, is_dynamic={self.is_dynamic}"


class NoopObserver(_PassiveObserver):
    """Records nothing; says of a tensor only what it shall become.

    Args:
        dtype: what that is: a quantized or any other dtype.
        custom_op_name: name of an operator that this observer stands for.
    """

    def __init__(self, dtype: Any = torch.float16, custom_op_name: str = "") -> None:
        super().__init__(dtype)
        self.custom_op = custom_op_name


class ReuseInputObserver(_PassiveObserver):
    """Records nothing; says that a module's output keeps the scale and zero point of its input, as a reshape's does."""

    def __init__(self) -> None:
        super().__init__(quint8)


class RecordingObserver(_PassiveObserver):
    """Keeps a copy of every tensor, for debugging.

    Args:
        dtype: what the observed tensor shall become.

    Attributes:
        tensor_val: the copies, in the order in which the tensors came.

    Example:
        >>> observer = RecordingObserver()
        >>> _ = observer(torch.tensor([1.0])), observer(torch.tensor([2.0]))
        >>> observer.get_tensor_value()
        [tensor([1.]), tensor([2.])]
    """

    def __init__(self, dtype: Any = quint8) -> None:
        super().__init__(dtype)
        self.tensor_val: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.tensor_val.append(x.detach().clone())
        return x

    def get_tensor_value(self) -> list[torch.Tensor]:
        """Returns the copies."""
        return self.tensor_val


class FixedQParamsObserver(_PassiveObserver):
    """Records nothing; has the scale and zero point that it is given.

    For functions whose range is known, such as a sigmoid's.

    Args:
        scale: finite and > 0.
        zero_point: within ``[quant_min, quant_max]``.
        dtype: see ``UniformQuantizationObserverBase``.
        qscheme: a scheme with one scale.
        quant_min: smallest integer.
        quant_max: largest integer.
        is_dynamic: must be False.

    Raises:
        TypeError: if ``dtype`` or ``qscheme`` is neither torchq's nor torch's.
        ValueError: if an argument does not fit.

    Example:
        >>> FixedQParamsObserver(scale=1 / 256, zero_point=0).calculate_qparams()
        (tensor([0.0039]), tensor([0]))
    """

    scale: torch.Tensor
    zero_point: torch.Tensor

    def __init__(
        self,
        scale: float,
        zero_point: int,
        dtype: Any = quint8,
        qscheme: Any = per_tensor_affine,
        quant_min: int = 0,
        quant_max: int = 255,
        is_dynamic: bool = False,
    ) -> None:
        if is_dynamic:
            raise ValueError("FixedQParamsObserver has fixed qparams, so is_dynamic must be False")
        super().__init__(as_grid_dtype(dtype))
        self.qscheme = as_qscheme(qscheme)
        if self.qscheme not in (per_tensor_affine, per_tensor_symmetric):
            raise ValueError(f"FixedQParamsObserver has one scale, so its scheme cannot be {self.qscheme}")
        self.quant_min, self.quant_max = quantization_range(self.dtype, False, quant_min, quant_max)
        if not quant_min <= zero_point <= quant_max:
            raise ValueError(f"zero_point must lie in [{quant_min}, {quant_max}], got {zero_point}")
        self.register_buffer("scale", torch.tensor([scale], dtype=torch.float32))
        self.register_buffer("zero_point", torch.tensor([zero_point], dtype=torch.int64))
        if not (torch.isfinite(self.scale) & (self.scale > 0)).all():
            raise ValueError(f"scale must be finite and > 0 in float32, got {scale}")

    def calculate_qparams(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns scale, float32 ``[1]``, and zero point, int64 ``[1]``."""
        return self.scale, self.zero_point
