"""What the operator modules share: registration of what the C++ side cannot register."""

from typing import Any, NoReturn

import torch

import torchq._library  # noqa: F401  (the schemas have to be there)


def forward_only(name: str) -> None:
    """Makes a backward pass through an operator with float inputs and outputs an error.

    Operators that return integers need none: autograd does not follow integers.
    """

    def backward(ctx: Any, *grads: Any) -> NoReturn:
        raise RuntimeError(
            f"torchq is forward-only: torchq::{name} has no gradient. Train the float model, or with fake quantization"
        )

    torch.library.register_autograd(f"torchq::{name}", backward)


def require_one_device(*tensors: torch.Tensor | None) -> None:
    """Raises a RuntimeError, in a fake function, unless all tensors are on one device, as the real operators do."""
    devices = {str(tensor.device) for tensor in tensors if tensor is not None}
    if len(devices) > 1:
        raise RuntimeError(f"all tensors must be on one device, got {', '.join(sorted(devices))}")


def empty_dense_like(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """An empty tensor with the layout of an elementwise operator's result: the input's own where it is dense."""
    return torch.empty_like(tensor, dtype=dtype, memory_format=torch.preserve_format)


def empty_channels_last(tensor: torch.Tensor, size: tuple[Any, ...], dtype: torch.dtype) -> torch.Tensor:
    """An empty [N, C, H, W] tensor with channels innermost in memory."""
    n, c, h, w = size
    return tensor.new_empty_strided((n, c, h, w), (h * w * c, 1, w * c, c), dtype=dtype)
