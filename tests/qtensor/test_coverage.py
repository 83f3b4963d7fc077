"""Every function that torch has for its quantized tensors is in the table of docs/qtensor.md, which says what is so."""

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

import test_qtensor_torch_parity as compute
import torchq
from qtensor import test_activations, test_parity, test_parity_channels
from qtensor.compare import HAS_TORCHS

PAGE = Path(__file__).parents[2] / "docs" / "qtensor.md"
LISTED = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE.read_text(), re.MULTILINE))
needs_torchs = pytest.mark.skipif(not HAS_TORCHS, reason="this torch has no quantized tensors")
pytestmark = pytest.mark.usefixtures("one_thread")

X = torch.randn(1, 4, 6, 6, generator=torch.Generator().manual_seed(0))
GRID = torch.zeros(1, 3, 3, 2)
VOLUME = torch.randn(1, 4, 4, 4, 4, generator=torch.Generator().manual_seed(0))

FLOAT = {
    "grid_sampler_2d": lambda q: F.grid_sample(q, GRID, align_corners=False),
}
REFUSED = {
    "gelu_": lambda q: torch._C._nn.gelu_(q),
    "set_": lambda q: q.set_(q),
}
# In three dimensions, and what torchq has under torch's name: each by a test of its own.
INTEGERS_ELSEWHERE = {
    *("upsample_nearest3d", "_upsample_nearest_exact3d"),
    *("_empty_affine_quantized", "_empty_per_channel_affine_quantized"),
    *("_prelu_kernel", "quantized_batch_norm", "adaptive_avg_pool3d"),
}


def rows(how):
    return {name for name, given in LISTED.items() if given == how}


@needs_torchs
def test_no_function_of_torchs_is_missing():
    registered = torch._C._dispatch_get_registrations_for_dispatch_key("QuantizedCPU")
    functions = {name.removeprefix("aten::").partition(".")[0] for name in registered if name.startswith("aten::")}
    assert functions - set(LISTED) == set()
    assert set(LISTED.values()) == {"integers", "values", "float", "refused", "inside"}


class Recorder(TorchDispatchMode):
    """Notes the names of the functions that torch dispatches to its quantized tensors."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@needs_torchs
def test_what_gives_integers_or_values_is_compared_with_torch():
    recorder = Recorder()
    ints = test_parity.values(torch.uint8, torch.contiguous_format)
    wide = torch.zeros(2, 32, 6, 7, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    channels = torch.quantize_per_channel(test_parity_channels.X, torch.ones(4), torch.arange(4), 0, torch.quint8)
    with recorder:
        for call in test_parity.TORCH_HAS.values():
            call(test_parity.of_torch(ints))
        for call in compute.CALLS.values():
            call(torch._make_per_tensor_quantized_tensor(wide, 0.05, 101))
        for call, *_ in test_activations.ACTIVATIONS.values():
            call(test_activations.quantized("quint8", torch))
        for call in test_parity_channels.CALLS.values():
            call(channels)
    assert (rows("integers") | rows("values")) - recorder.names == INTEGERS_ELSEWHERE


def test_what_is_float_is_computed_from_the_values_and_counted():
    assert set(FLOAT) == rows("float")
    q = torchq.quantize_per_tensor(X, 0.05, 100, torchq.quint8)
    for call in FLOAT.values():
        torchq.float_fallbacks(clear=True)
        result = call(q)
        assert type(result) is torch.Tensor
        assert sum(torchq.float_fallbacks().values()) == 1
        assert torch.equal(result, call(q.dequantize()))


def test_what_is_refused_is_an_error():
    assert set(REFUSED) == rows("refused")
    for call in REFUSED.values():
        q = torchq.quantize_per_tensor(X, 0.05, 100, torchq.quint8)
        with pytest.raises((RuntimeError, TypeError), match="QTensor"):
            call(q)


@needs_torchs
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_volumes_are_made_larger_as_in_torch(mode):
    results = [
        F.interpolate(library.quantize_per_tensor(VOLUME, 0.05, 100, library.quint8), scale_factor=2, mode=mode)
        for library in (torch, torchq)
    ]
    assert torch.equal(results[1].int_repr(), results[0].int_repr())
