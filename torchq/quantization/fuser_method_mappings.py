"""What neighbouring float modules become, by their types."""

import copy
import itertools
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_conv_bn_weights, fuse_linear_bn_eval
from torch.nn.utils.parametrize import type_before_parametrizations

from torchq.nn import intrinsic
from torchq.quantization.utils import MatchAllNode, Pattern, get_combined_dict

__all__ = [
    "fuse_conv_bn",
    "fuse_conv_bn_relu",
    "fuse_convtranspose_bn",
    "fuse_linear_bn",
    "get_fuser_method",
    "get_fuser_method_new",
]

Fuser = Callable[..., nn.Module]


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


def fuse_convtranspose_bn(is_qat: bool, convt: nn.Module, bn: nn.Module) -> nn.Module:
    """Folds a batch norm into the transposed convolution before it.

    Args:
        is_qat: must be False: there is no container for training.
        convt: a 1d, 2d or 3d transposed convolution.
        bn: the batch norm of its dimension.

    Returns:
        A transposed convolution.

    Raises:
        NotImplementedError: if ``is_qat``.
        ValueError: if one of them is in training mode, where batch norm uses other statistics.
    """
    if is_qat:
        raise NotImplementedError(f"cannot train {type(convt).__name__} with batch norm folded into it")
    _require_eval(convt, bn)
    # torch folds a transposed convolution of one group only: here one after the other.
    tensors = (convt.weight, convt.bias, bn.running_mean, bn.running_var, bn.weight, bn.bias)
    parts = [[None] * convt.groups if tensor is None else tensor.chunk(convt.groups) for tensor in tensors]
    folded = [
        fuse_conv_bn_weights(weight, bias, mean, variance, bn.eps, scale, shift, transpose=True)
        for weight, bias, mean, variance, scale, shift in zip(*parts, strict=True)
    ]
    fused = copy.deepcopy(convt)
    fused.weight, fused.bias = (nn.Parameter(torch.cat(part).detach()) for part in zip(*folded, strict=True))
    return fused


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


def _joiner(container: type[nn.Module]) -> Fuser:
    """Returns a fuser that puts the modules into a container, in training as for inference."""
    return lambda is_qat, *modules: container(*modules)


_CONV_BN = {nn.Conv1d: intrinsic.ConvBn1d, nn.Conv2d: intrinsic.ConvBn2d, nn.Conv3d: intrinsic.ConvBn3d}
_CONV_BN_RELU = {
    nn.Conv1d: intrinsic.ConvBnReLU1d,
    nn.Conv2d: intrinsic.ConvBnReLU2d,
    nn.Conv3d: intrinsic.ConvBnReLU3d,
}
_CONV_RELU = {nn.Conv1d: intrinsic.ConvReLU1d, nn.Conv2d: intrinsic.ConvReLU2d, nn.Conv3d: intrinsic.ConvReLU3d}

DEFAULT_OP_LIST_TO_FUSER_METHOD: dict[tuple[type, ...], Fuser] = {
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
    (nn.ConvTranspose1d, nn.BatchNorm1d): fuse_convtranspose_bn,
    (nn.ConvTranspose2d, nn.BatchNorm2d): fuse_convtranspose_bn,
    (nn.ConvTranspose3d, nn.BatchNorm3d): fuse_convtranspose_bn,
}


def get_fuser_method(
    op_list: tuple[type, ...], additional_fuser_method_mapping: dict[tuple[type, ...], Fuser] | None = None
) -> Fuser:
    """Returns the function that joins modules of given types.

    Args:
        op_list: the types, in the order in which the modules run.
        additional_fuser_method_mapping: types to functions; goes before the known.

    Returns:
        A function of ``is_qat`` and the modules.

    Raises:
        NotImplementedError: if the types are no known pattern.

    Example:
        >>> get_fuser_method((nn.Conv2d, nn.BatchNorm2d)).__name__
        'fuse_conv_bn'
    """
    fusers = get_combined_dict(DEFAULT_OP_LIST_TO_FUSER_METHOD, additional_fuser_method_mapping or {})
    if op_list not in fusers:
        known = "; ".join(" + ".join(t.__name__ for t in pattern) for pattern in fusers)
        raise NotImplementedError(f"cannot fuse {' + '.join(t.__name__ for t in op_list)}; known are {known}")
    return fusers[op_list]


def get_fuser_method_new(op_pattern: Pattern, fuser_method_mapping: dict[Pattern, Fuser]) -> Fuser:
    """Returns the function that joins what a pattern of operators matched.

    Args:
        op_pattern: the pattern.
        fuser_method_mapping: patterns to functions; ``MatchAllNode`` in one of them stands for any part.

    Raises:
        NotImplementedError: if no pattern of the mapping is this one.

    Example:
        >>> from torchq.quantization.utils import MatchAllNode
        >>> get_fuser_method_new((torch.relu, torch.add), {(torch.relu, MatchAllNode): fuse_conv_bn}).__name__
        'fuse_conv_bn'
    """
    for pattern in _generalized(op_pattern):
        if pattern in fuser_method_mapping:
            return fuser_method_mapping[pattern]
    raise NotImplementedError(f"cannot fuse {op_pattern}; known are {list(fuser_method_mapping)}")


def _generalized(pattern: Pattern) -> list[Pattern]:
    """Returns the patterns that a pattern is a case of, itself first."""
    if isinstance(pattern, (tuple, list)):
        return list(itertools.product(*map(_generalized, pattern)))
    return [pattern, MatchAllNode]
