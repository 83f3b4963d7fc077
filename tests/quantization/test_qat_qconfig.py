import pytest
import torch

import torchq
from torchq.quantization import (
    FakeQuantize,
    FusedMovingAvgObsFakeQuantize,
    MovingAverageMinMaxObserver,
    get_default_qat_qconfig,
)


@pytest.mark.parametrize(("version", "kind"), [(0, FakeQuantize), (1, FusedMovingAvgObsFakeQuantize)])
def test_default_uses_all_8_bits_and_the_range_of_the_present_weight(version, kind):
    made = get_default_qat_qconfig(version=version)
    activation, weight = made.activation(), made.weight()
    assert type(activation) is type(weight) is kind
    assert type(activation.activation_post_process) is MovingAverageMinMaxObserver
    assert (activation.dtype, activation.quant_min, activation.quant_max) == (torchq.quint8, 0, 255)
    assert (weight.dtype, weight.qscheme, weight.quant_min) == (torchq.qint8, torchq.per_channel_symmetric, -128)
    weight(torch.full((2, 3), 9.0))
    weight(torch.full((2, 3), 1.0))
    assert weight.scale.tolist() == pytest.approx([1 / 127.5] * 2)


def test_refuses_an_unknown_backend():
    with pytest.raises(ValueError, match="one of 'fbgemm', 'x86', 'onednn', 'qnnpack', got 'cudnn'"):
        get_default_qat_qconfig("cudnn")


def test_refuses_an_unknown_version():
    with pytest.raises(ValueError, match="version must be 0 or 1, got 2"):
        get_default_qat_qconfig(version=2)
