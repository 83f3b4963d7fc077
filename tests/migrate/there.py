"""Modules and models of torch.ao, made where a test asks for them: at import torch.ao may be gone."""

import torch
from torch import nn

from nn.float_modules import CASES, randomized, values


def calibrated(name):
    """One of the modules of ``CASES`` between stubs, quantized by torch.ao; and an input."""
    from torch.ao import quantization

    make, size = CASES[name]
    torch.manual_seed(0)
    layer = randomized(make(torch.ao.nn.intrinsic))
    model = nn.Sequential(quantization.QuantStub(), layer, quantization.DeQuantStub()).eval()
    model.qconfig = quantization.get_default_qconfig("fbgemm")
    if "Transpose" in name:
        layer.qconfig = quantization.default_qconfig
    prepared = quantization.prepare(model)
    for seed in range(3):
        prepared(values(size, seed))
    return quantization.convert(prepared), values(size, 9)


class Net(nn.Module):
    """Has stubs, a fused convolution, a sum, and a linear layer."""

    def __init__(self, quantization, functional):
        super().__init__()
        self.quant, self.dequant = quantization.QuantStub(), quantization.DeQuantStub()
        self.conv, self.relu, self.sum = nn.Conv2d(3, 8, 3), nn.ReLU(), functional()
        self.shrink, self.fc = nn.Conv2d(8, 8, 3, stride=2), nn.Linear(8, 4)

    def forward(self, x):
        x = self.relu(self.conv(self.quant(x)))
        x = self.shrink(self.sum.add(x, x)).mean((2, 3))
        return self.dequant(self.fc(x))


def quantized(quantization, functional, seed=0):
    """That net, quantized by torch.ao or torchq; weights and data are the seed's."""
    torch.manual_seed(seed)
    model = quantization.fuse_modules(Net(quantization, functional).eval(), [["conv", "relu"]])
    model.qconfig = quantization.get_default_qconfig("fbgemm")
    prepared = quantization.prepare(model)
    prepared(torch.randn(4, 3, 12, 12))
    return quantization.convert(prepared)


def integers(size, scale=0.1):
    """A quantized tensor of torch, of 7 bits, with which torch's own kernels are exact on every CPU."""
    return torch.quantize_per_tensor(torch.rand(size) * 126 * scale, scale, 1, torch.quint8)


def table(size, dtype=torch.quint8):
    """Rows with a scale and a zero point each."""
    return torch.quantize_per_channel(torch.randn(size) * 3, 0.1 + torch.rand(size[0]), torch.rand(size[0]), 0, dtype)


def with_weight(layer, bias=True, output=None):
    """A layer with a random weight per tensor."""
    weight = torch.quantize_per_tensor(torch.randn(layer.weight().shape), 0.02, 0, torch.qint8)
    count = getattr(layer, "out_channels", None) or layer.out_features
    layer.set_weight_bias(weight, torch.randn(count) if bias else None)
    if output is not None:
        layer.scale, layer.zero_point = output
    return layer


def prelu():
    layer = torch.ao.nn.quantized.PReLU(0.1, 1, 4)
    layer.set_weight(torch.quantize_per_tensor(torch.rand(4), 0.01, 0, torch.quint8))
    return layer


def embedding(kind, dtype, **options):
    return getattr(torch.ao.nn.quantized, kind)(10, 6, _weight=table((10, 6), dtype), dtype=dtype, **options)


WINDOW = {"kernel_size": 3, "stride": 2, "padding": 1, "groups": 2}
BAGS = (torch.tensor([1, 4, 0, 4]), torch.tensor([0, 1, 4]))


def dynamic(name):
    return getattr(torch.ao.nn.quantized.dynamic, name)


def fused(name):
    return getattr(torch.ao.nn.intrinsic.quantized, name)


