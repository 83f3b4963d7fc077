"""The histogram observer, and its search for the range that loses least.

``torch.ao``'s HistogramObserver defines the results; the search here takes the same steps to the bit, but
finds them by bisection and evaluates candidates in batches instead of walking bins one tensor element at
a time.
"""

import bisect
import ctypes
import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from torchq.dtypes import per_tensor_affine, quint8
from torchq.quantization.observer_base import FLOAT32_EPS, UniformQuantizationObserverBase
from torchq.quantization.qparams import to_underlying_dtype
from torchq.quantization.reduction import Statistics

# Fraction of the values that one step of the search cuts off.
_QUANTILE_STEP = 1e-5
# Bins per old bin while a histogram moves to a wider range; bounds the error of the move.
_UPSAMPLE_RATE = 16
# The search mostly ends within its first batch; a larger one would compute errors that nobody reads.
_CANDIDATES_PER_BATCH = 8


class HistogramObserver(UniformQuantizationObserverBase):
    """Records a histogram, and clips the range where that lowers the quantization error.

    A new tensor that lies outside the recorded range widens it; the old histogram is then moved to the new
    bins. ``calculate_qparams`` cuts the tails in steps of 1e-5 of the values, from whichever side gives
    more bins per step, as long as the expected squared error of quantization falls. Method: the L2 norm
    minimization of caffe2's ``norm_minimization.cc``, as in torch.ao.

    Args:
        bins: number of bins.
        dtype: see ``UniformQuantizationObserverBase``, as the rest.

    Example:
        >>> observer = HistogramObserver()
        >>> _ = observer(torch.cat([torch.linspace(-1, 1, 1_000_000), torch.tensor([20.0])]))
        >>> round(observer.calculate_qparams()[0].item() * 255, 2)  # the range that is left: the outlier is clipped
        2.0
    """

    histogram: torch.Tensor

    def __init__(
        self,
        bins: int = 2048,
        dtype: Any = quint8,
        qscheme: Any = per_tensor_affine,
        reduce_range: bool = False,
        quant_min: int | None = None,
        quant_max: int | None = None,
        factory_kwargs: dict[str, Any] | None = None,
        eps: float = FLOAT32_EPS,
        is_dynamic: bool = False,
    ) -> None:
        super().__init__(dtype, qscheme, reduce_range, quant_min, quant_max, factory_kwargs, eps, is_dynamic)
        if bins < 1:
            raise ValueError(f"bins must be 1 or more, got {bins}")
        self.bins = bins
        self.register_buffer("histogram", torch.zeros(bins, **torch.nn.factory_kwargs(factory_kwargs)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values = self._checked(x)
        if values.numel() == 0:
            return x
        low, high = self._finite_range(values)
        seen = self._statistics()
        if seen:
            low, high = self._updated_range(low, high)
        self._check_width(low, high)
        histogram = torch.histc(values, self.bins, min=low.item(), max=high.item())
        if seen:
            histogram = histogram + _moved(seen, low, high)
        self._set_statistics({"min_val": low, "max_val": high, "histogram": histogram})
        return x

    def reset_min_max_vals(self) -> None:
        """Forgets the recorded data."""
        super().reset_min_max_vals()
        self.histogram.zero_()

    def _check_width(self, low: torch.Tensor, high: torch.Tensor) -> None:
        if not torch.isfinite(high - low):
            raise ValueError(f"{self._label()} saw [{low}, {high}], too wide for a float32 histogram")

    def _statistics(self) -> Statistics:
        ends = super()._statistics()
        return {**ends, "histogram": self.histogram} if ends else {}

    def _merge(self, ranks: Sequence[Statistics]) -> Statistics:
        ends = super()._merge(ranks)
        low, high = ends["min_val"], ends["max_val"]
        self._check_width(low, high)
        # In float64, where sums of counts and of their sixteenths are exact.
        return {**ends, "histogram": sum(_moved(rank, low, high).double() for rank in ranks)}

    def _chosen_range(self) -> tuple[torch.Tensor, torch.Tensor]:
        quantized_bins = 2 ** (8 * to_underlying_dtype(self.dtype).itemsize)
        start, end = _search_bins(self.histogram.cpu(), self.min_val.item(), self.max_val.item(), quantized_bins)
        bin_width = (self.max_val - self.min_val) / self.bins
        return self.min_val + bin_width * start, self.min_val + bin_width * (end + 1)


def _moved(seen: Statistics, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """Returns a recorded histogram over the range ``[low, high]``, which encloses the recorded one.

    Each bin is split into ``_UPSAMPLE_RATE`` equal parts, and each part goes to the bin in which its middle lies.
    """
    histogram, old_low, old_high = seen["histogram"], seen["min_val"], seen["max_val"]
    bins = len(histogram)
    if low == old_low and high == old_high:
        return histogram
    if old_low == old_high:
        return torch.histc(old_low, bins, min=low.item(), max=high.item()) * torch.sum(histogram)
    fine_bins = bins * _UPSAMPLE_RATE
    weights = histogram.repeat_interleave(_UPSAMPLE_RATE) / _UPSAMPLE_RATE
    starts = torch.linspace(old_low.item(), old_high.item(), fine_bins + 1, device=weights.device)[:-1]
    middles = starts + 0.5 * ((old_high - old_low) / fine_bins)
    edges = torch.linspace(low.item(), high.item(), bins + 1, device=weights.device)
    targets = (torch.bucketize(middles, edges, right=True) - 1).clamp(0, bins - 1)
    return torch.bincount(targets, weights=weights, minlength=bins)


def _search_bins(histogram: torch.Tensor, min_val: float, max_val: float, quantized_bins: int) -> tuple[int, int]:
    """Returns the first and last bin of the range with the least expected squared error.

    Args:
        histogram: float32 ``[bins]`` on the CPU.
        min_val: where the first bin begins.
        max_val: where the last bin ends.
        quantized_bins: number of integers of the quantized dtype.
    """
    bins = len(histogram)
    bin_width = (max_val - min_val) / bins
    chosen = (0, bins - 1)
    if bin_width == 0.0:
        return chosen
    least = float("inf")
    candidates = _candidate_ranges(torch.cumsum(histogram, dim=0).tolist(), torch.sum(histogram).item())
    while batch := list(itertools.islice(candidates, _CANDIDATES_PER_BATCH)):
        errors = _quantization_errors(histogram, bin_width, quantized_bins, batch)
        for candidate, row in zip(batch, errors, strict=True):
            # Row by row: a reduction over two dimensions may add in another order.
            error = row.sum().item()
            if error > least:
                return chosen
            least, chosen = error, candidate
    return chosen


def _candidate_ranges(cumulative: list[float], total: float) -> Iterator[tuple[int, int]]:
    """Yields ever smaller bin ranges (first, last), in the order in which the search tries them.

    ``alpha`` and ``beta`` are the fractions of the values below the range's ends. Each step moves the end
    that gives up more bins for ``_QUANTILE_STEP`` of the values; a tie moves the upper end. Steps that give
    up no bin are skipped by bisection: only ``beta`` can take those, because ``alpha`` moves only when the
    lower end does.
    """
    betas = _descending_quantiles()
    start, end = 0, len(cumulative) - 1
    alpha, step = 0.0, 0
    while alpha < betas[step]:
        # torch compares a float32 tensor with a Python number in float32.
        low = _to_float32((alpha + _QUANTILE_STEP) * total)
        high = _to_float32(betas[step + 1] * total)
        left = bisect.bisect_left(cumulative, low, start, end)
        right = bisect.bisect_right(cumulative, high, start + 1, end + 1) - 1
        if left - start > end - right:
            start, alpha = left, alpha + _QUANTILE_STEP
        elif right < end:
            end, step = right, step + 1
        else:
            below_end = functools.partial(_is_below, betas, total, cumulative[end])
            step = bisect.bisect_left(range(len(betas)), True, step + 1, key=below_end) - 1
            if start == end or step + 1 == len(betas):
                return
            continue
        yield start, end


def _is_below(betas: list[float], total: float, value: float, step: int) -> bool:
    return _to_float32(betas[step] * total) < value


@functools.cache
def _descending_quantiles() -> list[float]:
    """Returns 1, 1 - step, ... with the rounding of repeated subtraction, to the first value below 0."""
    quantiles = [1.0]
    while quantiles[-1] >= 0.0:
        quantiles.append(quantiles[-1] - _QUANTILE_STEP)
    return quantiles


def _to_float32(value: float) -> float:
    return ctypes.c_float(value).value


def _quantization_errors(
    histogram: torch.Tensor, bin_width: float, quantized_bins: int, candidates: list[tuple[int, int]]
) -> torch.Tensor:
    """Returns each bin's share of the squared error if a candidate range were quantized.

    Values are taken as uniform within a bin. A bin's error has three parts: up to the end of the quantized
    interval in which it begins, the whole intervals that it covers, and the part of the last one. Values
    outside the range go to its outermost interval.

    Args:
        histogram: float32 ``[bins]``.
        bin_width: width of a bin, > 0.
        quantized_bins: number of integers of the quantized dtype.
        candidates: (first, last) bin of each range.

    Returns:
        float32 ``[candidates, bins]``.
    """
    # Rounded to float32 only where torch.ao's scalars meet float32 tensors, which keeps the bits equal.
    widths = [bin_width * (end - start + 1) / quantized_bins for start, end in candidates]
    width = torch.tensor(widths, dtype=torch.float32)[:, None]
    half = torch.tensor([w / 2 for w in widths], dtype=torch.float32)[:, None]
    first = torch.tensor([start for start, _ in candidates])[:, None]

    begin = (torch.arange(len(histogram)) - first) * bin_width
    end = begin + bin_width
    begin_interval = torch.div(begin, width, rounding_mode="floor").clamp(0, quantized_bins - 1)
    end_interval = torch.div(end, width, rounding_mode="floor").clamp(0, quantized_bins - 1)
    density = histogram / bin_width

    errors = density * _integral_of_square(begin - (begin_interval + 0.5) * width, half)
    errors += (end_interval - begin_interval - 1) * (density * _integral_of_square(-half, half))
    errors += density * _integral_of_square(-half, end - (end_interval * width + half))
    return errors


def _integral_of_square(begin: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    return (end * end * end - begin * begin * begin) / 3
