"""Matrix products and convolutions."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from torchq.reference.rounding import along, float32, fma, saturate


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
    scaled = total * (scale / float32(output_scale))
    rounded = torch.round(scaled if added is None else scaled + added)
    output = saturate(rounded.double() + output_zero_point, output_dtype)
    return output.clamp(min=output_zero_point) if relu else output


def _dequantize_sums(accumulator: Tensor, scale: Tensor, bias: Tensor | None, relu: bool) -> Tensor:
    """Turns exact sums into float32 outputs; ``scale`` and ``bias`` broadcast against them."""
    sums = accumulator.float() + 0.0  # an int32 has no -0
    output = sums * scale if bias is None else fma(sums, scale, bias)
    return output.clamp(min=0) if relu else output


def _centered(values: Tensor, zero_points: int | Tensor | None, axis: int = 0) -> Tensor:
    """Returns ``values - zero_points`` in float64, where sums of products stay exact integers below 2**53."""
    if zero_points is None:
        return values.double()
    if isinstance(zero_points, Tensor):
        zero_points = along(zero_points, axis, values.dim()).double()
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
    scale = float32(input_scale) * weight_scales
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
    return _dequantize_sums(accumulator, float32(input_scale) * weight_scales, bias, relu)


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
    quantized = saturate(torch.round(fma(x, 1.0 / scale, zero_point)), torch.uint8)
    accumulator = F.linear(quantized.double() - zero_point.double(), _centered(weight, weight_zero_points))
    return _dequantize_sums(accumulator, scale * weight_scales, bias, relu).where(finite, torch.nan)


def _convolve(x: Tensor, weight: Tensor, window: Sequence[int], transposed: bool, groups: int) -> Tensor:
    """Sums a float64 convolution; ``weight`` is ``[O, C / groups, *kernel]`` either way."""
    dims = x.dim() - 2
    _, stride, padding, dilation, *output_padding = (tuple(window[i : i + dims]) for i in range(0, len(window), dims))
    if not transposed:
        convolve = (F.conv1d, F.conv2d, F.conv3d)[dims - 1]
        # torch pads an image of no pixels, but convolves none.
        x = F.pad(x, [amount for side in reversed(padding) for amount in (side, side)])
        return convolve(x, weight, None, stride, 0, dilation, groups)
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
    scale = along(float32(input_scale) * weight_scales, 1, input.dim())
    bias = None if bias is None else along(bias, 1, input.dim())
    added = None
    if residual is not None:
        ratio = float32(residual_scale) / float32(output_scale)
        added = fma(ratio, residual.float(), -(float32(residual_zero_point) * ratio))
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
    scale = along(float32(input_scale) * weight_scales, 1, input.dim())
    return _dequantize_sums(sums, scale, None if bias is None else along(bias, 1, input.dim()), relu)


def matmul(
    a: Tensor,
    a_scale: float,
    a_zero_point: int,
    b: Tensor,
    b_scale: float,
    b_zero_point: int,
    output_scale: float,
    output_zero_point: int,
) -> Tensor:
    """Multiplies batches of 8-bit matrices; as :func:`linear`, with ``b`` for the weight."""
    sums = torch.matmul(_centered(a, a_zero_point), _centered(b, b_zero_point))
    scale = float32(a_scale) * float32(b_scale)
    return _requantize(sums, scale, None, output_scale, output_zero_point, a.dtype, False)
