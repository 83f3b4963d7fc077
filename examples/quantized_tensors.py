"""A walk through quantized tensors, in six steps. Every figure it prints is computed as it runs.

Run it with ``make walk``.
"""

import torch
from rich.console import Console
from torch import Tensor

import torchq
from torchq import ops

console = Console(highlight=False)


def heading(title: str) -> None:
    """Prints the title of a step."""
    console.print(f"\n[bold]{title}[/bold]")


def say(text: str) -> None:
    """Prints a paragraph."""
    console.print(text, markup=False)


def show(name: str, value: object) -> None:
    """Prints a value under the expression that gave it."""
    console.print(f"  {name}", style="cyan", markup=False, soft_wrap=True)
    for line in str(value).splitlines():
        console.print(f"    {line}", markup=False, soft_wrap=True)


def root_mean_square(error: Tensor) -> float:
    """Returns the root of the mean of the squares."""
    return float(error.double().square().mean().sqrt())


def scale_and_zero_point() -> None:
    """Shows what the two numbers of a quantized tensor do."""
    heading("1. Scale and zero point")
    scale, zero_point = 0.1, 10
    say(
        f"An integer q stands for the real number (q - zero_point) * scale. With scale {scale} and zero point "
        f"{zero_point}, neighbouring integers lie {scale} apart, and {zero_point} stands for 0, exactly:"
    )
    x = torch.tensor([-1.0, 0.0, 1.0, 2.0])
    q = torchq.quantize_per_tensor(x, scale, zero_point, torchq.quint8)
    show(f"q = torchq.quantize_per_tensor({x.tolist()}, {scale}, {zero_point}, torchq.quint8)", q)
    show("q.int_repr()", q.int_repr())
    show("q.dequantize()", q.dequantize())


def saturation() -> None:
    """Shows where the range of a quantized tensor ends."""
    heading("2. Why 100.0 became 24.5")
    scale, zero_point, dtype = 0.1, 10, torchq.quint8
    low, high = ((limit - zero_point) * scale for limit in (dtype.qmin, dtype.qmax))
    say(
        f"{dtype} holds the integers {dtype.qmin} to {dtype.qmax}. At these qparams they reach from "
        f"({dtype.qmin} - {zero_point}) * {scale} = {low:.1f} to ({dtype.qmax} - {zero_point}) * {scale} = {high:.1f}. "
        "What lies outside becomes the nearest end:"
    )
    x = torch.tensor([100.0, -100.0])
    q = torchq.quantize_per_tensor(x, scale, zero_point, dtype)
    show(f"quantize {x.tolist()}: the integers", q.int_repr())
    show("and what they stand for", q.dequantize())


def rounding() -> None:
    """Shows what quantization costs inside the range, and how the scale is chosen."""
    heading("3. The scale trades range for precision")
    x = torch.randn(10_000, generator=torch.Generator().manual_seed(0))
    say(
        "Inside the range a value moves to the nearest multiple of the scale, by half a scale at most. So a scale "
        "should be as small as the data's range allows. For 10,000 normal values in int8:"
    )
    largest = float(x.abs().max())
    for reach in (4 * largest, largest, largest / 4):
        scale = reach / torchq.qint8.qmax
        error = torchq.quantize_per_tensor(x, scale, 0, torchq.qint8).dequantize() - x
        clipped = float((x.abs() > reach + scale / 2).double().mean())
        show(
            f"range +-{reach:.2f}: scale {scale:.4f}",
            f"root mean square error {root_mean_square(error):.4f}, {clipped:.1%} of the values saturate",
        )
    say("Observers do this choice while you show them data: that is what calibration is.")


def per_channel() -> None:
    """Shows why weights have a scale per output channel."""
    heading("4. Per tensor against per channel")
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(4, 256, generator=generator) * torch.tensor([[0.01], [0.1], [1.0], [10.0]])
    say("The rows of a weight often differ in size. One scale must reach the largest value of them all:")
    scale = float(weight.abs().max()) / torchq.qint8.qmax
    scales = weight.abs().amax(1).double() / torchq.qint8.qmax
    zero_points = torch.zeros(4, dtype=torch.int64)
    shared = torchq.quantize_per_tensor(weight, scale, 0, torchq.qint8)
    own = torchq.quantize_per_channel(weight, scales, zero_points, 0, torchq.qint8)
    for row in range(4):
        size = root_mean_square(weight[row])
        errors = [root_mean_square(q.dequantize()[row] - weight[row]) / size for q in (shared, own)]
        used = [int(q.int_repr()[row].unique().numel()) for q in (shared, own)]
        show(
            f"row {row}, values of about {size:.2g}",
            f"one scale: {errors[0]:6.1%} error, {used[0]:3} integers in use\n"
            f"own scale: {errors[1]:6.1%} error, {used[1]:3} integers in use",
        )
    show("own.q_per_channel_scales()", own.q_per_channel_scales())


def integer_arithmetic() -> None:
    """Shows how a linear layer computes in integers."""
    heading("5. A linear layer in integers")
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(1, 8, generator=generator), torch.randn(2, 8, generator=generator)
    say(
        "The product of two quantized numbers is the product of two integers times the product of their scales. So "
        "the sum over k runs in integers, exactly, and one multiplication at the end brings it to the output's scale:"
    )
    x_scale, x_zero_point, w_scale = 0.02, 128, 0.02
    q_x = torchq.quantize_per_tensor(x, x_scale, x_zero_point, torchq.quint8).int_repr()
    q_w = torchq.quantize_per_tensor(weight, w_scale, 0, torchq.qint8).int_repr()
    accumulator = (q_x.int() - x_zero_point) @ q_w.int().T
    show("accumulator = (q_x.int() - x_zero_point) @ q_w.int().T", accumulator)
    show("accumulator * x_scale * w_scale", accumulator * (x_scale * w_scale))
    show("x @ weight.T, in float32", x @ weight.T)
    output_scale, output_zero_point = 0.05, 128
    packed = ops.pack_weight(q_w)
    w_scales = torch.full((2,), w_scale)
    q_y = ops.linear(q_x, x_scale, x_zero_point, packed, w_scales, None, output_scale, output_zero_point, torch.uint8)
    show(f"torchq.ops.linear does it all, to output scale {output_scale}, zero point {output_zero_point}", q_y)
    show("which stands for", (q_y.int() - output_zero_point) * output_scale)


def ordinary_code() -> None:
    """Shows a quantized tensor going through code that knows nothing of it."""
    heading("6. A quantized tensor is a tensor")
    x = torch.tensor([[-1.0, 0.5], [1.0, 2.0]])
    q = torchq.quantize_per_tensor(x, 0.1, 10, torchq.quint8)
    say("It goes through ordinary code, and stays in integers wherever scale and zero point stay the same:")
    show("isinstance(q, torch.Tensor), q.shape, q.dtype", (isinstance(q, torch.Tensor), tuple(q.shape), q.dtype))
    show("torch.relu(q).flatten()", torch.relu(q).flatten())


def main() -> None:
    """Takes the six steps."""
    for step in (scale_and_zero_point, saturation, rounding, per_channel, integer_arithmetic, ordinary_code):
        step()


if __name__ == "__main__":
    main()
