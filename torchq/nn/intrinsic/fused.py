"""Float containers of modules that quantization treats as one.

``prepare`` observes only the output of the container, so that no rounding happens between its parts.
"""

from typing import ClassVar

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


class ConvReLU2d(FusedModule):
    """A Conv2d and the ReLU behind it.

    Args:
        conv: the convolution.
        relu: the relu.
    """

    part_types = (nn.Conv2d, nn.ReLU)

    def __init__(self, conv: nn.Conv2d, relu: nn.ReLU) -> None:
        super().__init__(conv, relu)


class LinearReLU(FusedModule):
    """A Linear and the ReLU behind it.

    Args:
        linear: the linear layer.
        relu: the relu.
    """

    part_types = (nn.Linear, nn.ReLU)

    def __init__(self, linear: nn.Linear, relu: nn.ReLU) -> None:
        super().__init__(linear, relu)


class ConvBn2d(FusedModule):
    """A Conv2d and the BatchNorm2d behind it, unfolded.

    Args:
        conv: the convolution.
        bn: the batch norm.
    """

    part_types = (nn.Conv2d, nn.BatchNorm2d)

    def __init__(self, conv: nn.Conv2d, bn: nn.BatchNorm2d) -> None:
        super().__init__(conv, bn)


class ConvBnReLU2d(FusedModule):
    """A Conv2d, the BatchNorm2d behind it, unfolded, and the ReLU behind that.

    Args:
        conv: the convolution.
        bn: the batch norm.
        relu: the relu.
    """

    part_types = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU)

    def __init__(self, conv: nn.Conv2d, bn: nn.BatchNorm2d, relu: nn.ReLU) -> None:
        super().__init__(conv, bn, relu)
