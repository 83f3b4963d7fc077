"""Fusing neighbouring float modules into the ones that have a quantized counterpart."""

import copy
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval
from torch.nn.utils.parametrize import type_before_parametrizations

from torchq.nn import intrinsic
from torchq.quantization.hooks import has_user_hooks, move_forward_hooks, move_forward_pre_hooks

_Fuser = Callable[..., nn.Module]


def fuse_conv_bn(is_qat: bool, conv: nn.Conv2d, bn: nn.BatchNorm2d) -> nn.Conv2d:
    """Folds a batch norm in eval mode into the convolution before it.

    Args:
        is_qat: must be False.
        conv: the convolution.
        bn: the batch norm behind it.

    Raises:
        ValueError: if ``is_qat``, or if a module is in training mode, where batch norm uses other statistics.
    """
    _require_eval(is_qat, conv, bn)
    return fuse_conv_bn_eval(conv, bn)


def fuse_conv_bn_relu(is_qat: bool, conv: nn.Conv2d, bn: nn.BatchNorm2d, relu: nn.ReLU) -> intrinsic.ConvReLU2d:
    """Folds a batch norm in eval mode into the convolution before it and adds the relu behind it.

    Args:
        is_qat: must be False.
        conv: the convolution.
        bn: the batch norm behind it.
        relu: the relu behind that.

    Raises:
        ValueError: if ``is_qat``, or if a module is in training mode.
    """
    return intrinsic.ConvReLU2d(fuse_conv_bn(is_qat, conv, bn), relu)


def fuse_linear_bn(is_qat: bool, linear: nn.Linear, bn: nn.BatchNorm1d) -> nn.Linear:
    """Folds a batch norm in eval mode into the linear layer before it.

    Args:
        is_qat: must be False.
        linear: the linear layer.
        bn: the batch norm behind it.

    Raises:
        ValueError: if ``is_qat``, or if a module is in training mode.
    """
    _require_eval(is_qat, linear, bn)
    return fuse_linear_bn_eval(linear, bn)


def _require_eval(is_qat: bool, *modules: nn.Module) -> None:
    if is_qat:
        raise ValueError("torchq fuses for inference only: is_qat must be False")
    training = [type(module).__name__ for module in modules if module.training]
    if training:
        raise ValueError(f"{' and '.join(training)} in training mode: call model.eval() before folding batch norm")


_FUSERS: dict[tuple[type, ...], _Fuser] = {
    (nn.Conv2d, nn.BatchNorm2d): fuse_conv_bn,
    (nn.Conv2d, nn.BatchNorm2d, nn.ReLU): fuse_conv_bn_relu,
    (nn.Conv2d, nn.ReLU): lambda is_qat, conv, relu: intrinsic.ConvReLU2d(conv, relu),
    (nn.Linear, nn.BatchNorm1d): fuse_linear_bn,
    (nn.Linear, nn.ReLU): lambda is_qat, linear, relu: intrinsic.LinearReLU(linear, relu),
}


def fuse_known_modules(
    mod_list: Sequence[nn.Module],
    is_qat: bool = False,
    additional_fuser_method_mapping: dict[tuple[type, ...], _Fuser] | None = None,
) -> list[nn.Module]:
    """Returns replacements for modules that run one after another.

    Known are conv + bn, conv + bn + relu, conv + relu, linear + bn and linear + relu, for ``nn.Conv2d`` and
    ``nn.Linear``. The fused module gets the first module's forward pre-hooks and the last one's forward hooks.

    Args:
        mod_list: the modules in the order in which they run.
        is_qat: must be False when batch norm is involved.
        additional_fuser_method_mapping: types to a function of ``is_qat`` and the modules; goes before the known.

    Returns:
        The fused module, then an ``nn.Identity`` for each of the others.

    Raises:
        NotImplementedError: if the types are no known pattern.
        ValueError: if a module is in training mode, or has hooks between the modules, which fusion would drop.
    """
    types = tuple(type_before_parametrizations(module) for module in mod_list)
    fusers = {**_FUSERS, **(additional_fuser_method_mapping or {})}
    if types not in fusers:
        known = "; ".join(" + ".join(t.__name__ for t in pattern) for pattern in fusers)
        raise NotImplementedError(f"cannot fuse {' + '.join(t.__name__ for t in types)}; known are {known}")
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
        fused = fusers[types](is_qat, *mod_list)
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
    if not inplace:
        model = copy.deepcopy(model)
    lists = [modules_to_fuse] if all(isinstance(name, str) for name in modules_to_fuse) else modules_to_fuse
    additional = (fuse_custom_config_dict or {}).get("additional_fuser_method_mapping", {})
    for names in lists:
        modules = [model.get_submodule(name) for name in names]
        try:
            fused = fuser_func(modules, False, additional)
        except (NotImplementedError, ValueError) as error:
            raise type(error)(f"cannot fuse {list(names)}: {error}") from error
        for name, module in zip(names, fused, strict=True):
            model.set_submodule(name, module, strict=True)
    return model
