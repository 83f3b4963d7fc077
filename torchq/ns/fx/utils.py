"""Measures of how far a quantized result is from the float one."""

import functools
from collections.abc import Callable
from typing import Any

import torch

from torchq.qtensor import QTensor, dequantize

__all__ = ["compute_cosine_similarity", "compute_normalized_l2_error", "compute_sqnr"]

Measure = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def _of_values(measure: Measure) -> Callable[[Any, Any], Any]:
    """Lets a measure of float tensors take quantized ones, and tuples or lists of tensors."""

    @functools.wraps(measure)
    def compute(x: Any, y: Any) -> Any:
        if isinstance(x, (tuple, list)) and isinstance(y, (tuple, list)):
            if len(x) != len(y):
                raise ValueError(f"{measure.__name__} takes as many tensors in x as in y, got {len(x)} and {len(y)}")
            return [compute(a, b) for a, b in zip(x, y, strict=True)]
        for name, given in (("x", x), ("y", y)):
            if not isinstance(given, torch.Tensor) or not (isinstance(given, QTensor) or given.is_floating_point()):
                kind = given.dtype if isinstance(given, torch.Tensor) else type(given).__name__
                raise TypeError(f"{measure.__name__} takes float or quantized tensors, got {kind} as {name}")
        if x.numel() != y.numel():
            raise ValueError(
                f"{measure.__name__} takes tensors of the same size, got {tuple(x.shape)} and {tuple(y.shape)}"
            )
        return measure(dequantize(x).flatten(), dequantize(y).flatten())

    return compute


@_of_values
def compute_sqnr(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Returns the ratio of signal to quantization noise, ``20 * log10(|x| / |x - y|)``, in decibels.

    Twice the noise costs 6 dB, which is what one bit is worth. It is infinite where the two are equal.

    Args:
        x: the signal: a float or quantized tensor, or a tuple or list of them.
        y: the same with noise; as many elements, in any shape.

    Returns:
        A tensor without dimensions; a list of them for tuples and lists.

    Raises:
        TypeError: if something else is given.
        ValueError: if the numbers of elements, or of tensors, differ.

    Example:
        >>> compute_sqnr(torch.tensor([3.0, 4.0]), torch.tensor([3.0, 4.5]))
        tensor(20.)
    """
    return 20 * torch.log10(torch.linalg.vector_norm(x) / torch.linalg.vector_norm(x - y))


@_of_values
def compute_normalized_l2_error(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Returns ``|x - y| / |x|``.

    Args, shapes and errors are those of ``compute_sqnr``.

    Example:
        >>> compute_normalized_l2_error(torch.tensor([3.0, 4.0]), torch.tensor([3.0, 4.5]))
        tensor(0.1000)
    """
    return torch.sqrt(((x - y) ** 2).sum() / (x**2).sum())


@_of_values
def compute_cosine_similarity(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Returns the cosine of the angle between two tensors, taken as vectors; it does not see a difference in length.

    Args, shapes and errors are those of ``compute_sqnr``.

    Returns:
        ``[1]``; a list of them for tuples and lists.

    Example:
        >>> compute_cosine_similarity(torch.tensor([3.0, 4.0]), torch.tensor([4.0, 3.0]))
        tensor([0.9600])
    """
    return torch.nn.functional.cosine_similarity(x.reshape(1, -1), y.reshape(1, -1))
