"""Freezes what torch's own quantized operators give, so that parity stays tested when they are gone.

Run ``python tests/golden/make_fixtures.py`` with a torch that still has them; it rewrites the ``.npz`` files
beside it. Each holds cases of one family: an op of torchq, its arguments in order, and torch's result.

Torch computes the last few elements of ``add`` and the last few channels of the pools by other formulas than
the rest, which differ at ties. torchq has one formula, so these cases use whole vectors of 64 elements or 16
channels. Its quantized linear and conv take uint8 activations only.
"""

import json
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

TORCH_DTYPES = {torch.uint8: "quint8", torch.int8: "qint8", torch.int32: "qint32"}


class Case(NamedTuple):
    """One call: ``arguments`` in the order of the op, weights plain, and the result to reproduce."""

    name: str
    op: str
    arguments: dict
    expected: Tensor


class Source:
    """Random inputs that dwell on the edges of their range."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def integer(self, low: int, high: int) -> int:
        return int(self.integers((), low, high))

    def integers(self, shape: tuple[int, ...], low: int, high: int) -> Tensor:
        return torch.randint(low, high + 1, shape, generator=self.generator)

    def full_range(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Values of the whole dtype, one in ten of them its smallest or largest."""
        info = torch.iinfo(dtype)
        values, pick = self.integers(shape, info.min, info.max), torch.rand(shape, generator=self.generator)
        return values.where(pick > 0.05, info.min).where(pick < 0.95, info.max).to(dtype)

    def scale(self, power_of_two: bool = False) -> float:
        if power_of_two:
            return 2.0 ** self.integer(-7, -2)
        return 1e-3 + 0.1 * float(torch.rand((), generator=self.generator, dtype=torch.float64))

    def scales(self, count: int) -> Tensor:
        return 1e-3 + 0.05 * torch.rand(count, generator=self.generator)

    def zero_point(self, dtype: torch.dtype) -> int:
        info = torch.iinfo(dtype)
        return self.integer(max(info.min, -300), min(info.max, 300))

    def beside(self, values: Tensor, ulps: int = 2) -> Tensor:
        """Moves float32 values by a few units in the last place."""
        values = values.float()
        moved = values.view(torch.int32) + self.integers(values.shape, -ulps, ulps).int()
        return torch.where(values == 0, values, moved.view(torch.float32))

    def near_ties(self, shape: tuple[int, ...], scale: float | Tensor, zero_point: int | Tensor) -> Tensor:
        """Values that land on or next to the middle between two integers, below to above the 8-bit range."""
        middles = self.integers(shape, -300, 300).double() + 0.5 - zero_point
        return self.beside(middles * torch.as_tensor(scale, dtype=torch.float32).double())


def quantized(values: Tensor, scale: float, zero_point: int) -> Tensor:
    return torch._make_per_tensor_quantized_tensor(values, scale, zero_point)


def quantized_weight(weight: Tensor, scales: Tensor, zero_points: Tensor | None) -> Tensor:
    zero_points = torch.zeros(len(scales), dtype=torch.int64) if zero_points is None else zero_points
    return torch._make_per_channel_quantized_tensor(weight, scales.double(), zero_points, 0)


def quantize_cases(source: Source) -> list[Case]:
    edges = [0.0, -0.0, math.inf, -math.inf, 1e-45, -1e-39, 3e9, -3e9, 1e30, -1e30, 3.4e38, 2147483520.0, -2147483648.0]
    cases = []
    for dtype, torch_name in TORCH_DTYPES.items():
        torch_dtype, name = getattr(torch, torch_name), str(dtype)[6:]
        for size in (1, 16, 17, 250):
            scale, zero_point = source.scale(size == 17), source.zero_point(dtype)
            x = torch.cat(
                [
                    source.near_ties((size,), scale, zero_point),
                    torch.tensor([*edges, math.nan] if dtype != torch.int32 else edges),
                ]
            )
            y = torch.quantize_per_tensor(x, scale, zero_point, torch_dtype).int_repr()
            arguments = {"input": x, "scale": scale, "zero_point": zero_point, "dtype": dtype}
            cases.append(Case(f"{name}-{size}", "quantize_per_tensor", arguments, y))
            # Torch's difference of two int32 wraps; torchq's does not.
            y = y.clamp(-(2**30), 2**30) if dtype == torch.int32 else y
            arguments = {"input": y, "scale": scale, "zero_point": zero_point}
            expected = quantized(y, scale, zero_point).dequantize()
            cases.append(Case(f"{name}-{size}", "dequantize_per_tensor", arguments, expected))
        for axis, scale_dtype in ((0, torch.float32), (1, torch.float64), (3, torch.float32)):
            shape = [4, 3, 5, 6]
            count, along = shape[axis], [-1 if i == axis else 1 for i in range(4)]
            scales = source.scales(count).to(scale_dtype) + (1e-9 if scale_dtype == torch.float64 else 0)
            zero_points = torch.tensor([source.zero_point(dtype) for _ in range(count)])
            x = source.near_ties(tuple(shape), scales.reshape(along), zero_points.reshape(along))
            x[0, 0, 0, :4] = torch.tensor([math.inf, -math.inf, 1e30, -0.0])
            q = torch.quantize_per_channel(x, scales, zero_points, axis, torch_dtype)
            arguments = {"input": x, "scales": scales, "zero_points": zero_points, "axis": axis, "dtype": dtype}
            cases.append(Case(f"{name}-axis{axis}", "quantize_per_channel", arguments, q.int_repr()))
            arguments = {"input": q.int_repr(), "scales": scales, "zero_points": zero_points, "axis": axis}
            cases.append(Case(f"{name}-axis{axis}", "dequantize_per_channel", arguments, q.dequantize()))
    return cases


