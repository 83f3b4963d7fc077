"""A small residual network for scikit-learn's handwritten digits, and its FP32 training.

The network is written the way torch.ao's eager recipe asks for: stubs where integers begin and end, and a
``FloatFunctional`` for the residual sum, so that it has qparams of its own. Which library's stubs they are is
an argument; nothing else about the network depends on it.
"""

import hashlib
from pathlib import Path
from types import ModuleType

import torch
import torch.nn.functional as F
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

CACHE = Path(".cache")
EPOCHS = 12
BATCH = 64


class Block(nn.Module):
    """Two 3x3 convolutions and a residual sum.

    Args:
        library: ``torchq`` or ``torch.ao``: where ``FloatFunctional`` comes from.
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: of the first convolution. If it is not 1, or the channels change, a 1x1 convolution adapts the input.
    """

    def __init__(self, library: ModuleType, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )
        self.sum = library.nn.quantized.FloatFunctional()

    def forward(self, x: Tensor) -> Tensor:
        """Returns ``relu(conv2(relu(conv1(x))) + shortcut(x))``."""
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.sum.add_relu(y, self.shortcut(x))


class DigitsNet(nn.Module):
    """A stem, two residual blocks, a mean over the image and a linear layer: 8.4 million multiplications an image.

    Args:
        library: ``torchq`` or ``torch.ao``: where the stubs and ``FloatFunctional`` come from.
    """

    def __init__(self, library: ModuleType) -> None:
        super().__init__()
        self.quant = library.quantization.QuantStub()
        self.conv = nn.Conv2d(1, 64, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.blocks = nn.Sequential(Block(library, 64, 64), Block(library, 64, 128, stride=2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(128, 10)
        self.dequant = library.quantization.DeQuantStub()

    def forward(self, x: Tensor) -> Tensor:
        """Returns the ten logits ``[N, 10]`` of each image ``[N, 1, 8, 8]``."""
        x = self.blocks(self.relu(self.bn(self.conv(self.quant(x)))))
        return self.dequant(self.fc(self.pool(x).flatten(1)))

    def conv_bn_relu(self) -> list[list[str]]:
        """Returns the names of the modules that belong together, as ``fuse_modules`` wants them."""
        groups = [["conv", "bn", "relu"]]
        for name, block in self.blocks.named_children():
            prefix = f"blocks.{name}"
            groups += [[f"{prefix}.conv1", f"{prefix}.bn1", f"{prefix}.relu1"], [f"{prefix}.conv2", f"{prefix}.bn2"]]
            if isinstance(block.shortcut, nn.Sequential):
                groups.append([f"{prefix}.shortcut.0", f"{prefix}.shortcut.1"])
        return groups


def load_split() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns training images and labels, then those of the held-out third.

    Images are float32 ``[N, 1, 8, 8]`` in [0, 1], labels int64 ``[N]``.
    """
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(digits.target)
    train, held_out = train_test_split(range(len(labels)), test_size=1 / 3, stratify=labels, random_state=0)
    return images[train], labels[train], images[held_out], labels[held_out]


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Returns the share of the images, in percent, whose largest logit is that of their label."""
    return 100 * float((model(images).argmax(1) == labels).double().mean())


def trained_weights(model: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Returns FP32 weights for the network: trained here, or by an earlier run in this folder.

    Args:
        model: the network to train; its own weights are the start.
        images: the training images.
        labels: their labels.
    """
    # Another recipe, or another torch, is another network.
    recipe = hashlib.sha256(Path(__file__).read_bytes() + torch.__version__.encode()).hexdigest()[:12]
    path = CACHE / f"digits-{recipe}.pt"
    if not path.exists():
        train(model, images, labels)
        path.parent.mkdir(exist_ok=True)
        torch.save(model.state_dict(), path)
    return torch.load(path)


def train(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Trains the network in place: Adam, one cycle of the learning rate, images shifted by up to one pixel."""
    model.train().to(memory_format=torch.channels_last)
    steps = EPOCHS * -(-len(images) // BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
    columns = TextColumn("training in FP32"), BarColumn(), TextColumn("{task.fields[loss]}"), TimeElapsedColumn()
    with Progress(*columns) as progress:
        bar = progress.add_task("", total=steps, loss="")
        for _ in range(EPOCHS):
            for batch in torch.randperm(len(images)).split(BATCH):
                down, right = torch.randint(0, 3, (2,)).tolist()
                shifted = F.pad(images[batch], (1, 1, 1, 1))[..., down : down + 8, right : right + 8]
                loss = F.cross_entropy(model(shifted), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                progress.update(bar, advance=1, loss=f"loss {loss.item():.3f}")
