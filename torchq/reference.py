"""The arithmetic contract in plain torch operations: what every kernel must give, bit for bit.

The functions carry the names and the argument order of ``torchq.ops``, except that weights are plain
``int8`` tensors with optional zero points and groups where the ops take packed ones. They check no arguments and serve
tests only: product code never imports this module.

Notation: arithmetic is float32 unless a formula says otherwise. ``rne`` rounds to the nearest integer, ties
to even; ``fma(a, b, c)`` is ``a * b + c`` rounded once; ``sat`` clamps to the output dtype and sends NaN to
its largest value. Sums of integer products are exact.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def _fma(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Returns ``a * b + c`` in float32, rounded once."""
    # The float64 product of two float32 numbers is exact (48 bits), the float64 sum is not, and rounding it a
    # second time to float32 would move near-ties. So the sum is rounded to odd first: whenever bits were lost
    # (`lost`, exact by Knuth's two-sum) the neighbour with an odd last bit is taken. It is never a tie of a
    # format two or more bits shorter, which makes the final rounding the right one (Boldo & Melquiond 2008).
    product, addend = torch.broadcast_tensors(a.double() * b.double(), c.double())
    total = product + addend
    back = total - product
    lost = (product - (total - back)) + (addend - back)
    bits = total.contiguous().view(torch.int64)
    must_move = torch.isfinite(total) & (lost != 0) & (bits % 2 == 0)
    away_from_zero = (lost > 0) == (total > 0)
    bits = torch.where(must_move, torch.where(away_from_zero, bits + 1, bits - 1), bits)
    return bits.view(torch.float64).float()


def _saturate(value: Tensor, dtype: torch.dtype) -> Tensor:
    info = torch.iinfo(dtype)
    return value.double().nan_to_num(nan=info.max).clamp(info.min, info.max).to(dtype)


def _float32(value: float | Tensor) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64).float()


def _along(values: Tensor, axis: int, ndim: int) -> Tensor:
    """Views a vector so that it broadcasts along ``axis`` of a tensor with ``ndim`` dimensions."""
    shape = [1] * ndim
    shape[axis] = -1
    return values.reshape(shape)


def quantize_per_tensor(input: Tensor, scale: float, zero_point: int, dtype: torch.dtype) -> Tensor:
    """Quantizes with one scale and zero point.

    8 bits: ``q = sat(rne(fma(x, 1 / scale, zero_point)))``; 32 bits: as :func:`quantize_per_channel`.
    """
    inverse, shift = 1.0 / _float32(scale), _float32(zero_point)
    x = input.float()
    shifted = x * inverse + shift if dtype == torch.int32 else _fma(x, inverse, shift)
    return _saturate(torch.round(shifted), dtype)


def quantize_per_channel(input: Tensor, scales: Tensor, zero_points: Tensor, axis: int, dtype: torch.dtype) -> Tensor:
    """Quantizes each slice along ``axis`` with its own scale and zero point.

    ``q = sat(rne(x * (1 / scale) + zero_point))``, the product rounded before the sum.
    """
    inverse = 1.0 / _along(scales, axis, input.dim()).float()
    shift = _float32(_along(zero_points, axis, input.dim()))
    return _saturate(torch.round(input.float() * inverse + shift), dtype)


def dequantize_per_tensor(input: Tensor, scale: float, zero_point: int) -> Tensor:
    """Returns ``float32(q - zero_point) * scale``, the difference exact."""
    return (input.double() - zero_point).float() * _float32(scale)


def dequantize_per_channel(input: Tensor, scales: Tensor, zero_points: Tensor, axis: int) -> Tensor:
    """Returns ``float32(float64(float32(q) - float32(zero_point)) * float64(scale))``.

    The product is taken in float64 because scales may be given in float64.
    """
    shifted = input.float() - _float32(_along(zero_points, axis, input.dim()))
    return (shifted.double() * _along(scales, axis, input.dim()).double()).float()


