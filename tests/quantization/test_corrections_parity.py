"""Bias correction and equalization beside torch.ao's."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from quantization.coarse_nets import batches, coarse_pair
from torchq.nn import intrinsic
from torchq.quantization import _correct_bias, _equalize

# Of the mean of 8 * 64 * count differences below 1, taken in float32 by torch.ao, batch by batch first.
ROUNDINGS = (8 * 64 + 4) * 2**-24
# A bias that differs by such a rounding may move an output of the first layer across a tie, and with it, by a step, up
# to nine of the 8 * 64 outputs of the next, and one of the last layer's 8: what that does to the mean, in steps.
TIES = {"conv1": 0, "conv2": 9 / (8 * 64), "fc": 1 / 8}


@pytest.mark.parametrize("count", [1, 4])
def test_corrected_biases(torch_ao, count):
    from torch.ao.quantization import _correct_bias as theirs

    library = SimpleNamespace(quantization=torch_ao, qint8=torch.qint8, per_tensor_symmetric=torch.per_tensor_symmetric)
    model, int8 = coarse_pair(library, torch.ao.nn.quantized.FloatFunctional)
    theirs.bias_correction(model, int8, batches(count))
    expected = {name: int8.get_submodule(name).orig_module.bias().detach() for name in ("conv1", "conv2", "fc")}
    model, int8 = coarse_pair()
    _correct_bias.bias_correction(model, int8, batches(count))
    for name, bias in expected.items():
        layer = int8.get_submodule(name)
        torch.testing.assert_close(layer.bias(), bias, rtol=0, atol=ROUNDINGS + TIES[name] * layer.scale)


def nets(torch_ao):
    """Layers with unequal channels, for torch.ao and for torchq."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 1, bias=False))
    net[0].weight.data *= torch.logspace(-1, 1, 8).view(-1, 1, 1, 1)
    theirs, ours = copy.deepcopy(net), copy.deepcopy(net)
    for model, container in ((theirs, torch.ao.nn.intrinsic.ConvReLU2d), (ours, intrinsic.ConvReLU2d)):
        model[0], model[1] = container(model[0], model[1]), nn.Identity()
    return theirs, ours


@pytest.mark.parametrize("inplace", [False, True])
def test_equalized_weights(torch_ao, inplace):
    from torch.ao.quantization import _equalize as theirs

    net, own = nets(torch_ao)
    expected = theirs.equalize(net, [["0", "2", "4"]], inplace=inplace)
    given = _equalize.equalize(own, [["0", "2", "4"]], inplace=inplace)
    assert given.state_dict().keys() == expected.state_dict().keys()
    for name, value in expected.state_dict().items():
        # The same operations on the same numbers, and at most one round more or less at the threshold.
        torch.testing.assert_close(given.state_dict()[name], value, rtol=0, atol=1e-4)


def test_equalized_pair_has_the_same_bits(torch_ao):
    from torch.ao.quantization import _equalize as theirs

    net, own = nets(torch_ao)
    theirs.cross_layer_equalization(net[0], net[2])
    _equalize.cross_layer_equalization(own[0], own[2])
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in own.state_dict().items())


def test_helpers_give_what_torch_aos_give(torch_ao):
    from torch.ao.quantization import _equalize as theirs

    weight = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    for axis in range(4):
        assert torch.equal(_equalize.channel_range(weight, axis), theirs.channel_range(weight, axis))
    for name in ("max_over_ndim", "min_over_ndim"):
        for keepdim in (False, True):
            expected = getattr(theirs, name)(weight, [0, 2], keepdim)
            assert torch.equal(getattr(_equalize, name)(weight, [0, 2], keepdim), expected)
    groups = [["a", "b"], ["c", "d", "e"]]
    assert _equalize.expand_groups_in_paired_modules_list(groups) == theirs.expand_groups_in_paired_modules_list(groups)
