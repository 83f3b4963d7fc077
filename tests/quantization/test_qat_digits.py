"""Two-bit weights: what quantization after training loses on handwritten digits, training with it wins back."""

import copy

import pytest
import torch
from torch import nn

import torchq
from digits_net import accuracy, load_split
from torchq.nn.intrinsic.qat import freeze_bn_stats
from torchq.quantization import (
    DeQuantStub,
    HistogramObserver,
    MinMaxObserver,
    QConfig,
    QuantStub,
    convert,
    disable_observer,
    fuse_modules,
    fuse_modules_qat,
    get_default_qat_qconfig,
    prepare,
    prepare_qat,
)

TWO_BITS = {"quant_min": -2, "quant_max": 1}
FUSED = [["1", "2", "3"], ["4", "5", "6"]]


def train(model, images, labels, epochs, lr):
    optimizer = torch.optim.Adam(model.parameters(), lr)
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(64):
            loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


@pytest.fixture
def trained_net(one_thread):
    """A small network trained in float, in eval mode, and the data."""
    images, labels, *held_out = load_split()
    torch.manual_seed(1)
    layers = [nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    layers += [nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU()]
    net = nn.Sequential(QuantStub(), *layers, nn.Flatten(), nn.Linear(512, 10), DeQuantStub())
    train(net, images, labels, epochs=5, lr=3e-3)
    return net.eval(), (images, labels), held_out


def quantized_after_training(net, images):
    net = fuse_modules(net, FUSED)
    weight = MinMaxObserver.with_args(dtype=torchq.qint8, qscheme=torchq.per_tensor_symmetric, **TWO_BITS)
    net.qconfig = QConfig(HistogramObserver, weight)
    prepared = prepare(net)
    prepared(images)
    return convert(prepared)


def trained_with_quantization(net, images, labels):
    net = fuse_modules_qat(copy.deepcopy(net).train(), FUSED)
    default = get_default_qat_qconfig("qnnpack")
    net.qconfig = QConfig(default.activation, default.weight.with_args(averaging_constant=1, **TWO_BITS))
    prepared = prepare_qat(net)
    train(prepared, images, labels, epochs=4, lr=1e-3)
    train(prepared.apply(freeze_bn_stats), images, labels, epochs=2, lr=3e-4)
    return prepared.eval().apply(disable_observer)


def test_training_wins_back_what_two_bit_weights_lose(trained_net):
    net, train_data, held_out = trained_net
    assert accuracy(net, *held_out) > 96
    assert accuracy(quantized_after_training(net, train_data[0]), *held_out) < 90
    simulated = trained_with_quantization(net, *train_data)
    int8 = convert(simulated)
    assert {len(int8[index].weight().int_repr().unique()) for index in (1, 4, 8)} <= {2, 3, 4}
    assert accuracy(int8, *held_out) > 95
    # What training simulated is what int8 computes: a digit between two labels is all that may change.
    assert accuracy(int8, *held_out) == pytest.approx(accuracy(simulated, *held_out), abs=0.34)
