"""Float containers of modules that quantization treats as one.

``prepare`` observes only the output of the container, so that no rounding happens between its parts.
"""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import nn
from torch.nn.utils.parametrize import type_before_parametrizations


class FusedModule(nn.Sequential):
    """Base of the containers.

    Attributes:
        part_types: the types of the modules that the container takes, in order.

    Raises:
        TypeError: if a module has another type.
    """

    part_types: ClassVar[tuple[type[nn.Module], ...]] = ()

    def __init__(self, *modules: nn.Module) -> None:
        types = tuple(type_before_parametrizations(module) for module in modules)
        if types != self.part_types:
            expected, given = (", ".join(t.__name__ for t in ts) for ts in (self.part_types, types))
            raise TypeError(f"{type(self).__name__} takes ({expected}), got ({given})")
        super().__init__(*modules)


class _ConvReLU(FusedModule):
    """A convolution and the ReLU behind it.

    Args:
        conv: the convolution.
        relu: the relu.
    """

    def __init__(self, conv: nn.Module, relu: nn.ReLU) -> None:
        super().__init__(conv, relu)


class ConvReLU1d(_ConvReLU):
    """A Conv1d and the ReLU behind it."""

    part_types = (nn.Conv1d, nn.ReLU)


class ConvReLU2d(_ConvReLU):
    """A Conv2d and the ReLU behind it."""

    part_types = (nn.Conv2d, nn.ReLU)


class ConvReLU3d(_ConvReLU):
    """A Conv3d and the ReLU behind it."""

    part_types = (nn.Conv3d, nn.ReLU)


class _ConvBn(FusedModule):
    """A convolution and the batch norm behind it, unfolded.

    Args:
        conv: the convolution.
        bn: the batch norm.
    """

    def __init__(self, conv: nn.Module, bn: nn.Module) -> None:
        super().__init__(conv, bn)


class ConvBn1d(_ConvBn):
    """A Conv1d and the BatchNorm1d behind it, unfolded."""

    part_types = (nn.Conv1d, nn.BatchNorm1d)


class ConvBn2d(_ConvBn):
    """A Conv2d and the BatchNorm2d behind it, unfolded."""

    part_types = (nn.Conv2d, nn.BatchNorm2d)


class ConvBn3d(_ConvBn):
    """A Conv3d and the BatchNorm3d behind it, unfolded."""

    part_types = (nn.Conv3d, nn.BatchNorm3d)


class _ConvBnReLU(FusedModule):
    """A convolution, the batch norm behind it, unfolded, and the ReLU behind that.

    Args:
        conv: the convolution.
        bn: the batch norm.
        relu: the relu.
    """

    def __init__(self, conv: nn.Module, bn: nn.Module, relu: nn.ReLU) -> None:
        super().__init__(conv, bn, relu)


class ConvBnReLU1d(_ConvBnReLU):
    """A Conv1d, the BatchNorm1d behind it, unfolded, and the ReLU behind that."""

    part_types = (nn.Conv1d, nn.BatchNorm1d, nn.ReLU)


class ConvBnReLU2d(_ConvBnReLU):
    """A Conv2d, the BatchNorm2d behind it, unfolded, and the ReLU behind that."""

    part_types = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU)


class ConvBnReLU3d(_ConvBnReLU):
    """A Conv3d, the BatchNorm3d behind it, unfolded, and the ReLU behind that."""

    part_types = (nn.Conv3d, nn.BatchNorm3d, nn.ReLU)


class _BNReLU(FusedModule):
    """A batch norm and the ReLU behind it.

    Args:
        batch_norm: the batch norm.
        relu: the relu.
    """

    def __init__(self, batch_norm: nn.Module, relu: nn.ReLU) -> None:
        super().__init__(batch_norm, relu)


class BNReLU2d(_BNReLU):
    """A BatchNorm2d and the ReLU behind it."""

    part_types = (nn.BatchNorm2d, nn.ReLU)


class BNReLU3d(_BNReLU):
    """A BatchNorm3d and the ReLU behind it."""

    part_types = (nn.BatchNorm3d, nn.ReLU)


class LinearReLU(FusedModule):
    """A Linear and the ReLU behind it.

    Args:
        linear: the linear layer.
        relu: the relu.
    """

    part_types = (nn.Linear, nn.ReLU)

    def __init__(self, linear: nn.Linear, relu: nn.ReLU) -> None:
        super().__init__(linear, relu)


class LinearBn1d(FusedModule):
    """A Linear and the BatchNorm1d behind it, unfolded.

    Args:
        linear: the linear layer.
        bn: the batch norm.
    """

    part_types = (nn.Linear, nn.BatchNorm1d)

    def __init__(self, linear: nn.Linear, bn: nn.BatchNorm1d) -> None:
        super().__init__(linear, bn)


class LinearLeakyReLU(FusedModule):
    """A Linear and the LeakyReLU behind it.

    Args:
        linear: the linear layer.
        leaky_relu: the leaky relu.
    """

    part_types = (nn.Linear, nn.LeakyReLU)

    def __init__(self, linear: nn.Linear, leaky_relu: nn.LeakyReLU) -> None:
        super().__init__(linear, leaky_relu)


class LinearTanh(FusedModule):
    """A Linear and the Tanh behind it.

    Args:
        linear: the linear layer.
        tanh: the tanh.
    """

    part_types = (nn.Linear, nn.Tanh)

    def __init__(self, linear: nn.Linear, tanh: nn.Tanh) -> None:
        super().__init__(linear, tanh)


class ConvAdd2d(FusedModule):
    """A Conv2d and a sum of its output with another tensor.

    Args:
        conv: the convolution.
        add: adds two tensors; a function, such as ``torch.add``, or a module.
    """

    part_types = (nn.Conv2d,)

    def __init__(self, conv: nn.Conv2d, add: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__(conv)
        self.add = add

    def forward(self, x1: torch.Tensor, x2: torch.Tensor) -> torch.Tensor:
        """Returns ``add(conv(x1), x2)``."""
        return self.add(self[0](x1), x2)


class ConvAddReLU2d(ConvAdd2d):
    """A Conv2d, a sum of its output with another tensor, and a ReLU.

    Args:
        conv: the convolution.
        add: adds two tensors; a function, such as ``torch.add``, or a module.
        relu: the relu; a function or a module.
    """

    def __init__(
        self,
        conv: nn.Conv2d,
        add: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        relu: Callable[[torch.Tensor], torch.Tensor],
    ) -> None:
        super().__init__(conv, add)
        self.relu = relu

    def forward(self, x1: torch.Tensor, x2: torch.Tensor) -> torch.Tensor:
        """Returns ``relu(add(conv(x1), x2))``."""
        return self.relu(super().forward(x1, x2))