def linear_cases(source: Source) -> list[Case]:
    cases = []
    for name, (m, k, n), has_bias, relu, asymmetric, per_tensor in (
        ("bias", (7, 37, 33), True, False, False, False),
        ("no-bias", (3, 64, 16), False, False, False, False),
        ("relu", (5, 130, 17), True, True, False, False),
        ("asymmetric-weight", (6, 45, 20), True, False, True, False),
        ("per-tensor-weight", (9, 16, 40), True, False, False, True),
        ("one-row", (1, 257, 65), False, True, True, False),
        ("ties", (256, 1, 24), False, False, False, False),
        ("ties-bias", (256, 1, 24), True, False, False, False),
    ):
        ties = name.startswith("ties")
        input_scale, input_zero_point, output_zero_point = (
            source.scale(),
            source.integer(0, 255),
            source.integer(0, 255),
        )
        weight, weight_scales = source.full_range((n, k), torch.int8), source.scales(n)
        zero_points = source.integers((n,), -128, 127) if asymmetric else None
        if per_tensor:
            weight_scales = weight_scales[:1].expand(n).clone()
        x = torch.arange(256, dtype=torch.uint8)[:, None] if ties else source.full_range((m, k), torch.uint8)
        output_scale = input_scale * float(weight_scales.mean()) * 100 * math.sqrt(k) + 1e-6
        if ties:
            # Steps of about a half or a quarter of the output's, so that whole accumulators land on or by a tie.
            weight = (
                source.integers((n, k), 1, 3).to(torch.int8)
                * torch.tensor([-1, 1], dtype=torch.int8).repeat(n // 2)[:, None]
            )
            steps = (2 * source.integers((n,), 0, 2) + 1) / 2.0 ** source.integers((n,), 1, 2)
            weight_scales = source.beside(steps.double() * output_scale / input_scale, ulps=1)
        bias = None
        if has_bias:
            steps = torch.tensor(input_scale).float() * weight_scales
            bias = source.beside(source.integers((n,), -300, 300) * steps, ulps=1)
        packed = torch.ops.quantized.linear_prepack(quantized_weight(weight, weight_scales, zero_points), bias)
        q = quantized(x, input_scale, input_zero_point)
        op = torch.ops.quantized.linear_relu if relu else torch.ops.quantized.linear
        y = op(q, packed, output_scale, output_zero_point).int_repr()
        arguments = {"input": x, "input_scale": input_scale, "input_zero_point": input_zero_point, "weight": weight}
        arguments |= {"weight_scales": weight_scales, "bias": bias}
        output = {"output_scale": output_scale, "output_zero_point": output_zero_point, "output_dtype": torch.uint8}
        last = {"relu": relu, "weight_zero_points": zero_points}
        cases.append(Case(name, "linear", arguments | output | last, y))
        if not ties:
            op = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32
            y = op(q.dequantize(), input_scale, input_zero_point, packed)
            cases.append(Case(name, "linear_dequantize", arguments | last, y.clamp(min=0) if relu else y))
    return cases


def linear_dynamic_cases(source: Source) -> list[Case]:
    weight, scales, bias = source.full_range((17, 40), torch.int8), source.scales(17), source.scales(17) * 10
    zero_points = source.integers((17,), -128, 127)
    normal = torch.randn(2, 3, 40, generator=source.generator)
    ties = source.near_ties((4, 40), 0.1, 0).clamp(-20.0, 5.5)
    ties[0, 0], ties[-1, -1] = -20.0, 5.5
    # The zero point of a symmetric range is a tie itself.
    symmetric = (normal / normal.abs().max()).clamp(-0.75, 0.75)
    symmetric[0, 0, :2] = torch.tensor([-0.75, 0.75])
    small = (source.integers((4, 40), -1, 0) + 0.5) * 6.1e-5
    small[0, :2] = torch.tensor([-1.05e-4, 1.05e-4])
    cases = []
    for name, x, reduce_range, relu, asymmetric in (
        ("normal", normal, False, False, False),
        ("normal-reduce-range", normal, True, True, True),
        ("ties", ties, False, False, False),
        ("symmetric", symmetric, False, False, False),
        ("symmetric-reduce-range", symmetric, True, False, False),
        ("symmetric-small-range", small, False, False, False),
        ("positive", normal.abs() + 1, False, False, True),
        ("negative", -normal.abs(), True, False, False),
        ("zero", normal * 0, False, False, False),
        ("constant", normal * 0 + 3.7, True, True, False),
        ("small-range", normal * 1e-4, False, False, False),
        ("small-positive-range", normal.abs() * 1e-5, True, False, False),
        ("small-negative-range", -normal.abs() * 1e-9, False, False, False),
        ("subnormal-range", normal * 1e-40, False, False, False),
        ("large-range", normal * 1e30, False, False, False),
    ):
        used = zero_points if asymmetric else None
        packed = torch.ops.quantized.linear_prepack(quantized_weight(weight, scales, used), bias)
        op = torch.ops.quantized.linear_relu_dynamic if relu else torch.ops.quantized.linear_dynamic
        y = op(x, packed, reduce_range)
        arguments = {"input": x, "weight": weight, "weight_scales": scales, "bias": bias, "per_token": False}
        arguments |= {"reduce_range": reduce_range, "relu": relu, "weight_zero_points": used}
        cases.append(Case(name, "linear_dynamic", arguments, y))
    return cases


def conv2d_cases(source: Source) -> list[Case]:
    cases = []
    for name, images, (o, kh, kw), stride, padding, dilation, groups, has_bias, relu, asymmetric in (
        ("three-by-three", (1, 6, 9, 8), (17, 3, 3), (1, 1), (1, 1), (1, 1), 1, True, False, False),
        ("pointwise", (2, 19, 5, 5), (16, 1, 1), (1, 1), (0, 0), (1, 1), 1, False, True, False),
        ("stride", (1, 3, 11, 12), (8, 5, 3), (2, 3), (2, 1), (1, 1), 1, True, True, False),
        ("dilation", (1, 4, 12, 11), (7, 3, 2), (1, 2), (2, 0), (2, 3), 1, True, False, False),
        ("groups", (1, 12, 7, 7), (8, 3, 3), (1, 1), (1, 1), (1, 1), 4, True, False, False),
        ("depthwise", (1, 16, 8, 7), (16, 3, 3), (2, 2), (0, 0), (1, 1), 16, True, True, False),
        ("depthwise-padded", (1, 16, 8, 7), (16, 3, 3), (1, 1), (1, 1), (1, 1), 16, True, False, False),
        ("asymmetric-weight", (1, 5, 8, 8), (9, 3, 3), (1, 1), (1, 2), (1, 1), 1, True, False, True),
    ):
        x = source.full_range(images, torch.uint8)
        weight = source.full_range((o, images[1] // groups, kh, kw), torch.int8)
        weight_scales, zero_points = source.scales(o), source.integers((o,), -128, 127) if asymmetric else None
        input_scale, input_zero_point, output_zero_point = (
            source.scale(),
            source.integer(0, 255),
            source.integer(0, 255),
        )
        if name == "depthwise-padded":
            # FBGEMM adds pairs of products in saturating 16-bit here; 7-bit activations keep that exact.
            x, input_zero_point = x // 2, input_zero_point // 2
        output_scale = input_scale * float(weight_scales.mean()) * 100 * math.sqrt(weight[0].numel())
        bias = torch.randn(o, generator=source.generator) * output_scale * 30 if has_bias else None
        q_weight = quantized_weight(weight, weight_scales, zero_points)
        packed = torch.ops.quantized.conv2d_prepack(q_weight, bias, stride, padding, dilation, groups)
        op = torch.ops.quantized.conv2d_relu if relu else torch.ops.quantized.conv2d
        y = op.new(quantized(x, input_scale, input_zero_point), packed, output_scale, output_zero_point).int_repr()
        arguments = {"input": x, "input_scale": input_scale, "input_zero_point": input_zero_point, "weight": weight}
        arguments |= {"weight_scales": weight_scales, "bias": bias, "stride": stride, "padding": padding}
        arguments |= {"dilation": dilation, "groups": groups, "output_scale": output_scale}
        arguments |= {"output_zero_point": output_zero_point, "output_dtype": torch.uint8, "relu": relu}
        cases.append(Case(name, "conv2d", arguments | {"weight_zero_points": zero_points}, y.contiguous()))
    return cases


def elementwise_cases(source: Source) -> list[Case]:
    cases = []
    for dtype in (torch.uint8, torch.int8):
        for name, relu in (
            ("random", False),
            ("powers-of-two", True),
            ("equal-scales", False),
            ("equal-scales-relu", True),
        ):
            scales = [source.scale(name == "powers-of-two") for _ in range(3)]
            if name.startswith("equal"):
                scales = [scales[0], scales[0], 2 * scales[0]]
            a, b = source.full_range((6, 64), dtype), source.full_range((6, 64), dtype)
            points = [source.zero_point(dtype) for _ in range(3)]
            op = torch.ops.quantized.add_relu if relu else torch.ops.quantized.add
            y = op(quantized(a, scales[0], points[0]), quantized(b, scales[1], points[1]), scales[2], points[2])
            arguments = {"a": a, "a_scale": scales[0], "a_zero_point": points[0], "b": b, "b_scale": scales[1]}
            arguments |= {
                "b_zero_point": points[1],
                "output_scale": scales[2],
                "output_zero_point": points[2],
                "relu": relu,
            }
            cases.append(Case(f"{str(dtype)[6:]}-{name}", "add", arguments, y.int_repr()))
        arguments = {"input": a, "zero_point": points[0]}
        cases.append(Case(str(dtype)[6:], "relu", arguments, F.relu(quantized(a, 0.1, points[0])).int_repr()))
    return cases


def pool_cases(source: Source) -> list[Case]:
    cases = []
    for dtype in (torch.uint8, torch.int8):
        for kernel, stride, padding, ceil_mode, count_include_pad, divisor in (
            ((2, 2), (2, 2), (0, 0), False, True, None),
            ((3, 2), (2, 1), (1, 0), True, True, None),
            ((3, 3), (2, 2), (1, 1), True, False, None),
            ((2, 3), (1, 2), (1, 1), False, True, 14),
        ):
            x, zero_point = source.full_range((1, 32, 7, 8), dtype), source.zero_point(dtype)
            q = quantized(x, 0.05, zero_point).contiguous(memory_format=torch.channels_last)
            name = f"{str(dtype)[6:]}-{kernel[0]}x{kernel[1]}"
            window = {"kernel_size": kernel, "stride": stride, "padding": padding}
            y = F.avg_pool2d(q, kernel, stride, padding, ceil_mode, count_include_pad, divisor).int_repr()
            arguments = {"input": x, "zero_point": zero_point} | window
            arguments |= {"ceil_mode": ceil_mode, "count_include_pad": count_include_pad, "divisor_override": divisor}
            cases.append(Case(name, "avg_pool2d", arguments, y.contiguous()))
            y = F.max_pool2d(q, kernel, stride, padding, 1, ceil_mode).int_repr()
            arguments = {"input": x} | window | {"dilation": (1, 1), "ceil_mode": ceil_mode}
            cases.append(Case(name, "max_pool2d", arguments, y.contiguous()))
        for size in ((1, 1), (3, 2), (5, 7)):
            arguments = {"input": x, "zero_point": zero_point, "output_size": size}
            y = F.adaptive_avg_pool2d(q, size).int_repr().contiguous()
            cases.append(Case(f"{str(dtype)[6:]}-{size[0]}x{size[1]}", "adaptive_avg_pool2d", arguments, y))
    return cases


FAMILIES = {
    "quantize": quantize_cases,
    "linear": linear_cases,
    "linear_dynamic": linear_dynamic_cases,
    "conv2d": conv2d_cases,
    "elementwise": elementwise_cases,
    "pool": pool_cases,
}


def save(path: Path, cases: list[Case]) -> None:
    """Writes each tensor once as an array, and everything else with their keys as JSON in the array ``metadata``."""
    arrays, keys, described = {}, {}, []
    for case in cases:
        arguments = {}
        for name, value in [*case.arguments.items(), ("expected", case.expected)]:
            if isinstance(value, Tensor):
                key = keys.setdefault(id(value), f"{case.op}/{case.name}/{name}")
                arrays[key] = value.numpy()
                arguments[name] = {"array": key}
            else:
                arguments[name] = {"dtype": str(value)[6:]} if isinstance(value, torch.dtype) else value
        expected = arguments.pop("expected")
        described.append({"name": case.name, "op": case.op, "arguments": arguments, "expected": expected})
    metadata = {
        "torch": torch.__version__,
        "engine": torch.backends.quantized.engine,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cases": described,
    }
    np.savez_compressed(path, metadata=np.array(json.dumps(metadata)), **arrays)


if __name__ == "__main__":
    torch.backends.quantized.engine = "fbgemm"
    torch.set_num_threads(1)
    for number, (family, make_cases) in enumerate(FAMILIES.items()):
        path = Path(__file__).with_name(f"{family}.npz")
        cases = make_cases(Source(number))
        save(path, cases)
        print(f"{path.name}: {len(cases)} cases, {path.stat().st_size} bytes")