def _requantize(
    accumulator: Tensor,
    scale: Tensor,
    bias: Tensor | None,
    output_scale: float,
    output_zero_point: int,
    output_dtype: torch.dtype,
    relu: bool,
    added: Tensor | None = None,
) -> Tensor:
    """Turns exact sums into 8-bit outputs; ``scale``, ``bias`` and ``added``, in output steps, broadcast to them."""
    total = accumulator.float() if bias is None else accumulator.float() + bias / scale
    scaled = total * (scale / _float32(output_scale))
    rounded = torch.round(scaled if added is None else scaled + added)
    output = _saturate(rounded.double() + output_zero_point, output_dtype)
    return output.clamp(min=output_zero_point) if relu else output


def _dequantize_sums(accumulator: Tensor, scale: Tensor, bias: Tensor | None, relu: bool) -> Tensor:
    """Turns exact sums into float32 outputs; ``scale`` and ``bias`` broadcast against them."""
    sums = accumulator.float() + 0.0  # an int32 has no -0
    output = sums * scale if bias is None else _fma(sums, scale, bias)
    return output.clamp(min=0) if relu else output


def _centered(values: Tensor, zero_points: int | Tensor | None, axis: int = 0) -> Tensor:
    """Returns ``values - zero_points`` in float64, where sums of products stay exact integers below 2**53."""
    if zero_points is None:
        return values.double()
    if isinstance(zero_points, Tensor):
        zero_points = _along(zero_points, axis, values.dim()).double()
    return values.double() - zero_points


def linear(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    weight: Tensor,
    weight_scales: Tensor,
    bias: Tensor | None,
    output_scale: float,
    output_zero_point: int,
    output_dtype: torch.dtype,
    relu: bool = False,
    *,
    weight_zero_points: Tensor | None = None,
) -> Tensor:
    """Multiplies 8-bit rows with an int8 weight ``[N, K]`` and quantizes the result.

    ``acc = sum_k (x[k] - x_zp) * (w[k] - w_zp)``, ``s = input_scale * weight_scale``,
    ``y = sat(rne((float(acc) + bias / s) * (s / output_scale)) + output_zero_point)``; relu is ``max(y, zero_point)``.
    """
    accumulator = F.linear(_centered(input, input_zero_point), _centered(weight, weight_zero_points))
    scale = _float32(input_scale) * weight_scales
    return _requantize(accumulator, scale, bias, output_scale, output_zero_point, output_dtype, relu)


def linear_dequantize(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    weight: Tensor,
    weight_scales: Tensor,
    bias: Tensor | None,
    relu: bool = False,
    *,
    weight_zero_points: Tensor | None = None,
) -> Tensor:
    """As :func:`linear`, with a float32 result ``fma(float(acc), input_scale * weight_scale, bias)``."""
    accumulator = F.linear(_centered(input, input_zero_point), _centered(weight, weight_zero_points))
    return _dequantize_sums(accumulator, _float32(input_scale) * weight_scales, bias, relu)


def _choose_qparams(low: Tensor, high: Tensor, reduce_range: bool) -> tuple[Tensor, Tensor]:
    """Chooses float32 scales and zero points for ranges ``low <= 0 <= high``, elementwise.

    The step is ``(high - low) / qmax`` in float64 with qmax 255, or 127 under ``reduce_range``. A step without
    a float32 reciprocal becomes 0.1; another one below 6.1e-5 becomes 6.1e-5, the range widened to match. The
    zero point comes from the end of the range that loses less, and is rounded to even at ties.
    """
    qmax = 127 if reduce_range else 255
    step = (high.double() - low.double()) / qmax
    step = torch.where(torch.isinf(1.0 / step.float()), 0.1, step)
    smallest = torch.tensor(6.1e-5, dtype=torch.float32)
    widen = smallest / step.float()
    small = step < smallest.double()
    new_low = torch.where(high == 0, -smallest * qmax, low * widen)
    new_high = torch.where(low == 0, smallest * qmax, high * widen)
    low, high = torch.where(small & (low != 0), new_low, low), torch.where(small & (high != 0), new_high, high)
    step = torch.where(small, smallest.double(), step)
    below, above = low.double() / step, high.double() / step
    use_low = -below.abs() < qmax - above.abs()
    zero_point = torch.where(use_low, -below, qmax - above)
    return step.float(), torch.round(zero_point.clamp(0, qmax)).float()


