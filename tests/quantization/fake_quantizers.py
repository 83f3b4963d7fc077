"""Fake quantizers with given qparams, and what the contract says that they compute."""

import torch

import torchq
from torchq import reference
from torchq.quantization.fake_quantize import FakeQuantize, FixedQParamsFakeQuantize
from torchq.quantization.observer import FixedQParamsObserver, PerChannelMinMaxObserver


def per_tensor(scale, zero_point, dtype, quant_min, quant_max):
    observer = FixedQParamsObserver.with_args(
        scale=scale, zero_point=zero_point, dtype=dtype, quant_min=quant_min, quant_max=quant_max
    )
    return FixedQParamsFakeQuantize(observer)


def per_channel(scales, zero_points, axis, dtype, quant_min, quant_max, qscheme=torchq.per_channel_affine):
    made = FakeQuantize(PerChannelMinMaxObserver, quant_min, quant_max, dtype=dtype, qscheme=qscheme, ch_axis=axis)
    seen = torch.zeros(len(scales))
    state = {"scale": scales, "zero_point": zero_points}
    state |= {"activation_post_process.min_val": seen, "activation_post_process.max_val": seen}
    made.load_state_dict({**made.state_dict(), **state})
    made.disable_observer()
    return made


def expected_per_tensor(x, scale, zero_point, dtype, quant_min, quant_max):
    """Values, and where the gradient passes."""
    qparams = scale, zero_point
    integers = reference.quantize_per_tensor(x, *qparams, dtype.storage_dtype).clamp(quant_min, quant_max)
    wide = reference.quantize_per_tensor(x, *qparams, torch.int32)
    return reference.dequantize_per_tensor(integers, *qparams), (wide >= quant_min) & (wide <= quant_max)


def expected_per_channel(x, scales, zero_points, axis, dtype, quant_min, quant_max):
    """Values, and where the gradient passes."""
    qparams = scales, zero_points, axis
    integers = reference.quantize_per_channel(x, *qparams, dtype.storage_dtype).clamp(quant_min, quant_max)
    wide = reference.quantize_per_channel(x, *qparams, torch.int32)
    return reference.dequantize_per_channel(integers, *qparams), (wide >= quant_min) & (wide <= quant_max)


def backward(fake_quantize, x):
    """The output and the gradient of a weighted sum of it, and the weights."""
    x = x.detach().requires_grad_()
    output = fake_quantize(x)
    weights = torch.randn(x.shape, generator=torch.Generator().manual_seed(3)).to(output.dtype)
    (output * weights).sum().backward()
    return output.detach(), x.grad, weights
