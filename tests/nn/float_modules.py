"""Float modules and containers that become one quantized module, each with the size of an input."""

import torch
from torch import nn

CONVS = {1: (nn.Conv1d, nn.ConvTranspose1d, (2, 4, 9)), 2: (nn.Conv2d, nn.ConvTranspose2d, (2, 4, 9, 7))}
CONVS[3] = (nn.Conv3d, nn.ConvTranspose3d, (2, 4, 6, 5, 7))
NORMS = {1: (None, nn.InstanceNorm1d), 2: (nn.BatchNorm2d, nn.InstanceNorm2d), 3: (nn.BatchNorm3d, nn.InstanceNorm3d)}
PLAIN = {
    "Linear": (lambda: nn.Linear(4, 7), (5, 3, 4)),
    "LayerNorm": (lambda: nn.LayerNorm((5, 4)), (9, 5, 4)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (2, 4, 9, 7)),
    "GroupNorm-plain": (lambda: nn.GroupNorm(2, 4, affine=False), (2, 4, 9)),
    "ELU": (lambda: nn.ELU(0.7), (300,)),
    "Hardswish": (nn.Hardswish, (300,)),
    "LeakyReLU": (lambda: nn.LeakyReLU(0.1), (300,)),
    "ReLU6": (nn.ReLU6, (300,)),
    "Dropout": (nn.Dropout, (300,)),
}


def cases():
    """Yields names, functions that make the float module from torch's or torchq's intrinsic package, and sizes."""
    for name, (make, size) in PLAIN.items():
        yield name, lambda intrinsic, make=make: make(), size
    for dims, (conv, transposed, size) in CONVS.items():
        window = {"kernel_size": 3, "stride": 2, "padding": 1, "groups": 2}
        yield f"Conv{dims}d", lambda intrinsic, conv=conv, w=window: conv(4, 6, **w), size
        yield f"ConvTranspose{dims}d", lambda intrinsic, conv=transposed, w=window: conv(4, 6, **w), size
        name = f"ConvReLU{dims}d"
        yield name, lambda intrinsic, c=conv, n=name: getattr(intrinsic, n)(c(4, 6, 3, dilation=2), nn.ReLU()), size
        if dims < 3:
            reflect = {"padding": 2, "padding_mode": "reflect"}
            yield f"Conv{dims}d-reflect", lambda intrinsic, conv=conv, r=reflect: conv(4, 6, 3, **r), size
        batch_norm, instance_norm = NORMS[dims]
        yield f"InstanceNorm{dims}d", lambda intrinsic, norm=instance_norm: norm(4, affine=True), size
        if batch_norm is not None:
            yield f"BatchNorm{dims}d", lambda intrinsic, norm=batch_norm: norm(4), size
            name = f"BNReLU{dims}d"
            yield name, lambda intrinsic, norm=batch_norm, n=name: getattr(intrinsic, n)(norm(4), nn.ReLU()), size
    yield "LinearReLU", lambda intrinsic: intrinsic.LinearReLU(nn.Linear(4, 7), nn.ReLU()), (5, 3, 4)


CASES = {name: (make, size) for name, make, size in cases()}


def randomized(module):
    """The module with parameters and statistics that are not the initial ones."""
    generator = torch.Generator().manual_seed(1)
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._NormBase | nn.LayerNorm | nn.GroupNorm):
            for name in ("weight", "bias", "running_mean", "running_var"):
                tensor = getattr(part, name, None)
                if tensor is not None:
                    tensor.data.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    return module


def values(size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed)) * 2
