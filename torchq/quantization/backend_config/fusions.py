"""What onednn fuses beyond the others: a convolution with a sum, and a linear layer with its activation."""

import itertools
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_linear_bn_eval

from torchq.nn import intrinsic
from torchq.nn.quantized import reference
from torchq.quantization.backend_config.backend_config import BackendPatternConfig
from torchq.quantization.backend_config.operators import Dtypes, container, fused, row, rows, weighted
from torchq.quantization.fuser_method_mappings import fuse_conv_bn
from torchq.quantization.utils import MatchAllNode

_Parts = tuple[Any, Any, Any]


def fusions(conv_dtypes: Dtypes, linear_dtypes: Dtypes) -> list[BackendPatternConfig]:
    """Returns the configs of both."""
    sums = [
        _sum(*form, conv_dtypes)
        for form in itertools.product((False, True), (0, 1), (torch.add, operator.add), (False, True))
    ]
    joined = (intrinsic.ConvAdd2d, intrinsic.ConvAddReLU2d)
    return [
        *sums,
        *(weighted(module, conv_dtypes, nn.Conv2d, reference.Conv2d) for module in joined),
        *_activation(intrinsic.LinearLeakyReLU, nn.LeakyReLU, F.leaky_relu, linear_dtypes),
        fused((nn.Linear, nn.BatchNorm1d, nn.LeakyReLU), linear_dtypes, _fuse_linear_bn_leaky_relu, _LEAKY),
        *_activation(intrinsic.LinearTanh, nn.Tanh, torch.tanh, linear_dtypes),
    ]


_LEAKY = intrinsic.LinearLeakyReLU


def _sum(relu: bool, side: int, add: Callable[..., Any], norm: bool, dtypes: Dtypes) -> BackendPatternConfig:
    """Returns the config of a convolution that is the left (``side`` 0) or right summand.

    Args:
        relu: whether there is a relu behind the sum.
        side: which of the summands the convolution is.
        add: the function.
        norm: whether there is a batch norm between.
        dtypes: the dtypes.
    """
    summands = [MatchAllNode, MatchAllNode]
    summands[side] = (nn.BatchNorm2d, nn.Conv2d) if norm else nn.Conv2d
    pattern = (add, *summands)

    def parts(matched: Any) -> _Parts:
        """Returns the function, what is added to it, and the other summand; of nodes, or of modules."""
        add, *summands = matched[1] if relu else matched
        return add, summands[side], summands[1 - side]

    def fuse(is_qat: bool, *matched: Any) -> nn.Module:
        add, conv, _ = parts(matched)
        bn, conv = conv if norm else (None, conv)
        if norm and is_qat:
            raise NotImplementedError("Conv2d, BatchNorm2d and a sum cannot be trained as one")
        if conv.groups > 1 and conv.groups == conv.in_channels == conv.out_channels:
            raise NotImplementedError("there is no depthwise convolution with a sum")
        conv = fuse_conv_bn(False, conv, bn) if norm else conv
        return intrinsic.ConvAddReLU2d(conv, add, matched[0]) if relu else intrinsic.ConvAdd2d(conv, add)

    def root(matched: Any) -> Any:
        conv = parts(matched)[1]
        return conv[1] if norm else conv

    return (
        row(None, dtypes)
        ._set_pattern_complex_format((nn.ReLU, pattern) if relu else pattern)
        .set_fuser_method(fuse)
        ._set_root_node_getter(root)
        ._set_extra_inputs_getter(lambda matched: [parts(matched)[2]])
        .set_fused_module(intrinsic.ConvAddReLU2d if relu else intrinsic.ConvAdd2d)
    )


def _activation(
    joined: type[nn.Module], module: type[nn.Module], function: Callable[..., Any], dtypes: Dtypes
) -> list[BackendPatternConfig]:
    return [
        *(fused((nn.Linear, part), dtypes, container(joined), joined) for part in (module, function)),
        weighted(joined, dtypes, nn.Linear, reference.Linear),
        *rows([(F.linear, module), (F.linear, function)], dtypes),
    ]


def _fuse_linear_bn_leaky_relu(
    is_qat: bool, linear: nn.Linear, bn: nn.BatchNorm1d, leaky_relu: nn.LeakyReLU
) -> nn.Module:
    if is_qat:
        raise NotImplementedError("Linear, BatchNorm1d and LeakyReLU cannot be trained as one")
    return _LEAKY(fuse_linear_bn_eval(linear, bn), leaky_relu)
