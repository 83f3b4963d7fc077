"""Training with batch norm folded into the weight that is fake-quantized."""

import torch
from torch import nn
from torch.nn import init

from torchq.nn.qat import QATModule


class BatchNormFolding(QATModule):
    """Mixin of layers with a batch norm behind them, which int8 will have folded into the weight.

    What is fake-quantized is therefore the folded weight, by the running statistics, which jitter less than those of a
    batch; the result is scaled back, so that batch norm sees what the layer alone would give, and normalizes it by
    the batch in training:

        f = bn.weight / sqrt(bn.running_var + bn.eps)
        y = bn(layer(x, fake_quantize(weight * f)) / f + bias)

    Source: R. Krishnamoorthi, Quantizing deep convolutional networks for efficient inference (arXiv 1806.08342),
    section 3.2.2. A channel whose ``bn.weight`` is 0 cannot be scaled back: its output is NaN, which observers refuse.

    Attributes:
        bn: the batch norm.
        freeze_bn: whether batch norm normalizes by its running statistics, and leaves them alone, in training too.
    """

    bn: nn.Module
    freeze_bn: bool

    def reset_running_stats(self) -> None:
        """Puts the running statistics back to mean 0 and variance 1."""
        self.bn.reset_running_stats()

    def reset_bn_parameters(self) -> None:
        """Resets the running statistics, sets batch norm's bias to 0 and draws its weight from [0, 1)."""
        self.bn.reset_running_stats()
        init.uniform_(self.bn.weight)
        init.zeros_(self.bn.bias)

    def update_bn_stats(self) -> nn.Module:
        """Lets batch norm learn its statistics in training; returns the module."""
        self.freeze_bn = False
        self.bn.train(self.training)
        return self

    def freeze_bn_stats(self) -> nn.Module:
        """Keeps batch norm's statistics as they are, and normalizes by them, in training too; returns the module."""
        self.freeze_bn = True
        self.bn.eval()
        return self

    def train(self, mode: bool = True) -> nn.Module:
        """Sets the mode of the module; a frozen batch norm stays in eval mode."""
        super().train(mode)
        if self.freeze_bn:
            self.bn.eval()
        return self

    def folded_weight_bias(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns weight and bias with batch norm's running statistics folded into them."""
        factor = self._factor()
        shift = -self.bn.running_mean if self.bias is None else self.bias - self.bn.running_mean
        return self._scaled_weight(factor), shift * factor + self.bn.bias

    def _set_bn(self, bn: nn.Module, freeze_bn: bool = False) -> None:
        if not (bn.affine and bn.track_running_stats):
            raise ValueError(
                f"{type(self).__name__} takes a batch norm with affine=True and track_running_stats=True, got "
                f"{bn.affine} and {bn.track_running_stats}"
            )
        self.bn = bn
        self.freeze_bn = freeze_bn
        self.train(self.training)

    def _normalized(self, x: torch.Tensor) -> torch.Tensor:
        factor = self._factor()
        output = self._product(x, self.weight_fake_quant(self._scaled_weight(factor)))
        channels = [1, -1, *[1] * (output.dim() - 2)]
        output = output / factor.reshape(channels)
        return self.bn(output if self.bias is None else output + self.bias.reshape(channels))

    def _product(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Returns the layer's output for another weight, without a bias."""
        raise NotImplementedError

    def _factor(self) -> torch.Tensor:
        return self.bn.weight / torch.sqrt(self.bn.running_var + self.bn.eps)

    def _scaled_weight(self, factor: torch.Tensor) -> torch.Tensor:
        return self.weight * factor.reshape(-1, *[1] * (self.weight.dim() - 1))


def update_bn_stats(mod: nn.Module) -> None:
    """Lets a folded batch norm learn its statistics; for ``model.apply``, so other modules are left alone."""
    if isinstance(mod, BatchNormFolding):
        mod.update_bn_stats()


def freeze_bn_stats(mod: nn.Module) -> None:
    """Freezes the statistics of a folded batch norm; for ``model.apply``, so other modules are left alone.

    Common late in training, so that the weights settle on the statistics that int8 will have.
    """
    if isinstance(mod, BatchNormFolding):
        mod.freeze_bn_stats()
