"""Calls of every function of torchq.quantized that torch.ops.quantized takes as well.

A call is a function of the functions of either library, the library and a source of numbers, which gives both the same.
"""

import torch


class Source:
    """Random numbers, shapes and quantized tensors, the same for each library.

    Args:
        library: torch or torchq.
        seed: of the numbers.
    """

    def __init__(self, library, seed):
        self.library = library
        self.generator = torch.Generator().manual_seed(seed)
        self.dtype = torch.int8 if seed % 2 else torch.uint8

    def number(self, low, high):
        return int(torch.randint(low, high + 1, (), generator=self.generator))

    def real(self, low, high):
        return low + (high - low) * torch.rand((), generator=self.generator).item()

    def floats(self, *size):
        return torch.randn(size, generator=self.generator)

    def scale(self):
        return self.real(0.02, 0.1)

    def qparams(self):
        """Scale and zero point of a result."""
        offset = -128 if self.dtype is torch.int8 else 0
        return self.scale(), self.number(50, 200) + offset

    def quantized(self, *size, unsigned=False, highest=127):
        """A quantized tensor; of 7 bits, beyond which torch's sums saturate on a CPU without VNNI instructions."""
        dtype = torch.uint8 if unsigned else self.dtype
        integers = torch.randint(0, highest + 1, size, generator=self.generator)
        offset = 0 if dtype is torch.uint8 else -64
        return self.made((integers + offset).to(dtype), self.scale(), self.number(20, 100) + offset)

    def made(self, integers, scale, zero_point, axis=None):
        if axis is None:
            return self.library._make_per_tensor_quantized_tensor(integers, scale, zero_point)
        return self.library._make_per_channel_quantized_tensor(integers, scale, zero_point, axis)

    def weight(self, *size, one_scale=False):
        """A weight with one scale, or one for each index of axis 0."""
        integers = torch.randint(-128, 128, size, generator=self.generator).to(torch.int8)
        if self.number(0, 1) or one_scale:
            return self.made(integers, 0.01, 0)
        scales = torch.rand(size[0], generator=self.generator).double() * 0.01 + 0.005
        return self.made(integers, scales, torch.zeros(size[0], dtype=torch.int64), 0)

    def bias(self, n):
        return self.floats(n) if self.number(0, 1) else None

    def table(self, rows, columns, bits):
        """The weight of an embedding."""
        values = self.floats(rows, columns)
        low, high = values.aminmax(dim=1)
        scales = (high - low) / (2**bits - 1)
        dtype = self.library.quint8 if bits == 8 else self.library.quint4x2
        return self.library.quantize_per_channel(values, scales, -low / scales, 0, dtype)


def _rescaled(name, *arguments):
    def call(q, of, *before):
        x = of.quantized(3, of.number(1, 5), of.number(1, 40), highest=255 if of.dtype is torch.uint8 else 191)
        return getattr(q, name)(x, *before, *of.qparams(), *arguments)

    return call


def _two(name, out=False):
    def call(q, of):
        x, y = of.quantized(3, of.number(1, 70)), None
        y = of.quantized(*x.shape)
        if not out:
            return getattr(q, name)(x, y, *of.qparams())
        target = of.quantized(*x.shape)
        assert getattr(q, name)(x, y, target) is target
        return target

    return call


def _scalar(name, out=False, tensor=False):
    def call(q, of):
        x, b = of.quantized(3, 20), of.real(-3, 3)
        b = torch.tensor(b) if tensor else b
        return getattr(q, name)(x, b, of.quantized(3, 20)) if out else getattr(q, name)(x, b)

    return call


def _cat(name, out=False, own=False):
    def call(q, of):
        dim, rest = of.number(0, 1), of.number(1, 20)
        tensors = [of.quantized(*(size, rest)[:: -1 if dim else 1]) for size in (3, 1, 5)]
        if own:
            return getattr(q, name)(tensors, dim, None, None)
        if not out:
            return getattr(q, name)(tensors, dim, *of.qparams())
        return getattr(q, name)(tensors, dim, of.quantized(*(9, rest)[:: -1 if dim else 1]))

    return call


def _matmul(q, of):
    x, y = of.quantized(2, 3, 17), of.quantized(2, 17, of.number(1, 9))
    return q.matmul(x, y, 0.3, of.qparams()[1])


def _pool(name, *size):
    def call(q, of):
        kernel, dims = of.number(2, 3), len(size) - 2
        window = ([kernel] * dims, [of.number(1, 3)] * dims if of.number(0, 1) else [], [1] * dims, [1] * dims)
        return getattr(q, name)(of.quantized(*size), *window, bool(of.number(0, 1)))

    return call


def _norm(name, *size):
    def call(q, of):
        c = size[1]
        affine = (of.floats(c), of.floats(c))
        statistics = (of.floats(c), of.floats(c).square() + 0.1)
        return getattr(q, name)(of.quantized(*size), *affine, *statistics, 1e-5, *of.qparams())

    return call


def _prelu(q, of):
    # torch's kernel has the slope 1 in the scale of the weight, so that needs room for it.
    slopes = of.made(torch.randint(0, 101, (4,), generator=of.generator).to(torch.uint8), 0.01, 0)
    return q.prelu(of.quantized(2, 4, 9, unsigned=True), slopes, of.scale(), of.number(20, 100))


