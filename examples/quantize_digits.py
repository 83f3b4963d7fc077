"""Trains a small residual network on handwritten digits and runs it in int8, through torchq and through torch.ao.

Both libraries get the same trained weights, the same calibration images and the same QConfig, through the same
lines of code (``to_int8``). The table at the end shows what int8 costs in accuracy and what it saves in size and
time. Its last row counts the integers that each layer puts out over the held-out images: since both libraries chose
the same scales and zero points, every integer of torchq's must be torch.ao's, and the exit status says if not.

Run it with ``make demo``. The FP32 weights stay in ``.cache``, so a second run is quick.
"""

import argparse
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import torchq
import torchq.nn.quantized
import torchq.quantization
from digits_net import CACHE, DigitsNet, accuracy, load_split, trained_weights
from timing import interleaved_medians

FP32, TORCHQ, TORCH_AO = "FP32", "torchq int8", "torch.ao int8"
BATCHES = (1, 64)
CALIBRATION_IMAGES = 256


@dataclass
class Result:
    """What the table and the figure say of one network."""

    accuracy: float  # percent of the held-out images
    megabytes: float  # of its saved state_dict
    milliseconds: dict[int, float]  # median of one forward, by batch size


def import_torch_ao() -> ModuleType | None:
    """Returns ``torch.ao`` set to its fbgemm engine, or None if this torch no longer has it."""
    try:
        import torch.ao.nn.quantized
        import torch.ao.quantization
    except ImportError:
        return None
    # torch.ao announces its own removal on every call.
    warnings.filterwarnings("ignore", module=r"torch\.ao|__main__|digits_net")
    torch.backends.quantized.engine = "fbgemm"
    return torch.ao


def fused_network(library: ModuleType, weights: dict[str, Tensor]) -> DigitsNet:
    """Returns the FP32 network in eval mode, each batch norm folded into the convolution before it."""
    model = DigitsNet(library)
    model.load_state_dict(weights)
    model.eval()
    return library.quantization.fuse_modules(model, model.conv_bn_relu())


def to_int8(library: ModuleType, weights: dict[str, Tensor], calibration: Tensor) -> nn.Module:
    """Quantizes the network by the eager recipe: fuse, prepare, calibrate, convert.

    Args:
        library: ``torchq`` or ``torch.ao``. That is the whole migration.
        weights: the trained FP32 weights.
        calibration: images whose activations the observers watch.
    """
    model = fused_network(library, weights)
    # The one QConfig that means the same to both: torch.ao's settings for fbgemm.
    model.qconfig = library.quantization.get_default_qconfig("fbgemm")
    prepared = library.quantization.prepare(model)
    for batch in calibration.split(64):
        prepared(batch)
    return library.quantization.convert(prepared)


