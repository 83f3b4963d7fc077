"""Where torchq has what torch has for quantization."""

import pytest
import torch

import torchq
from torchq.migrate.names import counterpart, find, is_for_quantization, module_of

BACKENDS = "torchq.quantization.backend_config"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("torch.ao.quantization", "torchq.quantization"),
        ("torch.ao.quantization.observer.HistogramObserver", "torchq.quantization.observer.HistogramObserver"),
        ("torch.ao.quantization.quantize_fx", "torchq.quantization.quantize_fx"),
        ("torch.ao.nn.quantized.modules.linear.Linear", "torchq.nn.quantized.Linear"),
        ("torch.ao.nn.quantized.dynamic.modules.conv.Conv1d", "torchq.nn.quantized.dynamic.Conv1d"),
        ("torch.ao.nn.intrinsic.ConvReLU2d", "torchq.nn.intrinsic.ConvReLU2d"),
        ("torch.ao.ns._numeric_suite", "torchq.ns._numeric_suite"),
        ("torch.quantization.prepare", "torchq.quantization.prepare"),
        ("torch.nn.quantized.FloatFunctional", "torchq.nn.quantized.FloatFunctional"),
        ("torch.nn.quantized.Linear.from_float", "torchq.nn.quantized.Linear.from_float"),
        ("torch.quint8", "torchq.quint8"),
        ("torch._make_per_tensor_quantized_tensor", "torchq._make_per_tensor_quantized_tensor"),
        ("torch.ao.quantization.backend_config.x86.get_x86_backend_config", f"{BACKENDS}.get_x86_backend_config"),
        ("torch.ao.nn.quantized.reference.LSTM", None),
        ("torch.ao.nn.quantized.reference.modules.rnn.LSTM", None),
        ("torch.ao.nn.sparse.quantized.Linear", None),
        ("torch.ao.quantization.fx.convert.convert", None),
        ("torch.ao.quantization.pt2e.prepare.prepare", None),
        ("torch.ao.nn.quantized.modules.linear", None),
        ("torch.ao.quantization.quantize_jit", None),
        ("torch.ao.pruning.WeightNormSparsifier", None),
        ("torch.quint2x4", None),
        ("torch.nn", None),
        ("torch.ops", None),
        ("torch.relu", None),
        ("numpy.array", None),
    ],
)
def test_counterpart_is_where_torchq_has_it(name, expected):
    assert counterpart(name) == expected


@pytest.mark.parametrize("name", ["torch.ao", "torch.backends.quantized.engine", "torch.quantized_lstm", "torch.qint8"])
def test_names_for_quantization_are_told_apart(name):
    assert is_for_quantization(name)


@pytest.mark.parametrize("name", ["torch", "torch.nn.Linear", "torch.aot", "torch.quantile", "torch.nn.quant"])
def test_other_names_are_left_alone(name):
    assert not is_for_quantization(name)


def test_what_torchq_has_under_torchs_own_name_is_in_both():
    from torchq.migrate import names

    for name in names._IN_TORCH:
        assert hasattr(torchq, name)
        assert hasattr(torch, name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("torchq.quint8", "torchq"),
        ("torchq.nn.quantized.Linear.from_float", "torchq.nn.quantized"),
        ("torchq.quantization", "torchq.quantization"),
    ],
)
def test_module_of_a_name_is_the_longest(name, expected):
    assert module_of(name) == expected


def test_find_returns_the_object_or_none():
    assert find("torchq.quint8") is torchq.quint8
    assert find("torchq.nothing") is None
    assert find("torchq.nn.nothing.at_all") is None
    assert find("torchq.quantization.observer.nothing") is None
