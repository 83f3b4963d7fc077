"""Every quantized module with random state, and an input for each."""

import functools

import torch

import torchq
from torchq.nn import quantized
from torchq.nn.intrinsic import quantized as intrinsic_quantized
from torchq.nn.quantized import dynamic

SIZES = {1: (2, 4, 9), 2: (2, 4, 9, 7), 3: (2, 4, 6, 5, 7)}
CONV_RELU = {1: intrinsic_quantized.ConvReLU1d, 2: intrinsic_quantized.ConvReLU2d, 3: intrinsic_quantized.ConvReLU3d}
BN_RELU = {2: intrinsic_quantized.BNReLU2d, 3: intrinsic_quantized.BNReLU3d}
WINDOW = {"kernel_size": 3, "stride": 2, "padding": 1, "groups": 2}


def _ones(*size):
    return torch.ones(size)


def _make(kind):
    return lambda: kind(4, 6, **WINDOW)


def _static():
    """Names to functions that make a module, and the size of its input."""
    yield "Linear", lambda: quantized.Linear(12, 7), (3, 5, 12)
    yield "Linear-without-bias", lambda: quantized.Linear(12, 7, bias_=False), (3, 12)
    yield "LinearReLU", lambda: intrinsic_quantized.LinearReLU(12, 7), (3, 12)
    yield "LinearLeakyReLU", lambda: intrinsic_quantized.LinearLeakyReLU(12, 7, 0.1), (3, 12)
    yield "LinearTanh", lambda: intrinsic_quantized.LinearTanh(12, 7), (3, 12)
    for d, size in SIZES.items():
        for kind in (getattr(quantized, f"Conv{d}d"), CONV_RELU[d]):
            yield kind.__name__, _make(kind), size
        name = f"ConvTranspose{d}d"
        yield name, _make(getattr(quantized, name)), size
        norm = getattr(quantized, f"InstanceNorm{d}d")
        yield norm.__name__, lambda norm=norm: norm(4, _ones(4), _ones(4), 0.05, 3), size
        if d > 1:
            for kind in (getattr(quantized, f"BatchNorm{d}d"), BN_RELU[d]):
                yield kind.__name__, functools.partial(kind, 4), size
    yield "Conv2d-reflect", lambda: quantized.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"), SIZES[2]
    yield "LayerNorm", lambda: quantized.LayerNorm((9, 7), _ones(9, 7), _ones(9, 7), 0.05, 3), SIZES[2]
    yield "LayerNorm-plain", lambda: quantized.LayerNorm(7, None, None, 0.05, 3), SIZES[2]
    yield "GroupNorm", lambda: quantized.GroupNorm(2, 4, _ones(4), None, 0.05, 3), SIZES[1]
    yield "Hardswish", lambda: quantized.Hardswish(0.05, 3), (3, 12)
    yield "ELU", lambda: quantized.ELU(0.05, 3, 0.7), (3, 12)
    yield "LeakyReLU", lambda: quantized.LeakyReLU(0.05, 3, 0.1), (3, 12)
    yield "Sigmoid", lambda: quantized.Sigmoid(0.05, 3), (3, 12)
    yield "Softmax", lambda: quantized.Softmax(1, 0.05, 3), (3, 12)
    yield "PReLU", lambda: quantized.PReLU(0.05, 3, 4), SIZES[2]
    yield "ReLU6", quantized.ReLU6, (3, 12)


def _float():
    """The same for those that take floats."""
    yield "dynamic.Linear", lambda: dynamic.Linear(12, 7), (3, 5, 12)
    yield "dynamic.LinearReLU", lambda: intrinsic_quantized.dynamic.LinearReLU(12, 7), (3, 12)
    for d, size in SIZES.items():
        for name in (f"Conv{d}d", f"ConvTranspose{d}d"):
            yield f"dynamic.{name}", _make(getattr(dynamic, name)), size


