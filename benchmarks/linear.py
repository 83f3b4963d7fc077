"""Static linear, int8 to int8: the op against the machine's peak and torch.ao, and the module at its smallest."""

from functools import partial

import torch

import torchq
import torchq.nn.quantized
from benchmarks.harness import Peak
from examples.timing import interleaved_medians

# M, K, N: from a single row to what fills the tile, and layers of ResNet-50 and BERT.
SHAPES = [
    (1, 64, 64),
    (1, 768, 768),
    (1, 4096, 4096),
    (16, 4096, 4096),
    (128, 768, 768),
    (128, 768, 3072),
    (128, 3072, 768),
    (512, 1024, 1024),
    (1024, 1024, 1024),
    (1024, 4096, 1024),
    (3136, 64, 256),
    (784, 512, 128),
]
_SCALE, _ZERO_POINT, _OUTPUT_SCALE, _OUTPUT_ZERO_POINT = 0.05, 113, 4.0, 101


def _case(m: int, k: int, n: int) -> tuple:
    generator = torch.Generator().manual_seed(m + k + n)
    x = torch.randint(0, 256, (m, k), dtype=torch.uint8, generator=generator)
    weight = torch.randint(-128, 128, (n, k), dtype=torch.int8, generator=generator)
    scales = torch.rand(n, generator=generator) * 0.01 + 0.001
    bias = torch.randn(n, generator=generator)
    return x, weight, scales, bias


def _torch_ao(weight: torch.Tensor, scales: torch.Tensor, bias: torch.Tensor, x: torch.Tensor):
    """torch.ao's module and its input."""
    import torch.ao.nn.quantized as nnq

    torch.backends.quantized.engine = "fbgemm"
    n, k = weight.shape
    module = nnq.Linear(k, n)
    zeros = torch.zeros(n, dtype=torch.int64)
    module.set_weight_bias(torch._make_per_channel_quantized_tensor(weight, scales.double(), zeros, 0), bias)
    module.scale, module.zero_point = _OUTPUT_SCALE, _OUTPUT_ZERO_POINT
    return module, torch._make_per_tensor_quantized_tensor(x, _SCALE, _ZERO_POINT)


def _torchq(weight: torch.Tensor, scales: torch.Tensor, bias: torch.Tensor, x: torch.Tensor):
    """Torchq's module and its input."""
    n, k = weight.shape
    module = torchq.nn.quantized.Linear(k, n)
    zeros = torch.zeros(n, dtype=torch.int64)
    module.set_weight_bias(torchq.QTensor(weight, scales.double(), zeros, 0), bias)
    module.scale, module.zero_point = _OUTPUT_SCALE, _OUTPUT_ZERO_POINT
    return module, torchq.QTensor(x, _SCALE, _ZERO_POINT)


def run() -> list[dict[str, object]]:
    """Measures every shape; the integers of both libraries must be equal first."""
    peak = Peak()
    rows = []
    for m, k, n in SHAPES:
        x, weight, scales, bias = _case(m, k, n)
        ours, our_input = _torchq(weight, scales, bias, x)
        theirs, their_input = _torch_ao(weight, scales, bias, x)
        with torch.inference_mode():
            if not torch.equal(ours(our_input).int_repr(), theirs(their_input).int_repr()):
                raise RuntimeError(f"torchq and torch.ao differ at {m} x {k} x {n}")
            runs = {"torchq": partial(ours, our_input), "torch.ao": partial(theirs, their_input)}
            if peak.available:
                runs["peak"] = peak.run
            seconds = interleaved_medians(runs)
        row = {
            "M x K x N": f"{m} x {k} x {n}",
            "us": seconds["torchq"] * 1e6,
            "torch.ao us": seconds["torch.ao"] * 1e6,
            "of torch.ao's time": seconds["torchq"] / seconds["torch.ao"],
            "GOPS": 2 * m * k * n / seconds["torchq"] / 1e9,
        }
        if peak.available:
            row["of peak"] = row["GOPS"] / (peak.operations / seconds["peak"] / 1e9)
        rows.append(row)
    return rows
