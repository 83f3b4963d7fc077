"""Scales, zero points and ranges chosen from the values of a tensor, as torch chooses them."""

import math

import torch
from torch import Tensor

# As float32, of which torch has it: the smallest step that a dynamic scale may have.
_SMALLEST_STEP = torch.tensor(6.1e-5, dtype=torch.float32).item()


def _float32(value: float) -> float:
    return torch.tensor(value, dtype=torch.float32).item()


def choose_dynamic_qparams(input: Tensor, qmin: int, qmax: int, reduce_range: bool) -> tuple[float, int]:
    """Returns the scale and zero point that a tensor's own range asks for: docs/numerics.md, Dynamic linear.

    Args:
        input: floating, of any shape, with at least one element.
        qmin: smallest integer.
        qmax: largest integer.
        reduce_range: whether to halve both.

    Raises:
        ValueError: if the input is empty, or has NaN or infinity.
    """
    if input.numel() == 0:
        raise ValueError(f"a range needs at least one value, got shape {tuple(input.shape)}")
    low, high = (bound.item() for bound in input.detach().to(torch.float32).aminmax())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"a range must be finite, got [{low}, {high}]")
    if reduce_range:
        qmin, qmax = int(qmin / 2), int(qmax / 2)
    low, high = min(low, 0.0), max(high, 0.0)
    step = (high - low) / (qmax - qmin)
    if _float32(step) == 0 or _float32(1 / _float32(step)) == math.inf:
        step = 0.1
    if step < _SMALLEST_STEP:
        # As far as the widened range is asked for below: where it ends, in proportion.
        wider = _float32(_SMALLEST_STEP / _float32(step))
        low, high = (_float32(bound * wider) for bound in (low, high))
        step = _SMALLEST_STEP
    below, above = low / step, high / step
    # From the end where less is lost by rounding.
    from_low = abs(qmin) - abs(below) < abs(qmax) - abs(above)
    zero_point = qmin - below if from_low else qmax - above
    return step, round(min(max(zero_point, qmin), qmax))


def _choose_qparams_per_tensor(input: Tensor, reduce_range: bool = False) -> tuple[float, int]:
    """Returns the scale and zero point for ``quint8`` that a tensor's own range asks for.

    Args:
        input: floating, of any shape, with at least one element.
        reduce_range: whether to choose them for 7 bits.

    Raises:
        ValueError: if the input is empty, or has NaN or infinity.
    """
    return choose_dynamic_qparams(input, 0, 255, reduce_range)


def _quantization_loss(values: Tensor, low: float, high: float, bit_width: int) -> float:
    """The norm of what is lost when values are rounded to steps between low, kept as float16, and high."""
    qmax = 2**bit_width - 1
    start = torch.tensor(low).half().float()
    width = torch.tensor(high) - start
    step = (width / qmax).half().float() if width else torch.tensor(1.0)
    reciprocal = step.reciprocal() if step else torch.tensor(1.0)
    rounded = ((values - start) * reciprocal).round_().clamp_(0, qmax) * step + start
    return _float32((values - rounded).square_().sum(dtype=torch.float64).sqrt().item())


def choose_qparams_optimized(
    input: Tensor, numel: int, n_bins: int, ratio: float, bit_width: int
) -> tuple[Tensor, Tensor]:
    """Returns the range whose quantization loses least, as ``torch.choose_qparams_optimized`` searches for it.

    The search starts from the range of the values, and narrows it by one bin at a time, at the end where that costs
    less, until ``ratio`` of it is gone. It is meant for the rows of an embedding.

    Args:
        input: float32, of any shape.
        numel: how many of its values count, from the first.
        n_bins: bins that the range is divided into, at least 1.
        ratio: how much of the range may go, between 0 and 1.
        bit_width: bits of the integers, 1 to 8.

    Returns:
        Upper and lower end, float32 ``[1]`` each.

    Raises:
        ValueError: if an argument is out of its range.
        TypeError: if the input is not float32.

    Example:
        >>> row = torch.tensor([-1.0, -0.5, 0.0, 0.5, 3.0])
        >>> torchq.choose_qparams_optimized(row, 5, 200, 0.16, 4)
        (tensor([2.9600]), tensor([-1.]))
    """
    if input.dtype != torch.float32:
        raise TypeError(f"input must be float32, got {input.dtype}")
    for name, value, lowest, highest in (
        ("numel", numel, 1, input.numel()),
        ("n_bins", n_bins, 1, math.inf),
        ("ratio", ratio, 0, 1),
        ("bit_width", bit_width, 1, 8),
    ):
        if not lowest <= value <= highest:
            raise ValueError(f"{name} must lie in [{lowest}, {highest}], got {value}")
    values = input.detach().reshape(-1)[:numel]
    low, high = (bound.item() for bound in values.aminmax())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"input must be finite, got values from {low} to {high}")
    step = _float32(_float32(high - low) / n_bins)
    narrowest = _float32(_float32(n_bins * (1.0 - _float32(ratio))) * step)
    best_low, best_high = low, high
    least = loss = _quantization_loss(values, low, high, bit_width)
    while _float32(low + narrowest) < high:
        higher, lower = _float32(low + step), _float32(high - step)
        if higher == low or lower == high:  # a bin is less than float32 resolves here, and torch would never end
            break
        from_below = _quantization_loss(values, higher, high, bit_width)
        from_above = _quantization_loss(values, low, lower, bit_width)
        if loss < min(from_below, from_above, least):
            least, best_low, best_high = loss, low, high
        if from_below < from_above:
            low, loss = higher, from_below
        else:
            high, loss = lower, from_above
    return torch.tensor([best_high]), torch.tensor([best_low])