def linear_dynamic(
    input: Tensor,
    weight: Tensor,
    weight_scales: Tensor,
    bias: Tensor | None,
    per_token: bool,
    reduce_range: bool,
    relu: bool = False,
    *,
    weight_zero_points: Tensor | None = None,
) -> Tensor:
    """Quantizes a float input to uint8 by its own range, multiplies, and returns float32.

    The range, which always includes 0, is that of the whole input, or of each row when ``per_token``.
    ``x_q = sat(rne(fma(x, 1 / scale, zero_point)))`` on the full 0 to 255 also under ``reduce_range``, then
    as :func:`linear_dequantize`. A range with NaN or infinity makes every output that depends on it NaN.
    """
    x = input.float()
    # The zero that every range includes also serves inputs without elements.
    ranged = F.pad(x, (0, 1)) if per_token else F.pad(x.flatten(), (0, 1))
    low, high = ranged.amin(-1, keepdim=True), ranged.amax(-1, keepdim=True)
    finite = low.isfinite() & high.isfinite()
    scale, zero_point = _choose_qparams(low.where(finite, 0.0), high.where(finite, 0.0), reduce_range)
    quantized = _saturate(torch.round(_fma(x, 1.0 / scale, zero_point)), torch.uint8)
    accumulator = F.linear(quantized.double() - zero_point.double(), _centered(weight, weight_zero_points))
    return _dequantize_sums(accumulator, scale * weight_scales, bias, relu).where(finite, torch.nan)


def _convolve(x: Tensor, weight: Tensor, window: Sequence[int], transposed: bool, groups: int) -> Tensor:
    """Sums a float64 convolution; ``weight`` is ``[O, C / groups, *kernel]`` either way."""
    dims = x.dim() - 2
    _, stride, padding, dilation, *output_padding = (tuple(window[i : i + dims]) for i in range(0, len(window), dims))
    if not transposed:
        convolve = (F.conv1d, F.conv2d, F.conv3d)[dims - 1]
        return convolve(x, weight, None, stride, padding, dilation, groups)
    # torch takes the weight of a transposed convolution as [C, O / groups, *kernel].
    by_group = weight.reshape(groups, -1, *weight.shape[1:]).transpose(1, 2)
    convolve = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[dims - 1]
    weight = by_group.reshape(-1, *by_group.shape[2:])
    return convolve(x, weight, None, stride, padding, *output_padding, groups, dilation)


def convolution(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    weight: Tensor,
    weight_scales: Tensor,
    bias: Tensor | None,
    window: Sequence[int],
    transposed: bool,
    output_scale: float,
    output_zero_point: int,
    output_dtype: torch.dtype,
    relu: bool = False,
    residual: Tensor | None = None,
    residual_scale: float = 1.0,
    residual_zero_point: int = 0,
    *,
    groups: int = 1,
    weight_zero_points: Tensor | None = None,
) -> Tensor:
    """Convolves 8-bit ``[N, C, *spatial]`` with an int8 weight ``[O, C / groups, *kernel]``.

    The sums run over taps and channels, padding counts as the zero point, and the rest is :func:`linear`. A residual
    adds ``fma(t, r, -(residual_zero_point * t))`` with ``t = residual_scale / output_scale`` before the rounding.
    """
    x, w = _centered(input, input_zero_point), _centered(weight, weight_zero_points)
    sums = _convolve(x, w, window, transposed, groups)
    scale = _along(_float32(input_scale) * weight_scales, 1, input.dim())
    bias = None if bias is None else _along(bias, 1, input.dim())
    added = None
    if residual is not None:
        ratio = _float32(residual_scale) / _float32(output_scale)
        added = _fma(ratio, residual.float(), -(_float32(residual_zero_point) * ratio))
    return _requantize(sums, scale, bias, output_scale, output_zero_point, output_dtype, relu, added)


