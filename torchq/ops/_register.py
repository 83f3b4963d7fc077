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


def call_forward_only(op: Any, *args: Any) -> torch.Tensor:
    """Calls an operator that ``forward_only`` gave a backward.

    That put a Python layer above it, 6 us a call, which inference mode skips by itself. Under no_grad it has nothing to
    do either, and is stepped over.
    """
    if torch.compiler.is_compiling() or torch.is_grad_enabled() or torch.is_inference_mode_enabled():
        return op(*args)
    with torch._C._AutoDispatchBelowAutograd():
        return op(*args)


def require(condition: bool, message: str) -> None:
    """Raises a RuntimeError from a fake function, as the real operator does, so that tracing finds the mistake too."""
    if not condition:
        raise RuntimeError(message)


def require_one_device(*tensors: torch.Tensor | None) -> None:
    """Requires that all tensors are on one device."""
    devices = sorted({str(tensor.device) for tensor in tensors if tensor is not None})
    require(len(devices) == 1, f"all tensors must be on one device, got {', '.join(devices)}")


def require_bytes(input: torch.Tensor) -> None:
    """Requires 8-bit integers."""
    require(input.dtype in (torch.uint8, torch.int8), f"input must be uint8 or int8, got {input.dtype}")


def require_weight(packed_weight: torch.Tensor, weight_scales: torch.Tensor, bias: torch.Tensor | None) -> None:
    """Requires what can be known of a packed weight, its scales and its bias without reading them."""
    require(
        packed_weight.dtype == torch.uint8 and packed_weight.dim() == 1,
        f"packed_weight must be uint8 of one dimension, got {packed_weight.dtype} of {packed_weight.dim()}",
    )
    for name, tensor in (("weight_scales", weight_scales), ("bias", bias)):
        if tensor is not None:
            require(
                tensor.dtype == torch.float32 and tensor.shape == (weight_scales.numel(),),
                f"{name} must be float32 with one entry per output channel, got {tensor.dtype} {tuple(tensor.shape)}",
            )


def empty_dense_like(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """An empty tensor with the layout of an elementwise operator's result: the input's own where it is dense."""
    return torch.empty_like(tensor, dtype=dtype, memory_format=torch.preserve_format)


def is_channels_last(tensor: torch.Tensor) -> bool:
    """Whether a tensor ``[N, C, *spatial]`` has its channels innermost in memory, and no gaps."""
    expected = 1
    for dim in (1, *range(tensor.dim() - 1, 1, -1), 0):
        if tensor.shape[dim] != 1 and tensor.stride(dim) != expected:
            return False
        expected *= tensor.shape[dim]
    return True


def empty_channels_last(tensor: torch.Tensor, size: tuple[Any, ...], dtype: torch.dtype) -> torch.Tensor:
    """An empty ``[N, C, *spatial]`` tensor with channels innermost in memory."""
    strides, stride = [0] * len(size), 1
    for dim in (1, *range(len(size) - 1, 1, -1), 0):
        strides[dim] = stride
        stride = stride * size[dim]
    return tensor.new_empty_strided(size, strides, dtype=dtype)
