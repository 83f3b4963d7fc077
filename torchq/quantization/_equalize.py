"""Cross-layer equalization: scales channels between layers so that one scale per tensor fits all of them.

A channel scaled up by a layer can be scaled down by the next; the network computes the same. So each channel gets the
scale at which it has the same range in both layers. It helps weights that have one scale per tensor, where the widest
channel takes the resolution of all others. Source: Nagel et al., Data-Free Quantization Through Weight Equalization and
Bias Correction, section 4.1 (https://arxiv.org/abs/1906.04721).
"""

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from torchq.nn import intrinsic

__all__ = [
    "channel_range",
    "converged",
    "cross_layer_equalization",
    "equalize",
    "expand_groups_in_paired_modules_list",
    "get_module_bias",
    "get_module_weight",
    "get_name_by_module",
    "has_bias",
    "max_over_ndim",
    "min_over_ndim",
    "process_paired_modules_list_to_name",
    "set_module_bias",
    "set_module_weight",
]

_supported_types: set[type[nn.Module]] = {nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d}
# A layer and a function with f(s * x) = s * f(x) for s > 0.
_supported_intrinsic_types: set[type[nn.Module]] = {
    intrinsic.ConvReLU1d,
    intrinsic.ConvReLU2d,
    intrinsic.ConvReLU3d,
    intrinsic.LinearReLU,
    intrinsic.LinearLeakyReLU,
}
_all_supported_types = _supported_types | _supported_intrinsic_types

# Pairs converge in a few rounds, chains in as many as they are long; rounding may keep large weights from it.
_MAX_ROUNDS = 1000


def _layer(module: nn.Module) -> nn.Module:
    """Returns the layer itself, or that in a fused container.

    Raises:
        ValueError: if the module is neither.
    """
    if type(module) not in _all_supported_types:
        names = ", ".join(sorted(kind.__name__ for kind in _all_supported_types))
        raise ValueError(f"equalization is for {names}, got {type(module).__name__}")
    return module if type(module) in _supported_types else module[0]


def get_module_weight(module: nn.Module) -> torch.Tensor:
    """Returns the weight of a layer, or of that in a fused container.

    Raises:
        ValueError: if the module is neither.
    """
    return _layer(module).weight


def get_module_bias(module: nn.Module) -> torch.Tensor | None:
    """Returns the bias of a layer, or of that in a fused container; None if there is none.

    Raises:
        ValueError: if the module is neither.
    """
    return _layer(module).bias


def has_bias(module: nn.Module) -> bool:
    """Returns whether a layer, or that in a fused container, has a bias.

    Raises:
        ValueError: if the module is neither.
    """
    return get_module_bias(module) is not None


def set_module_weight(module: nn.Module, weight: torch.Tensor) -> None:
    """Makes a tensor the weight of a layer, or of that in a fused container.

    Raises:
        ValueError: if the module is neither.
    """
    _layer(module).weight = nn.Parameter(weight)


def set_module_bias(module: nn.Module, bias: torch.Tensor) -> None:
    """Makes a tensor the bias of a layer, or of that in a fused container.

    Raises:
        ValueError: if the module is neither.
    """
    _layer(module).bias = nn.Parameter(bias)


def max_over_ndim(input: torch.Tensor, axis_list: Sequence[int], keepdim: bool = False) -> torch.Tensor:
    """Returns the largest values over some axes; over none, the input."""
    return input.amax(list(axis_list), keepdim) if axis_list else input


def min_over_ndim(input: torch.Tensor, axis_list: Sequence[int], keepdim: bool = False) -> torch.Tensor:
    """Returns the smallest values over some axes; over none, the input."""
    return input.amin(list(axis_list), keepdim) if axis_list else input


def channel_range(input: torch.Tensor, axis: int = 0) -> torch.Tensor:
    """Returns largest less smallest value of each channel, ``[input.size(axis)]``.

    Args:
        input: a weight.
        axis: that of the channels.

    Example:
        >>> channel_range(torch.tensor([[-1.0, 2.0], [0.5, 1.0]]))
        tensor([3.0000, 0.5000])
    """
    axes = [other for other in range(input.dim()) if other != axis % input.dim()]
    return max_over_ndim(input, axes) - min_over_ndim(input, axes)


