"""Cross-layer equalization: the function stays, the weights' ranges meet, and one scale per tensor fits better."""

import copy

import pytest
import torch
from torch import nn

from torchq.nn import intrinsic
from torchq.nn.quantized.conversion import quantize_weight
from torchq.quantization import _equalize as eq
from torchq.quantization import default_weight_observer, fuse_modules

CHANNELS = 16
PAIRS = {
    "linear-linear": (lambda: (nn.Linear(8, CHANNELS), nn.Linear(CHANNELS, 4)), (32, 8)),
    "conv-conv": (lambda: (nn.Conv2d(3, CHANNELS, 3), nn.Conv2d(CHANNELS, 4, 3)), (4, 3, 8, 8)),
    "conv1d-conv1d": (lambda: (nn.Conv1d(3, CHANNELS, 3), nn.Conv1d(CHANNELS, 4, 3, bias=False)), (4, 3, 8)),
    "conv3d-conv3d": (lambda: (nn.Conv3d(3, CHANNELS, 1, bias=False), nn.Conv3d(CHANNELS, 4, 1)), (4, 3, 2, 2, 2)),
    "depthwise-conv": (
        lambda: (nn.Conv2d(CHANNELS, CHANNELS, 3, groups=CHANNELS), nn.Conv2d(CHANNELS, 4, 1)),
        (2, 16, 8, 8),
    ),
}


class PooledNet(nn.Module):
    """A convolution, a relu, a pool and a linear layer."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.fc = nn.Conv2d(3, CHANNELS, 3), nn.ReLU(), nn.Linear(CHANNELS, 4)

    def forward(self, x):
        return self.fc(self.relu(self.conv(x)).mean((2, 3)))


def unequal(first, second, decades=3):
    """Spreads the ranges of the channels between two layers, where the function does not show it."""
    factors = torch.logspace(-decades / 2, decades / 2, CHANNELS)
    with torch.no_grad():
        first.weight *= eq._along(factors, first.weight, 0)
        second.weight /= eq._along(factors, second.weight, 1)
        if first.bias is not None:
            first.bias *= factors
    return first, second


def unequal_net(pair):
    torch.manual_seed(0)
    first, second = unequal(*PAIRS[pair][0]())
    return nn.Sequential(first, nn.ReLU(), second)


def values(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def same_function(one, other, x):
    """Whether two networks agree up to rounding.

    Scaling rounds a factor, its reciprocal and each product once, in up to three layers; the sums of up to 16 * 9
    products of each layer round in other places. All of that is relative to the sum of what is added, without signs.
    """
    unsigned = copy.deepcopy(other)
    for parameter in unsigned.parameters():
        parameter.data.abs_()
    return ((one(x) - other(x)).abs() <= 3 * (3 + 144) * 2**-24 * unsigned(x.abs())).all()


@pytest.mark.parametrize("pair", PAIRS)
def test_function_stays(pair):
    net = unequal_net(pair)
    equalized = eq.equalize(net, [["0", "2"]], inplace=False)
    assert not torch.equal(equalized[0].weight, net[0].weight)
    assert same_function(equalized, net, values(*PAIRS[pair][1]))


@pytest.mark.parametrize("pair", PAIRS)
def test_ranges_of_each_channel_become_equal(pair):
    net = eq.equalize(unequal_net(pair), [["0", "2"]])
    first, second = eq.channel_range(net[0].weight, 0), eq.channel_range(net[2].weight, 1)
    # 1e-9, which is added to the second range, and the roundings of a quotient, a root, its reciprocal and products.
    torch.testing.assert_close(first, second, rtol=1e-6, atol=0)


@pytest.mark.parametrize("pair", ["linear-linear", "conv-conv"])
def test_result_with_one_scale_per_tensor_improves(pair):
    net = unequal_net(pair)
    x = values(*PAIRS[pair][1])

    def error(net):
        quantized = copy.deepcopy(net)
        for layer in (quantized[0], quantized[2]):
            layer.weight.data = quantize_weight(layer.weight, default_weight_observer()).dequantize()
        return ((quantized(x) - net(x)).norm() / net(x).norm()).item()

    before = error(net)
    after = error(eq.equalize(net, [["0", "2"]]))
    assert after < before / 4


def test_relative_error_of_channels_falls():
    net = unequal_net("linear-linear")

    def errors(weight):
        error = quantize_weight(weight, default_weight_observer()).dequantize() - weight
        return (error.norm(dim=1) / weight.norm(dim=1)).max()

    before = errors(net[0].weight)
    assert before == 1  # the narrowest channel is all zeros
    assert errors(eq.equalize(net, [["0", "2"]])[0].weight) < 0.1


def test_convolution_and_linear_layer_with_a_pool_between():
    torch.manual_seed(0)
    net = PooledNet()
    unequal(net.conv, net.fc)
    equalized = eq.equalize(net, [[net.conv, net.fc]], inplace=False)
    assert same_function(equalized, net, values(4, 3, 8, 8))


def test_fused_layers():
    net = unequal_net("linear-linear").eval()
    fused = fuse_modules(net, [["0", "1"]])
    eq.equalize(fused, [["0", "2"]])
    assert isinstance(fused[0], intrinsic.LinearReLU)
    assert same_function(fused, net, values(32, 8))
    assert torch.equal(fused[0][0].weight, eq.equalize(net, [["0", "2"]])[0].weight)


def test_chain_is_equalized_together():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(8, CHANNELS), nn.ReLU(), nn.Linear(CHANNELS, CHANNELS), nn.ReLU(), nn.Linear(CHANNELS, 4)
    )
    unequal(net[0], net[2]), unequal(net[2], net[4], decades=-2)
    equalized = eq.equalize(net, [["0", net[2], "4"]], threshold=1e-5, inplace=False)
    assert same_function(equalized, net, values(32, 8))
    for first, second in ((0, 2), (2, 4)):
        ranges = eq.channel_range(equalized[first].weight, 0), eq.channel_range(equalized[second].weight, 1)
        # The last round changed the weights by less than 1e-5 in all, and ranges by no more than twice that.
        torch.testing.assert_close(*ranges, rtol=0, atol=2e-5)


def test_channel_without_a_range_stays():
    net = unequal_net("linear-linear")
    with torch.no_grad():
        net[0].weight[3] = 0
        net[2].weight[:, 5] = 0
    before = copy.deepcopy(net)
    eq.equalize(net, [["0", "2"]])
    assert torch.isfinite(net[0].weight).all()
    assert torch.equal(net[2].weight[:, 3], before[2].weight[:, 3])
    assert torch.equal(net[0].weight[5], before[0].weight[5])
    assert same_function(net, before, values(32, 8))


def test_copies_unless_in_place():
    net = unequal_net("linear-linear")
    before = copy.deepcopy(net.state_dict())
    equalized = eq.equalize(net, [[net[0], net[2]]], inplace=False)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert eq.equalize(net, [["0", "2"]]) is net
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in equalized.state_dict().items())


def test_list_of_pairs_stays_as_it_was():
    net = unequal_net("linear-linear")
    pairs = [[net[0], "2"]]
    eq.equalize(net, pairs)
    assert pairs == [[net[0], "2"]]
