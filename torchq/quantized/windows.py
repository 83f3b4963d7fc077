"""What the functions of convolutions share."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from torchq.nn.quantized.conv import StaticConv
from torchq.nn.quantized.inputs import checked_integers
from torchq.qtensor import QTensor
from torchq.quantized.packed import ConvPackedParams


def packed(
    name: str,
    kind: type[StaticConv],
    weight: QTensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    **output_padding: Sequence[int],
) -> ConvPackedParams:
    """Returns a packed weight.

    Args:
        name: of the function, for messages.
        kind: the module that computes the convolution.
        weight: ``qint8`` of 2 dimensions more than an image has.
        bias: float ``[O]``, or None.
        stride: one number per spatial dimension, as the next two.
        padding: on both sides.
        dilation: between the pixels of a window.
        groups: divides the channels.
        output_padding: of a transposed convolution.
    """
    if not isinstance(weight, QTensor):
        raise TypeError(f"{name} takes a QTensor as weight, got {type(weight).__name__}")
    if weight.dim() != kind.dims + 2:
        raise ValueError(f"{name} takes a weight of {kind.dims + 2} dimensions, got {tuple(weight.shape)}")
    first, second, *kernel = weight.shape
    channels = (first, second * groups) if kind._transposed else (second * groups, first)
    sizes = {"kernel_size": tuple(kernel), "stride": stride, "padding": padding, "dilation": dilation}
    layer = kind(*channels, **sizes, **output_padding, groups=groups, bias=bias is not None)
    layer.set_weight_bias(weight, bias)
    return ConvPackedParams(layer)


def checked(name: str, packed: Any, dims: int, transposed: bool) -> ConvPackedParams:
    """Returns a packed weight that was packed for so many dimensions, or raises a TypeError."""
    if isinstance(packed, ConvPackedParams) and (packed.dims, packed.transpose()) == (dims, transposed):
        return packed
    family = f"conv{'_transpose' if transposed else ''}{dims}d"
    raise TypeError(f"{name} takes what {family}_prepack returns, got {packed!r}")


def layer_for(
    name: str,
    qx: Any,
    packed: Any,
    dims: int,
    transposed: bool,
    scale: float,
    zero_point: int,
    relu: bool = False,
) -> StaticConv:
    """Returns the layer for an input and a packed weight.

    Args:
        name: of the function, for messages.
        qx: the input.
        packed: what should be a packed weight.
        dims: spatial dimensions.
        transposed: whether the convolution is transposed.
        scale: of the result.
        zero_point: of the result.
        relu: whether the result is at least its zero point.
    """
    integers = checked_integers(name, qx)
    return checked(name, packed, dims, transposed).layer(scale, zero_point, integers.dtype, relu)