def get_name_by_module(model: nn.Module, module: nn.Module) -> str:
    """Returns the qualified name of a module in a model.

    Raises:
        ValueError: if it is not in the model.
    """
    for name, part in model.named_modules():
        if part is module:
            return name
    raise ValueError(f"there is no such module in {type(model).__name__}: {module}")


def cross_layer_equalization(module1: nn.Module, module2: nn.Module, output_axis: int = 0, input_axis: int = 1) -> None:
    """Scales each channel between two layers so that it has the same range in both weights, in place.

    A channel with the range 0 in one of the weights, such as a pruned one, stays as it is.

    Args:
        module1: ``nn.Linear``, ``nn.Conv1d`` to ``nn.Conv3d``, or a fused container of one of them and a relu.
        module2: likewise; takes the output of ``module1``.
        output_axis: the axis of the channels in the first weight.
        input_axis: the axis of the channels in the second weight.

    Raises:
        TypeError: if the first layer does not have as many output channels as the second has input channels.
        ValueError: if a module is none of these, or every channel has the range 0 in one of the weights.

    Example:
        >>> first, second = nn.Linear(8, 4), nn.Linear(4, 8)
        >>> cross_layer_equalization(first, second)
        >>> torch.allclose(channel_range(first.weight, 0), channel_range(second.weight, 1))
        True
    """
    weight1, weight2 = get_module_weight(module1).detach(), get_module_weight(module2).detach()
    if weight1.size(output_axis) != weight2.size(input_axis):
        raise TypeError(
            f"the first layer has {weight1.size(output_axis)} output channels, the second {weight2.size(input_axis)} "
            f"input channels in its weight: got {module1} and {module2}"
        )
    scale = _scaling_factors(channel_range(weight1, output_axis), channel_range(weight2, input_axis))
    inverse = torch.reciprocal(scale)
    set_module_weight(module1, weight1 * _along(inverse, weight1, output_axis))
    set_module_weight(module2, weight2 * _along(scale, weight2, input_axis))
    if has_bias(module1):
        set_module_bias(module1, get_module_bias(module1).detach() * inverse)


def _scaling_factors(range1: torch.Tensor, range2: torch.Tensor) -> torch.Tensor:
    has_range = (range1 > 0) & (range2 > 0)
    if not has_range.any():
        raise ValueError(
            "there is nothing to equalize: every channel has the range 0 in one of the weights, as with one weight per "
            "channel"
        )
    # torch.ao adds the same, against divisions by 0.
    return torch.where(has_range, torch.sqrt(range1 / (range2 + 1e-9)), 1.0)


def _along(factors: torch.Tensor, weight: torch.Tensor, axis: int) -> torch.Tensor:
    size = [1] * weight.dim()
    size[axis] = -1
    return factors.view(size)


def process_paired_modules_list_to_name(
    model: nn.Module, paired_modules_list: Sequence[Sequence[nn.Module | str]]
) -> list[list[str]]:
    """Returns a list of groups of modules with each module's qualified name in its place.

    Args:
        model: the model.
        paired_modules_list: groups of modules of the model, or of their names.

    Raises:
        TypeError: if an item is neither.
        ValueError: if a module is not in the model.
    """
    return [[_name(model, item) for item in group] for group in paired_modules_list]


def _name(model: nn.Module, item: nn.Module | str) -> str:
    if not isinstance(item, (nn.Module, str)):
        raise TypeError(f"paired_modules_list has modules and names of modules, got {item!r}")
    return get_name_by_module(model, item) if isinstance(item, nn.Module) else item