# Quantized modules that no data chose, and inputs.
DIRECT = {
    "Sigmoid": lambda: (torch.ao.nn.quantized.Sigmoid(1 / 256, 0), integers((2, 4, 6))),
    "Softmax": lambda: (torch.ao.nn.quantized.Softmax(1, 1 / 256, 0), integers((2, 4, 6))),
    "PReLU": lambda: (prelu(), integers((2, 4, 6))),
    "LinearTanh": lambda: (with_weight(fused("LinearTanh")(4, 3), output=(0.01, 100)), integers((5, 4))),
    "LinearLeakyReLU": lambda: (
        with_weight(fused("LinearLeakyReLU")(4, 3, 0.2), output=(0.05, 100)),
        integers((5, 4)),
    ),
    "Linear-without-bias": lambda: (
        with_weight(torch.ao.nn.quantized.Linear(4, 3, bias_=False), False, (0.05, 100)),
        integers((5, 4)),
    ),
    "Quantize": lambda: (
        torch.ao.nn.quantized.Quantize(torch.tensor([0.1]), torch.tensor([-3]), torch.qint8),
        torch.randn(9),
    ),
    "dynamic.Linear": lambda: (with_weight(dynamic("Linear")(4, 3)), torch.randn(5, 4)),
    "dynamic.LinearReLU": lambda: (with_weight(fused("dynamic").LinearReLU(4, 3)), torch.randn(5, 4)),
    **{
        f"Embedding-{dtype}": lambda dtype=dtype: (embedding("Embedding", getattr(torch, dtype)), BAGS[0])
        for dtype in ("quint8", "quint4x2")
    },
    **{
        f"EmbeddingBag-{dtype}": lambda dtype=dtype: (
            embedding("EmbeddingBag", getattr(torch, dtype), mode="sum", include_last_offset=True),
            BAGS,
        )
        for dtype in ("quint8", "quint4x2")
    },
}
DYNAMIC_CONVS = [f"{kind}{dims}d" for kind in ("Conv", "ConvTranspose") for dims in (1, 2, 3)]

# Recurrent layers and cells, and sizes of their inputs.
RECURRENT = {
    "LSTM": (lambda: nn.LSTM(6, 5, 2, bidirectional=True), (7, 3, 6)),
    "GRU": (lambda: nn.GRU(6, 5, 2, batch_first=True), (3, 7, 6)),
    "LSTMCell": (lambda: nn.LSTMCell(6, 5), (3, 6)),
    "GRUCell": (lambda: nn.GRUCell(6, 5), (3, 6)),
    "RNNCell": (lambda: nn.RNNCell(6, 5, nonlinearity="relu"), (3, 6)),
}


def recurrent(quantization, name, dtype, seed=0):
    """One of these, with another module around it, quantized by torch.ao or torchq."""
    torch.manual_seed(seed)
    make, _ = RECURRENT[name]
    model = nn.Sequential(make())
    return quantization.quantize_dynamic(model, {type(model[0])}, dtype=dtype)


class Parts(nn.Module):
    """An LSTM and attention that are quantized in parts."""

    def __init__(self, quantization):
        super().__init__()
        self.quant, self.dequant = quantization.QuantStub(), quantization.DeQuantStub()
        self.lstm = nn.LSTM(6, 5, 2, bidirectional=True)
        self.attention = nn.MultiheadAttention(10, 2, add_bias_kv=True)

    def forward(self, x):
        y, _ = self.lstm(self.quant(x))
        return self.dequant(self.attention(y, y, y)[0])


def in_parts(quantization, seed=0):
    """That model, quantized by torch.ao or torchq."""
    torch.manual_seed(seed)
    model = Parts(quantization).eval()
    model.qconfig = quantization.get_default_qconfig("fbgemm")
    custom = quantization.get_default_custom_config_dict()
    prepared = quantization.prepare(model, prepare_custom_config_dict=custom)
    prepared(torch.randn(7, 3, 6))
    return quantization.convert(prepared, convert_custom_config_dict=custom)
