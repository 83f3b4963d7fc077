"""Quantized batch norms that no layer could take up."""

from typing import Any, ClassVar

import torch
from torch import nn

from torchq import ops
from torchq.nn.intrinsic import FusedModule
from torchq.nn.quantized.inputs import SPATIAL, input_error
from torchq.nn.quantized.static import SameDtypeModule
from torchq.qtensor import QTensor


class _BatchNorm(SameDtypeModule):
    _relu = False
    _dims: ClassVar[int]

    weight: torch.Tensor
    bias: torch.Tensor
    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(1.0, 0)
        if dtype is not None:
            raise ValueError(f"{self._get_name()} takes no dtype, got {dtype}")
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        for name, value in {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}.items():
            self.register_buffer(name, torch.full((num_features,), value, device=device))
        self.register_buffer("num_batches_tracked", torch.tensor(0, device=device))

    def forward(self, input: QTensor) -> QTensor:
        """Returns the images, normalized by the running statistics.

        Args:
            input: of 8 bits, ``[N, C, *spatial]``, with one scale.

        Raises:
            TypeError: if ``input`` is not quantized.
            ValueError: if its shape or dtype does not fit, or it has several scales.
        """
        data = self._integers(input)
        if data.dim() != self._dims + 2 or data.size(1) != self.num_features:
            raise input_error(self._get_name(), input, f"[N, {self.num_features}, {SPATIAL[self._dims]}]")
        buffers = self._buffers
        data = ops.batch_norm(
            data,
            input._scale,
            input._zero_point,
            buffers["weight"],
            buffers["bias"],
            buffers["running_mean"],
            buffers["running_var"],
            self.eps,
            self.scale,
            self.zero_point,
            self._relu,
        )
        return QTensor(data, self.scale, self.zero_point)

    @classmethod
    def _like(cls, mod: nn.Module) -> "_BatchNorm":
        bn = mod[0] if isinstance(mod, FusedModule) else mod
        if bn.running_var is None:
            raise ValueError(f"{cls.__name__}.from_float takes a batch norm with track_running_stats=True, got False")
        module = cls(bn.num_features, bn.eps, bn.momentum)
        for name in ("weight", "bias", "running_mean", "running_var"):
            value = getattr(bn, name)
            if value is not None:  # affine=False has no weight and no bias
                module.register_buffer(name, value.detach().to(torch.float32, copy=True))
        return module

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine=True, track_running_stats=True"


class BatchNorm2d(_BatchNorm):
    """Normalizes quantized images by the running statistics of their channels.

    State: that of ``nn.BatchNorm2d`` and of ``QuantizedOutputModule``.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: means nothing here, and is there for torch.ao's signature.
        device: where the parameters are made.
        dtype: must be None; it is there for torch.ao's signature.

    Raises:
        ValueError: if a dtype is given.

    Example:
        >>> x = torchq.quantize_per_tensor(torch.randn(2, 3, 4, 4), 0.05, 128, torchq.quint8)
        >>> module = BatchNorm2d(3)
        >>> module.set_output_qparams(0.05, 128)
        >>> module(x).shape
        torch.Size([2, 3, 4, 4])
    """

    _dims = 2
    _float_types = (nn.BatchNorm2d,)

    def _get_name(self) -> str:
        return "QuantizedBatchNorm2d"


class BatchNorm3d(_BatchNorm):
    """Normalizes quantized volumes by the running statistics of their channels.

    State: that of ``nn.BatchNorm3d`` and of ``QuantizedOutputModule``.

    Args: those of ``BatchNorm2d``.
    """

    _dims = 3
    _float_types = (nn.BatchNorm3d,)

    def _get_name(self) -> str:
        return "QuantizedBatchNorm3d"
