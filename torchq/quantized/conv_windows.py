"""What a packed convolution's weight was packed with.

The functions take what the ``*_prepack`` function of their own name returned; anything else is a TypeError.
"""

from torchq.quantized.packed import ConvPackedParams
from torchq.quantized.windows import checked


def conv2d_stride(packed_weights: ConvPackedParams) -> list[int]:
    """Returns the stride, one number per spatial dimension."""
    return checked("conv2d_stride", packed_weights, 2, False).stride()


def conv2d_padding(packed_weights: ConvPackedParams) -> list[int]:
    """Returns the padding on both sides of each spatial dimension."""
    return checked("conv2d_padding", packed_weights, 2, False).padding()


def conv2d_output_padding(packed_weights: ConvPackedParams) -> list[int]:
    """Returns the output padding of each spatial dimension; zeros if it is not transposed."""
    return checked("conv2d_output_padding", packed_weights, 2, False).output_padding()


def conv2d_dilation(packed_weights: ConvPackedParams) -> list[int]:
    """Returns the dilation of each spatial dimension."""
    return checked("conv2d_dilation", packed_weights, 2, False).dilation()


def conv2d_groups(packed_weights: ConvPackedParams) -> int:
    """Returns the number of groups."""
    return checked("conv2d_groups", packed_weights, 2, False).groups()


def conv2d_transpose(packed_weights: ConvPackedParams) -> int:
    """Returns 1 for a transposed convolution, 0 for others."""
    return int(checked("conv2d_transpose", packed_weights, 2, False).transpose())


def conv3d_stride(packed_weights: ConvPackedParams) -> list[int]:
    """Returns the stride, one number per spatial dimension."""
    return checked("conv3d_stride", packed_weights, 3, False).stride()


def conv3d_padding(packed_weights: ConvPackedParams) -> list[int]:
    """Returns the padding on both sides of each spatial dimension."""
    return checked("conv3d_padding", packed_weights, 3, False).padding()


def conv3d_output_padding(packed_weights: ConvPackedParams) -> list[int]:
    """Returns the output padding of each spatial dimension; zeros if it is not transposed."""
    return checked("conv3d_output_padding", packed_weights, 3, False).output_padding()


def conv3d_dilation(packed_weights: ConvPackedParams) -> list[int]:
    """Returns the dilation of each spatial dimension."""
    return checked("conv3d_dilation", packed_weights, 3, False).dilation()


def conv3d_groups(packed_weights: ConvPackedParams) -> int:
    """Returns the number of groups."""
    return checked("conv3d_groups", packed_weights, 3, False).groups()


def conv3d_transpose(packed_weights: ConvPackedParams) -> int:
    """Returns 1 for a transposed convolution, 0 for others."""
    return int(checked("conv3d_transpose", packed_weights, 3, False).transpose())


def conv_transpose2d_stride(packed_weights: ConvPackedParams) -> list[int]:
    """Returns the stride, one number per spatial dimension."""
    return checked("conv_transpose2d_stride", packed_weights, 2, True).stride()


def conv_transpose2d_padding(packed_weights: ConvPackedParams) -> list[int]:
    """Returns the padding on both sides of each spatial dimension."""
    return checked("conv_transpose2d_padding", packed_weights, 2, True).padding()


def conv_transpose2d_output_padding(packed_weights: ConvPackedParams) -> list[int]:
    """Returns the output padding of each spatial dimension; zeros if it is not transposed."""
    return checked("conv_transpose2d_output_padding", packed_weights, 2, True).output_padding()


def conv_transpose2d_dilation(packed_weights: ConvPackedParams) -> list[int]:
    """Returns the dilation of each spatial dimension."""
    return checked("conv_transpose2d_dilation", packed_weights, 2, True).dilation()


def conv_transpose2d_groups(packed_weights: ConvPackedParams) -> int:
    """Returns the number of groups."""
    return checked("conv_transpose2d_groups", packed_weights, 2, True).groups()


def conv_transpose2d_transpose(packed_weights: ConvPackedParams) -> int:
    """Returns 1 for a transposed convolution, 0 for others."""
    return int(checked("conv_transpose2d_transpose", packed_weights, 2, True).transpose())


def conv_transpose3d_stride(packed_weights: ConvPackedParams) -> list[int]:
    """Returns the stride, one number per spatial dimension."""
    return checked("conv_transpose3d_stride", packed_weights, 3, True).stride()


def conv_transpose3d_padding(packed_weights: ConvPackedParams) -> list[int]:
    """Returns the padding on both sides of each spatial dimension."""
    return checked("conv_transpose3d_padding", packed_weights, 3, True).padding()


def conv_transpose3d_output_padding(packed_weights: ConvPackedParams) -> list[int]:
    """Returns the output padding of each spatial dimension; zeros if it is not transposed."""
    return checked("conv_transpose3d_output_padding", packed_weights, 3, True).output_padding()


def conv_transpose3d_dilation(packed_weights: ConvPackedParams) -> list[int]:
    """Returns the dilation of each spatial dimension."""
    return checked("conv_transpose3d_dilation", packed_weights, 3, True).dilation()


def conv_transpose3d_groups(packed_weights: ConvPackedParams) -> int:
    """Returns the number of groups."""
    return checked("conv_transpose3d_groups", packed_weights, 3, True).groups()


def conv_transpose3d_transpose(packed_weights: ConvPackedParams) -> int:
    """Returns 1 for a transposed convolution, 0 for others."""
    return int(checked("conv_transpose3d_transpose", packed_weights, 3, True).transpose())


def conv2d_unpack_sizes(
    packed_weights: ConvPackedParams,
) -> tuple[list[int], list[int] | None, list[int], list[int], list[int], int]:
    """Returns the sizes of the weight and the bias, or None; then stride, padding, dilation and groups."""
    packed = checked("conv2d_unpack_sizes", packed_weights, 2, False)
    weight, bias = packed.unpack()
    sizes = (list(weight.shape), None if bias is None else list(bias.shape))
    return (*sizes, packed.stride(), packed.padding(), packed.dilation(), packed.groups())