def _others():
    """Those that take something else, and no tensor: two of them, operations, floats that stay floats, indices."""
    yield "ConvAdd2d", lambda: intrinsic_quantized.ConvAdd2d(4, 6, **WINDOW)
    yield "ConvAddReLU2d", lambda: intrinsic_quantized.ConvAddReLU2d(4, 6, **WINDOW)
    yield "QFunctional", quantized.QFunctional
    yield "Quantize", lambda: quantized.Quantize(0.1, 3, torchq.quint8)
    yield "Embedding", lambda: quantized.Embedding(10, 6)
    yield "EmbeddingBag", lambda: quantized.EmbeddingBag(10, 6, mode="mean")
    yield "EmbeddingBag-4bit", lambda: quantized.EmbeddingBag(10, 6, dtype=torchq.quint4x2)
    yield "Dropout", quantized.Dropout
    yield "LSTM", lambda: quantized.LSTM(4, 3, 2, bidirectional=True)
    yield "LSTM-split", lambda: quantized.LSTM(4, 3, bias=False, split_gates=True)
    yield "MultiheadAttention", lambda: quantized.MultiheadAttention(4, 2, add_bias_kv=True, kdim=3)
    for dtype in (torchq.qint8, torch.float16):
        end = "" if dtype is torchq.qint8 else "-float16"
        yield (
            f"dynamic.LSTM{end}",
            functools.partial(dynamic.LSTM, 4, 3, 2, bidirectional=True, dtype=dtype, proj_size=2),
        )
        yield f"dynamic.GRU{end}", functools.partial(dynamic.GRU, 4, 3, 2, bias=False, dtype=dtype)
        for name in ("LSTMCell", "GRUCell", "RNNCell"):
            yield f"dynamic.{name}{end}", functools.partial(getattr(dynamic, name), 4, 3, dtype=dtype)


STATIC = {name: (make, size) for name, make, size in _static()}
FLOAT = {name: (make, size) for name, make, size in _float()}
MAKE = {**{name: make for name, (make, _) in {**STATIC, **FLOAT}.items()}, **dict(_others())}


def _weight(size, axis, generator, per_channel):
    integers = torch.randint(-128, 128, size, dtype=torch.int8, generator=generator)
    if not per_channel:
        return torchq.QTensor(integers, 0.1, 2)
    scales = torch.rand(size[axis], generator=generator).double() + 0.1
    return torchq.QTensor(integers, scales.float().double(), torch.arange(size[axis]), axis)


def filled(name, per_channel=True):
    """A module with random state."""
    generator = torch.Generator().manual_seed(0)
    module = MAKE[name]()
    if isinstance(module, quantized.LSTM | quantized.MultiheadAttention):
        for part in module.modules():
            if hasattr(part, "set_output_qparams"):
                _fill(part, generator, per_channel)
        for row in ("bias_k", "bias_v") if isinstance(module, quantized.MultiheadAttention) else ():
            setattr(
                module,
                row,
                torchq.quantize_per_tensor(torch.randn(1, 1, 4, generator=generator), 0.1, 3, torchq.quint8),
            )
    else:
        _fill(module, generator, per_channel)
    return module


def _fill(module, generator, per_channel):
    if isinstance(module, quantized.Embedding):
        rows = torch.randn(10, 6, generator=generator)
        scales, zero_points = torch.rand(10, generator=generator) + 0.1, torch.randn(10, generator=generator) + 8
        module.set_weight(torchq.quantize_per_channel(rows, scales, zero_points, 0, module.dtype))
    elif isinstance(module, quantized.PReLU):
        slopes = torch.randint(0, 256, (4,), dtype=torch.uint8, generator=generator)
        scales = torch.rand(4, generator=generator).double()
        weight = torchq.QTensor(slopes, scales, torch.arange(4), 0) if per_channel else torchq.QTensor(slopes, 0.1, 2)
        module.set_weight(weight)
    elif isinstance(module, dynamic.RNNBase | dynamic.RNNCellBase):
        biases = {
            k: None if b is None else torch.randn(b.shape, generator=generator) for k, b in module.get_bias().items()
        }
        weights = {key: _weight(weight.shape, 0, generator, per_channel) for key, weight in module.get_weight().items()}
        if module.weight_dtype is torch.float16:
            weights = {key: weight.dequantize() for key, weight in weights.items()}
        cell = isinstance(module, dynamic.RNNCellBase)
        module.set_weight_bias({"weight": weights, "bias": biases} if cell else {**weights, **biases})
    elif hasattr(module, "set_weight_bias"):
        bias = None if module.bias() is None else torch.randn(module.bias().shape, generator=generator)
        axis = 1 if getattr(module, "transposed", False) else 0
        module.set_weight_bias(_weight(module.weight().shape, axis, generator, per_channel), bias)
    else:
        for buffer in module.buffers():
            buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    if hasattr(module, "set_output_qparams"):
        module.set_output_qparams(0.1, -7, torchq.qint8)
    if hasattr(module, "granularity") and getattr(module, "weight_dtype", torchq.qint8) is torchq.qint8:
        module.granularity = "per_token"


def example(name, dtype=torchq.qint8):
    """An input for a module of STATIC or FLOAT."""
    size = {**STATIC, **FLOAT}[name][1]
    x = torch.randn(size, generator=torch.Generator().manual_seed(1)) * 2
    return x if name in FLOAT else torchq.quantize_per_tensor(x, 0.05, 5, dtype)