def _leaky_relu(q, of):
    return q.leaky_relu(of.quantized(5, 33), of.real(0, 1), False, *of.qparams())


SINGLE = {
    "celu": _rescaled("celu", 0.7),
    "elu": _rescaled("elu"),
    "elu-selu": _rescaled("elu", 1.6733, 1.0507, 0.9),
    "hardswish": _rescaled("hardswish"),
    "sigmoid": lambda q, of: q.sigmoid(of.quantized(3, 40), 1 / 200, of.qparams()[1]),
    "softmax": lambda q, of: q.softmax(of.quantized(3, 4, 20), of.number(-1, 2), 1 / 256, of.qparams()[1]),
    "leaky_relu": _leaky_relu,
    "prelu": _prelu,
    "relu6": lambda q, of: q.relu6(of.quantized(3, 40), False),
    "clamp": lambda q, of: q.clamp(of.quantized(3, 40), of.real(-3, 0), of.real(0, 3)),
    "clamp-min": lambda q, of: q.clamp(of.quantized(3, 40), of.real(-3, 3)),
    "threshold": lambda q, of: q.threshold(of.quantized(3, 40), of.real(-2, 2), of.real(-2, 2)),
    "dropout": lambda q, of: q.dropout(of.quantized(3, 40), *of.qparams(), 0.5, True),
    "max_pool1d": _pool("max_pool1d", 2, 5, 17),
    "max_pool2d": _pool("max_pool2d", 2, 5, 9, 8),
    "layer_norm": lambda q, of: q.layer_norm(
        of.quantized(3, 4, 20), [4, 20], of.floats(4, 20), None, 1e-5, *of.qparams()
    ),
    "group_norm": lambda q, of: q.group_norm(
        of.quantized(2, 6, 5, 5), 3, of.floats(6), of.floats(6), 1e-5, *of.qparams()
    ),
    "instance_norm": lambda q, of: q.instance_norm(of.quantized(2, 6, 5, 5), None, None, 1e-5, *of.qparams()),
    "batch_norm": _norm("batch_norm", 2, 5, 4, 4),
    "batch_norm_relu": _norm("batch_norm_relu", 2, 5, 4, 4),
    "batch_norm1d": _norm("batch_norm1d", 2, 5, 40),
    "batch_norm1d_relu": _norm("batch_norm1d_relu", 9, 5),
    "batch_norm2d": _norm("batch_norm2d", 2, 5, 4, 4),
    "batch_norm2d_relu": _norm("batch_norm2d_relu", 2, 5, 4, 4),
    "batch_norm3d": _norm("batch_norm3d", 2, 5, 4, 3, 2),
    "batch_norm3d_relu": _norm("batch_norm3d_relu", 2, 5, 4, 3, 2),
}
ARITHMETIC = {
    "add": _two("add"),
    "add_relu": _two("add_relu"),
    "mul": _two("mul"),
    "mul_relu": _two("mul_relu"),
    "add_out": _two("add_out", out=True),
    "add_relu_out": _two("add_relu_out", out=True),
    "mul_out": _two("mul_out", out=True),
    "mul_relu_out": _two("mul_relu_out", out=True),
    **{f"{name}-out": _two(name, out=True) for name in ("add", "add_relu", "mul", "mul_relu")},
    **{f"{name}-number": _scalar(name) for name in ("add", "add_relu", "mul", "mul_relu")},
    **{f"{name}-number-out": _scalar(name, out=True) for name in ("add", "add_relu", "mul", "mul_relu")},
    "add-number-first": lambda q, of: q.add(1.7, of.quantized(3, 20)),
    "mul-number-first": lambda q, of: q.mul(-1.7, of.quantized(3, 20)),
    "add_scalar": _scalar("add_scalar"),
    "add_scalar_relu": _scalar("add_scalar_relu"),
    "mul_scalar": _scalar("mul_scalar"),
    "mul_scalar_relu": _scalar("mul_scalar_relu"),
    "add_scalar-tensor": _scalar("add_scalar", tensor=True),
    "mul_scalar-tensor": _scalar("mul_scalar", tensor=True),
    "add_scalar_out": _scalar("add_scalar_out", out=True),
    "add_scalar_relu_out": _scalar("add_scalar_relu_out", out=True),
    "mul_scalar_out": _scalar("mul_scalar_out", out=True),
    "mul_scalar_relu_out": _scalar("mul_scalar_relu_out", out=True),
    "cat": _cat("cat"),
    "cat-qparams-of-the-first": _cat("cat", own=True),
    "cat_relu": _cat("cat_relu"),
    "cat_out": _cat("cat_out", out=True),
    "cat_relu_out": _cat("cat_relu_out", out=True),
    "matmul": _matmul,
}
# The share of integers that may be one apart, with room to spare: docs/numerics.md, Beside torch.ao.
ONE_APART = dict.fromkeys((*SINGLE, *(name for name in ARITHMETIC if name.startswith("mul"))), 1e-2)
ONE_APART |= dict.fromkeys(("relu6", "clamp", "clamp-min", "threshold", "dropout", "max_pool1d", "max_pool2d"), 0)
ONE_APART |= {name: 0 for name in ARITHMETIC if "scalar" in name or "number" in name}
CALLS = {**SINGLE, **ARITHMETIC}
