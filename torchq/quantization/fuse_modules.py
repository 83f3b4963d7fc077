"""Fusing neighbouring float modules into the ones that have a quantized counterpart."""

import copy
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn
from torch.nn.utils.parametrize import type_before_parametrizations

from torchq.quantization.fuser_method_mappings import (  # noqa: F401  (the fusers are torch.ao's names here too)
    Fuser,
    fuse_conv_bn,
    fuse_conv_bn_relu,
    get_fuser_method,
)
from torchq.quantization.hooks import has_user_hooks, move_forward_hooks, move_forward_pre_hooks


def fuse_known_modules(
    mod_list: Sequence[nn.Module],
    is_qat: bool = False,
    additional_fuser_method_mapping: dict[tuple[type, ...], Fuser] | None = None,
) -> list[nn.Module]:
    """Returns replacements for modules that run one after another.

    Known are conv + bn, conv + bn + relu, conv + relu and transposed conv + bn in 1, 2 and 3 dimensions, linear + bn,
    linear + relu, and bn + relu in 2 and 3 dimensions. The fused module gets the first module's forward pre-hooks and
    the last one's forward hooks.

    Args:
        mod_list: the modules in the order in which they run.
        is_qat: keep batch norm, for quantization-aware training, instead of folding it.
        additional_fuser_method_mapping: types to a function of ``is_qat`` and the modules; goes before the known.

    Returns:
        The fused module, then an ``nn.Identity`` for each of the others.

    Raises:
        NotImplementedError: if the types are no known pattern.
        ValueError: if batch norm cannot be folded or kept (see ``fuse_conv_bn``), or if there are hooks between the
            modules, which fusion would drop.
    """
    types = tuple(type_before_parametrizations(module) for module in mod_list)
    fuser = get_fuser_method(types, additional_fuser_method_mapping)
    for before, after in itertools.pairwise(mod_list):
        if has_user_hooks(before._forward_hooks) or has_user_hooks(after._forward_pre_hooks):
            raise ValueError(
                f"hooks between {type(before).__name__} and {type(after).__name__} would be lost: remove them first"
            )
    first, last = mod_list[0], mod_list[-1]
    # Folding copies the convolution; hooks that were still on it would run once more, inside the fused module.
    hooks = nn.Module()
    move_forward_pre_hooks(first, hooks)
    move_forward_hooks(last, hooks)
    fused = None
    try:
        fused = fuser(is_qat, *mod_list)
    finally:
        move_forward_pre_hooks(hooks, first if fused is None else fused)
        move_forward_hooks(hooks, last if fused is None else fused)
    return [fused, *(nn.Identity().train(first.training) for _ in mod_list[1:])]


def fuse_modules(
    model: nn.Module,
    modules_to_fuse: Sequence[str] | Sequence[Sequence[str]],
    inplace: bool = False,
    fuser_func: Callable[..., list[nn.Module]] = fuse_known_modules,
    fuse_custom_config_dict: dict[str, Any] | None = None,
) -> nn.Module:
    """Fuses lists of modules of a model.

    The first module of a list is replaced by the fused one, the others by ``nn.Identity``, so that the
    model's own code runs unchanged. Patterns: see ``fuse_known_modules``.

    Args:
        model: in eval mode where a batch norm is to be folded.
        modules_to_fuse: one list of qualified names, or several, in the order in which they run.
        inplace: change ``model`` instead of a copy.
        fuser_func: maps the modules, ``is_qat=False`` and the additional mapping to their replacements.
        fuse_custom_config_dict: its entry ``"additional_fuser_method_mapping"`` is given to ``fuser_func``.

    Returns:
        The fused model: ``model`` itself if ``inplace``, else a copy.

    Raises:
        AttributeError: if a name is no submodule of the model.
        NotImplementedError: if the types of a list are no known pattern; the message names the list.
        ValueError: if a list cannot be fused, for example in training mode; the message names the list.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 2), nn.ReLU()).eval()
        >>> fuse_modules(model, ["0", "1"])[0]
        LinearReLU(
          (0): Linear(in_features=4, out_features=2, bias=True)
          (1): ReLU()
        )
    """
    return _fuse(model, modules_to_fuse, False, inplace, fuser_func, fuse_custom_config_dict)


def fuse_modules_qat(
    model: nn.Module,
    modules_to_fuse: Sequence[str] | Sequence[Sequence[str]],
    inplace: bool = False,
    fuser_func: Callable[..., list[nn.Module]] = fuse_known_modules,
    fuse_custom_config_dict: dict[str, Any] | None = None,
) -> nn.Module:
    """Fuses lists of modules of a model for quantization-aware training, where batch norm goes on learning.

    As ``fuse_modules``, but a batch norm is kept, in a container with the layer before it, for ``prepare_qat``.

    Args:
        model: in training mode.
        modules_to_fuse: one list of qualified names, or several, in the order in which they run.
        inplace: change ``model`` instead of a copy.
        fuser_func: maps the modules, ``is_qat=True`` and the additional mapping to their replacements.
        fuse_custom_config_dict: its entry ``"additional_fuser_method_mapping"`` is given to ``fuser_func``.

    Returns:
        The fused model: ``model`` itself if ``inplace``, else a copy.

    Raises:
        AttributeError: if a name is no submodule of the model.
        NotImplementedError: if the types of a list are no known pattern; the message names the list.
        ValueError: if a list cannot be fused; the message names the list.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()).train()
        >>> type(fuse_modules_qat(model, ["0", "1", "2"])[0]).__name__
        'ConvBnReLU2d'
    """
    return _fuse(model, modules_to_fuse, True, inplace, fuser_func, fuse_custom_config_dict)


def _fuse(
    model: nn.Module,
    modules_to_fuse: Sequence[str] | Sequence[Sequence[str]],
    is_qat: bool,
    inplace: bool,
    fuser_func: Callable[..., list[nn.Module]],
    fuse_custom_config_dict: dict[str, Any] | None,
) -> nn.Module:
    if not inplace:
        model = copy.deepcopy(model)
    lists = [modules_to_fuse] if all(isinstance(name, str) for name in modules_to_fuse) else modules_to_fuse
    additional = (fuse_custom_config_dict or {}).get("additional_fuser_method_mapping", {})
    for names in lists:
        modules = [model.get_submodule(name) for name in names]
        try:
            fused = fuser_func(modules, is_qat, additional)
        except (NotImplementedError, ValueError) as error:
            raise type(error)(f"cannot fuse {list(names)}: {error}") from error
        for name, module in zip(names, fused, strict=True):
            model.set_submodule(name, module, strict=True)
    return model