def layer_outputs(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Returns the quantized output of every layer and of every residual block, by module name."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str, output: Tensor) -> None:
        if isinstance(output, torchq.QTensor) or output.is_quantized:
            outputs[name] = output

    hooks = []
    for name, module in model.named_modules():
        if not isinstance(module, nn.Sequential | nn.Identity):  # which pass on what another module put out
            hooks.append(module.register_forward_hook(lambda m, args, output, name=name: keep(name, output)))
    model(images)
    for hook in hooks:
        hook.remove()
    return outputs


def count_equal_integers(ours: nn.Module, theirs: nn.Module, images: Tensor) -> tuple[int, int]:
    """Compares two int8 networks layer by layer.

    Returns:
        How many integers are equal, and how many there are.

    Raises:
        RuntimeError: if the networks' layers differ in name, scale or zero point, so that integers mean nothing.
    """
    outputs, expected = layer_outputs(ours, images), layer_outputs(theirs, images)
    if outputs.keys() != expected.keys():
        raise RuntimeError(f"quantized layers differ: {sorted(outputs.keys() ^ expected.keys())}")
    equal = total = 0
    for name, output in outputs.items():
        qparams = [(q.q_scale(), q.q_zero_point()) for q in (output, expected[name])]
        if qparams[0] != qparams[1]:
            raise RuntimeError(f"{name}: scale and zero point are {qparams[0]}, torch.ao has {qparams[1]}")
        equal += int((output.int_repr() == expected[name].int_repr()).sum())
        total += output.numel()
    return equal, total


def measure(networks: dict[str, nn.Module], images: Tensor, labels: Tensor) -> dict[str, Result]:
    """Returns accuracy, size and latency of each network, the latencies measured in turns on one thread."""
    milliseconds: dict[str, dict[int, float]] = {name: {} for name in networks}
    for batch in BATCHES:
        calls = {name: lambda model=model, x=images[:batch]: model(x) for name, model in networks.items()}
        for name, seconds in interleaved_medians(calls).items():
            milliseconds[name][batch] = 1e3 * seconds
    results = {}
    for name, model in networks.items():
        file = io.BytesIO()
        torch.save(model.state_dict(), file)
        results[name] = Result(accuracy(model, images, labels), file.tell() / 1e6, milliseconds[name])
    return results


def print_table(console: Console, results: dict[str, Result], integers: str, images: int) -> None:
    """Prints the networks side by side; one that is missing is said to be missing."""
    table = Table(title="Handwritten digits, one thread", title_justify="left")
    table.add_column("")
    for name in (FP32, TORCHQ, TORCH_AO):
        table.add_column(name, justify="right")
    fp32 = results[FP32]

    def row(label: str, cell: Callable[[Result], str]) -> None:
        cells = [cell(results[name]) if name in results else "not in this torch" for name in (FP32, TORCHQ, TORCH_AO)]
        table.add_row(label, *cells)

    row(f"accuracy, {images} held-out", lambda r: f"{r.accuracy:.2f} %")
    row("weights", lambda r: f"{r.megabytes:.2f} MB")
    for batch in BATCHES:
        row(
            f"latency, batch {batch}",
            lambda r, b=batch: f"{fp32.milliseconds[b] / r.milliseconds[b]:.1f}x  {r.milliseconds[b]:.2f} ms",
        )
    table.add_row("integers as torch.ao's", "", integers, "")
    console.print(table)


def draw_figure(results: dict[str, Result], path: Path) -> None:
    """Draws the table's main figures, a panel each, into a PNG or SVG file."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    mpl.rcParams.update({"svg.hashsalt": "torchq", "font.size": 9})
    panels = {
        "accuracy, %": ([r.accuracy for r in results.values()], "{:.2f}"),
        "weights, MB": ([r.megabytes for r in results.values()], "{:.2f}"),
        **{f"latency at batch {b}, ms": ([r.milliseconds[b] for r in results.values()], "{:.2f}") for b in BATCHES},
    }
    figure, axes = plt.subplots(1, len(panels), figsize=(9.5, 1.6), sharey=True, layout="constrained")
    colors = {FP32: "#9aa0a6", TORCHQ: "#d9480f", TORCH_AO: "#4c6a92"}
    for axis, (title, (values, form)) in zip(axes, panels.items(), strict=True):
        bars = axis.barh(list(results), values, color=[colors[name] for name in results], height=0.65)
        axis.bar_label(bars, [form.format(v) for v in values], padding=3)
        axis.set_title(title, fontsize=9, loc="left")
        axis.set_xlim(0, 1.3 * max(values))
        axis.xaxis.set_visible(False)
        axis.tick_params(left=False)
        axis.spines[["top", "right", "bottom"]].set_visible(False)
    axes[0].invert_yaxis()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160, metadata={"Date": None} if path.suffix == ".svg" else None)


@torch.no_grad()
def main(arguments: list[str] | None = None) -> int:
    """Runs the whole comparison; returns 1 if an integer differs from torch.ao's.

    Args:
        arguments: of the command line, those that it was given when None.
    """
    parser = argparse.ArgumentParser(description="Trains a network on handwritten digits and runs it in int8.")
    parser.add_argument("--figure", type=Path, default=CACHE / "digits.svg", help="where to draw it (.svg or .png)")
    figure_path = parser.parse_args(arguments).figure
    console = Console()
    torch_ao = import_torch_ao()

    # Threads that share a core with other work wait for each other; layers this small gain nothing from a second one.
    torch.set_num_threads(1)
    train_images, train_labels, images, labels = load_split()
    torch.manual_seed(0)
    with torch.enable_grad():
        weights = trained_weights(DigitsNet(torchq), train_images, train_labels)

    with console.status("calibrating and converting"):
        calibration = train_images[:CALIBRATION_IMAGES]
        # channels_last is what FP32 convolutions are fastest in.
        fp32 = fused_network(torchq, weights).to(memory_format=torch.channels_last)
        networks = {FP32: fp32, TORCHQ: to_int8(torchq, weights, calibration)}
        if torch_ao is not None:
            networks[TORCH_AO] = to_int8(torch_ao, weights, calibration)
    integers, status = "torch.ao is not in this torch", 0
    if torch_ao is not None:
        equal, total = count_equal_integers(networks[TORCHQ], networks[TORCH_AO], images)
        integers = f"all {total:,}" if equal == total else f"[red]{equal:,} of {total:,}"
        status = int(equal != total)
    with console.status("measuring"):
        results = measure(networks, images, labels)
    print_table(console, results, integers, len(images))
    try:
        draw_figure(results, figure_path)
        console.print(f"The figure of it: {figure_path}")
    except ImportError:
        console.print("No figure: matplotlib is missing. pip install 'torchq\\[report]' brings it.")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
