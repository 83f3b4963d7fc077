"""Torch's calls as those of torchq."""

from torchq import ops


def as_torchq(op, arguments):
    """The operator of torchq that torch's is part of, and its arguments."""
    if not op.startswith("conv2d"):
        return op.replace("pool2d", "pool"), arguments
    window = {name: arguments[name] for name in ("stride", "padding", "dilation")}
    numbers = ops.window(arguments["weight"].shape[2:], **window)
    merged = {}
    for name, value in arguments.items():
        if name == "stride":
            merged |= {"window": numbers, "transposed": False}
        elif name not in ("padding", "dilation"):
            merged[name] = value
    return op.replace("conv2d", "convolution"), merged
