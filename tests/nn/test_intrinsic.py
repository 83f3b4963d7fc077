import pytest
import torch
from torch import nn

from torchq.nn import intrinsic

BN = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


CONV_RELU = {1: intrinsic.ConvReLU1d, 2: intrinsic.ConvReLU2d, 3: intrinsic.ConvReLU3d}
CONV_BN = {1: intrinsic.ConvBn1d, 2: intrinsic.ConvBn2d, 3: intrinsic.ConvBn3d}
CONV_BN_RELU = {1: intrinsic.ConvBnReLU1d, 2: intrinsic.ConvBnReLU2d, 3: intrinsic.ConvBnReLU3d}
BN_RELU = {2: intrinsic.BNReLU2d, 3: intrinsic.BNReLU3d}
LINEAR = {
    intrinsic.LinearReLU: nn.ReLU(),
    intrinsic.LinearBn1d: nn.BatchNorm1d(3),
    intrinsic.LinearLeakyReLU: nn.LeakyReLU(),
    intrinsic.LinearTanh: nn.Tanh(),
}


def sequences():
    """Containers, the modules that they are made of, and the size of an input."""
    for dim in (1, 2, 3):
        conv, bn, size = CONV[dim](3, 3, 3), BN[dim](3), (2, 3, *[5] * dim)
        yield CONV_RELU[dim], (conv, nn.ReLU()), size
        yield CONV_BN[dim], (conv, bn), size
        yield CONV_BN_RELU[dim], (conv, bn, nn.ReLU()), size
        if dim > 1:
            yield BN_RELU[dim], (bn, nn.ReLU()), size
    for kind, last in LINEAR.items():
        yield kind, (nn.Linear(3, 3), last), (2, 3)


SEQUENCES = {kind.__name__: (modules, size) for kind, modules, size in sequences()}


@pytest.mark.parametrize("name", SEQUENCES)
def test_container_runs_its_modules_in_sequence(name):
    modules, size = SEQUENCES[name]
    x = torch.randn(size)
    assert torch.equal(getattr(intrinsic, name)(*modules)(x), nn.Sequential(*modules)(x))


@pytest.mark.parametrize("name", SEQUENCES)
def test_container_refuses_other_types(name):
    modules, _ = SEQUENCES[name]
    wrong = (nn.Softmax(), *modules[1:])
    given = ", ".join(type(module).__name__ for module in wrong)
    with pytest.raises(TypeError, match=rf"{name} takes \(.*\), got \({given}\)"):
        getattr(intrinsic, name)(*wrong)


def test_sum_is_between_convolution_and_relu():
    conv, x = nn.Conv2d(3, 3, 1), torch.randn(2, 3, 4, 4)
    expected = conv(x) + x
    assert torch.equal(intrinsic.ConvAdd2d(conv, torch.add)(x, x), expected)
    assert torch.equal(intrinsic.ConvAddReLU2d(conv, torch.add, nn.ReLU())(x, x), expected.relu())


@pytest.mark.parametrize("name", ["ConvAdd2d", "ConvAddReLU2d"])
def test_sum_behind_another_layer_is_an_error(name):
    functions = (torch.add, torch.relu)[: 1 + name.endswith("ReLU2d")]
    with pytest.raises(TypeError, match=rf"{name} takes \(Conv2d\), got \(Conv1d\)"):
        getattr(intrinsic, name)(nn.Conv1d(3, 3, 1), *functions)


def test_every_container_of_torch_ao_is_there():
    theirs = pytest.importorskip("torch.ao.nn.intrinsic")
    assert set(theirs.__all__) <= set(intrinsic.__all__)