def expand_groups_in_paired_modules_list(paired_modules_list: Sequence[Sequence[str]]) -> list[list[str]]:
    """Returns the pairs of neighbours of each group.

    Raises:
        ValueError: if a group has less than two modules.

    Example:
        >>> expand_groups_in_paired_modules_list([["conv1", "conv2", "fc"]])
        [['conv1', 'conv2'], ['conv2', 'fc']]
    """
    for group in paired_modules_list:
        if len(group) < 2:
            raise ValueError(f"a group has at least two modules, got {list(group)}")
    return [[group[i], group[i + 1]] for group in paired_modules_list for i in range(len(group) - 1)]


def equalize(
    model: nn.Module,
    paired_modules_list: Sequence[Sequence[nn.Module | str]],
    threshold: float = 1e-4,
    inplace: bool = True,
) -> nn.Module:
    """Equalizes the channels between layers of a float model, before it is quantized; it computes the same.

    Pairs are equalized in turn until a round changes nothing any more.

    Args:
        model: float, with batch norm folded.
        paired_modules_list: groups of layers, by name or themselves, where each takes the output of the one before it.
            Between them there may be functions with ``f(s * x) = s * f(x)`` for ``s > 0``: relu, leaky relu, pools. A
            relu6 is none.
        threshold: how little a round has to change, as a sum over the modules of the norm of the change; > 0.
        inplace: change ``model`` instead of a copy.

    Returns:
        The equalized model: ``model`` itself if ``inplace``, else a copy.

    Raises:
        RuntimeError: if 1000 rounds do not get below the threshold.
        TypeError: if two layers do not fit, or an item of a group is no module and no name.
        ValueError: if a name is not in the model, a group is too short, or a module cannot be equalized.

    Example:
        >>> net = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 8))
        >>> equalized = equalize(net, [["0", "2"]], inplace=False)
        >>> x = torch.randn(16, 8)
        >>> torch.allclose(equalized(x), net(x), atol=1e-6)
        True
    """
    if not threshold > 0:
        raise ValueError(f"threshold must be > 0, got {threshold}")
    pairs = expand_groups_in_paired_modules_list(process_paired_modules_list_to_name(model, paired_modules_list))
    modules = _paired_modules(model if inplace else (model := copy.deepcopy(model)), pairs)
    previous: dict[str, nn.Module | None] = dict.fromkeys(modules)
    for _ in range(_MAX_ROUNDS):
        if converged(modules, previous, threshold):
            return model
        for first, second in pairs:
            previous[first], previous[second] = copy.deepcopy(modules[first]), copy.deepcopy(modules[second])
            cross_layer_equalization(modules[first], modules[second])
    raise RuntimeError(
        f"the weights still change by more than {threshold} after {_MAX_ROUNDS} rounds: give a larger threshold"
    )


def _paired_modules(model: nn.Module, pairs: Sequence[Sequence[str]]) -> dict[str, nn.Module]:
    """Returns the modules of the pairs by name, having checked them before anything is changed."""
    modules = dict(model.named_modules())
    for pair in pairs:
        for name in pair:
            if name not in modules:
                raise ValueError(f"no such module in {type(model).__name__}: {name!r}")
            if not torch.isfinite(get_module_weight(modules[name])).all():
                raise ValueError(f"the weight of {name!r} has NaN or infinity")
        if pair[0] == pair[1]:
            raise ValueError(f"{pair[0]!r} is paired with itself")
    return {name: modules[name] for pair in pairs for name in pair}


def converged(
    curr_modules: Mapping[str, nn.Module], prev_modules: Mapping[str, nn.Module | None], threshold: float = 1e-4
) -> bool:
    """Returns whether the weights of modules changed by less than a threshold, in the sum of the norms of the change.

    Args:
        curr_modules: the modules by name.
        prev_modules: what they were, by the same names; with a None among them, nothing has converged.
        threshold: the sum has to be below it.

    Raises:
        ValueError: if the names differ.
    """
    if curr_modules.keys() != prev_modules.keys():
        raise ValueError(f"got modules named {sorted(curr_modules)}, and before {sorted(prev_modules)}")
    if None in prev_modules.values():
        return False
    changes = [
        get_module_weight(module) - get_module_weight(prev_modules[name]) for name, module in curr_modules.items()
    ]
    return sum(torch.linalg.vector_norm(change).item() for change in changes) < threshold