def convolution_dequantize(
    input: Tensor,
    input_scale: float,
    input_zero_point: int,
    weight: Tensor,
    weight_scales: Tensor,
    bias: Tensor | None,
    window: Sequence[int],
    transposed: bool,
    relu: bool = False,
    *,
    groups: int = 1,
    weight_zero_points: Tensor | None = None,
) -> Tensor:
    """As :func:`convolution`, with a float32 result ``fma(float(acc), input_scale * weight_scale, bias)``."""
    x, w = _centered(input, input_zero_point), _centered(weight, weight_zero_points)
    sums = _convolve(x, w, window, transposed, groups)
    scale = _along(_float32(input_scale) * weight_scales, 1, input.dim())
    return _dequantize_sums(sums, scale, None if bias is None else _along(bias, 1, input.dim()), relu)


def add(
    a: Tensor,
    a_scale: float,
    a_zero_point: int,
    b: Tensor,
    b_scale: float,
    b_zero_point: int,
    output_scale: float,
    output_zero_point: int,
    relu: bool = False,
) -> Tensor:
    """Adds two quantized tensors of one dtype.

    ``x' = fma(scale, q, -(zero_point * scale))`` for each, then
    ``y = sat(rne((a' + b') * (1 / output_scale)) + output_zero_point)``; relu clamps the float sum at 0.
    """

    def dequantize(q: Tensor, scale: float, zero_point: int) -> Tensor:
        return _fma(_float32(scale), q.float(), -(_float32(zero_point) * _float32(scale)))

    total = dequantize(a, a_scale, a_zero_point) + dequantize(b, b_scale, b_zero_point)
    if relu:
        total = total.clamp(min=0)
    return _saturate(torch.round(total * (1.0 / _float32(output_scale))).double() + output_zero_point, a.dtype)


def relu(input: Tensor, zero_point: int) -> Tensor:
    """Returns ``max(q, zero_point)``."""
    return input.clamp(min=zero_point)


def clamp(input: Tensor, lowest: int, highest: int) -> Tensor:
    """Returns ``min(max(q, lowest), highest)``."""
    return input.clamp(lowest, highest)


def max_pool2d(
    input: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> Tensor:
    """Takes the largest integer of each window, qmin where a window holds padding only."""
    largest = F.max_pool2d(input.double(), kernel_size, stride, padding, dilation, ceil_mode)
    return largest.clamp(min=torch.iinfo(input.dtype).min).to(input.dtype)


def avg_pool2d(
    input: Tensor,
    zero_point: int,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    """Averages each window, padding counting as the zero point.

    ``y = sat(rne(float(sum(q - zero_point)) * (1 / float(divisor))) + zero_point)``, divisor and windows those of
    the float function.
    """
    window = (tuple(kernel_size), tuple(stride), tuple(padding), ceil_mode)
    total = F.avg_pool2d(input.double() - zero_point, *window, divisor_override=1)
    ones = torch.ones_like(input, dtype=torch.float64)
    # Averaging ones gives count / divisor, so the divisor is recovered without repeating torch's window rules.
    count = F.avg_pool2d(ones, *window, divisor_override=1)
    divisor = torch.round(count / F.avg_pool2d(ones, *window, count_include_pad, divisor_override))
    return _saturate(torch.round(total.float() * (1.0 / divisor.float())).double() + zero_point, input.dtype)


def adaptive_avg_pool2d(input: Tensor, zero_point: int, output_size: Sequence[int]) -> Tensor:
    """Averages each cell of an ``output_size`` grid laid over the image.

    Cell ``i`` of ``n`` spans rows ``floor(i * H / n)`` to ``ceil((i + 1) * H / n)``, columns likewise;
    ``y = sat(rne(fma(float(sum(q - zero_point)), 1 / float(count), zero_point)))``.
    """
    height, width = input.shape[-2:]
    rows, columns = output_size
    centered = input.double() - zero_point
    output = input.new_empty(*input.shape[:-2], rows, columns)
    for i in range(rows):
        top, bottom = i * height // rows, -(-(i + 1) * height // rows)
        for j in range(columns):
            left, right = j * width // columns, -(-(j + 1) * width // columns)
            total = centered[..., top:bottom, left:right].sum((-2, -1)).float()
            inverse = 1.0 / _float32((bottom - top) * (right - left))
            output[..., i, j] = _saturate(torch.round(_fma(total, inverse, _float32(zero_point))), input.dtype)
    return output
