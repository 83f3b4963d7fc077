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


def fuse_conv_bn(is_qat: bool, conv: nn.Module, bn: nn.Module) -> nn.Module:
    """Joins a convolution and the batch norm behind it.

    Args:
        is_qat: keep both, in a container that ``prepare_qat`` knows; else fold the batch norm into the convolution.
        conv: a 1d, 2d or 3d convolution.
        bn: the batch norm of its dimension.

    Returns:
        ``intrinsic.ConvBn1d``, ``2d`` or ``3d`` if ``is_qat``, else a convolution.

    Raises:
        ValueError: if ``is_qat``, and the modules cannot be trained as one (modes or channels differ, or the batch
            norm has no parameters or running statistics); if not, and one is in training mode, where batch norm uses
            other statistics.
    """
    if is_qat:
        _require_trainable(conv.out_channels, bn, conv)
        return _container(_CONV_BN, conv)(conv, bn)
    _require_eval(conv, bn)
    return fuse_conv_bn_eval(conv, bn)


def fuse_conv_bn_relu(is_qat: bool, conv: nn.Module, bn: nn.Module, relu: nn.ReLU) -> nn.Module:
    """Joins a convolution, the batch norm behind it and the relu behind that.

    Args:
        is_qat: keep all, in a container that ``prepare_qat`` knows; else fold the batch norm into the convolution.
        conv: a 1d, 2d or 3d convolution.
        bn: the batch norm of its dimension.
        relu: the relu.

    Returns:
        ``intrinsic.ConvBnReLU1d``, ``2d`` or ``3d`` if ``is_qat``, else ``ConvReLU1d``, ``2d`` or ``3d``.

    Raises:
        ValueError: as ``fuse_conv_bn``.
    """
    if is_qat:
        _require_trainable(conv.out_channels, bn, conv, relu)
        return _container(_CONV_BN_RELU, conv)(conv, bn, relu)
    return _container(_CONV_RELU, conv)(fuse_conv_bn(is_qat, conv, bn), relu)


def fuse_linear_bn(is_qat: bool, linear: nn.Linear, bn: nn.BatchNorm1d) -> nn.Module:
    """Joins a linear layer and the batch norm behind it.

    Args:
        is_qat: keep both, in a container that ``prepare_qat`` knows; else fold the batch norm into the linear layer.
        linear: the linear layer.
        bn: the batch norm.

    Returns:
        ``intrinsic.LinearBn1d`` if ``is_qat``, else a linear layer.

    Raises:
        ValueError: as ``fuse_conv_bn``.
    """
    if is_qat:
        _require_trainable(linear.out_features, bn, linear)
        return intrinsic.LinearBn1d(linear, bn)
    _require_eval(linear, bn)
    return fuse_linear_bn_eval(linear, bn)


def _require_eval(*modules: nn.Module) -> None:
    training = [type(module).__name__ for module in modules if module.training]
    if training:
        raise ValueError(f"{' and '.join(training)} in training mode: call model.eval() before folding batch norm")


def _require_trainable(channels: int, bn: nn.Module, *others: nn.Module) -> None:
    if len({module.training for module in (bn, *others)}) > 1:
        modes = ", ".join(f"{type(m).__name__}: {'train' if m.training else 'eval'}" for m in (bn, *others))
        raise ValueError(f"modules that are trained as one must all be in the same mode, got {modes}")
    if bn.num_features != channels:
        raise ValueError(f"{type(bn).__name__} has {bn.num_features} features, the layer before it {channels} channels")
    if not (bn.affine and bn.track_running_stats):
        raise ValueError(
            f"{type(bn).__name__} must have affine=True and track_running_stats=True to be folded into the layer "
            f"before it, got {bn.affine} and {bn.track_running_stats}"
        )


def _container(containers: dict[type[nn.Module], type[nn.Module]], conv: nn.Module) -> type[nn.Module]:
    found = type_before_parametrizations(conv)
    if found not in containers:
        known = ", ".join(t.__name__ for t in containers)
        raise NotImplementedError(f"cannot fuse {found.__name__} with batch norm; known are {known}")
    return containers[found]


def _joiner(container: type[nn.Module]) -> _Fuser:
    """Returns a fuser that puts the modules into a container, in training as for inference."""
    return lambda is_qat, *modules: container(*modules)


_CONV_BN = {nn.Conv1d: intrinsic.ConvBn1d, nn.Conv2d: intrinsic.ConvBn2d, nn.Conv3d: intrinsic.ConvBn3d}
_CONV_BN_RELU = {
    nn.Conv1d: intrinsic.ConvBnReLU1d,
    nn.Conv2d: intrinsic.ConvBnReLU2d,
    nn.Conv3d: intrinsic.ConvBnReLU3d,
}
_CONV_RELU = {nn.Conv1d: intrinsic.ConvReLU1d, nn.Conv2d: intrinsic.ConvReLU2d, nn.Conv3d: intrinsic.ConvReLU3d}

_FUSERS: dict[tuple[type, ...], _Fuser] = {
    (nn.Conv1d, nn.BatchNorm1d): fuse_conv_bn,
    (nn.Conv1d, nn.BatchNorm1d, nn.ReLU): fuse_conv_bn_relu,
    (nn.Conv2d, nn.BatchNorm2d): fuse_conv_bn,
    (nn.Conv2d, nn.BatchNorm2d, nn.ReLU): fuse_conv_bn_relu,
    (nn.Conv3d, nn.BatchNorm3d): fuse_conv_bn,
    (nn.Conv3d, nn.BatchNorm3d, nn.ReLU): fuse_conv_bn_relu,
    **{(conv, nn.ReLU): _joiner(container) for conv, container in _CONV_RELU.items()},
    (nn.Linear, nn.BatchNorm1d): fuse_linear_bn,
    (nn.Linear, nn.ReLU): _joiner(intrinsic.LinearReLU),
    (nn.BatchNorm2d, nn.ReLU): _joiner(intrinsic.BNReLU2d),
    (nn.BatchNorm3d, nn.ReLU): _joiner(intrinsic.BNReLU3d),
}


def fuse_known_modules(
    mod_list: Sequence[nn.Module],
    is_qat: bool = False,
    additional_fuser_method_mapping: dict[tuple[type, ...], _Fuser] | None = None,
) -> list[nn.Module]:
    """Returns replacements for modules that run one after another.

    Known are conv + bn, conv + bn + relu and conv + relu in 1, 2 and 3 dimensions, linear + bn, linear + relu, and
    bn + relu in 2 and 3 dimensions. The fused module gets the first module's forward pre-hooks and the last one's
    forward hooks.

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
