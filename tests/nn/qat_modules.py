"""Every module for quantization-aware training: its float module, and an input for it."""

import torch
from torch import nn

from torchq.nn import intrinsic, qat
from torchq.nn.intrinsic import qat as intrinsic_qat

CONVS = {1: (nn.Conv1d, nn.BatchNorm1d), 2: (nn.Conv2d, nn.BatchNorm2d), 3: (nn.Conv3d, nn.BatchNorm3d)}
# Each is made of a convolution, and what its name says.
FUSED = {
    1: (intrinsic_qat.ConvReLU1d, intrinsic_qat.ConvBn1d, intrinsic_qat.ConvBnReLU1d),
    2: (intrinsic_qat.ConvReLU2d, intrinsic_qat.ConvBn2d, intrinsic_qat.ConvBnReLU2d),
    3: (intrinsic_qat.ConvReLU3d, intrinsic_qat.ConvBn3d, intrinsic_qat.ConvBnReLU3d),
}
SIZES = {1: (9,), 2: (7, 6), 3: (5, 4, 5)}


def conv(dim):
    return CONVS[dim][0](4, 6, 3, stride=2, padding=1, groups=2)


def batch_norm(dim, channels=6):
    """A batch norm with statistics that are not the initial ones."""
    generator = torch.Generator().manual_seed(1)
    bn = CONVS[dim][1](channels)
    for tensor, low in ((bn.weight, 0.5), (bn.bias, -0.5), (bn.running_mean, -0.5), (bn.running_var, 0.5)):
        tensor.data.copy_(low + torch.rand(channels, generator=generator))
    return bn


def modules():
    """Yields the class for training, a function that makes its float module, and an input."""
    generator = torch.Generator().manual_seed(2)
    for dim, size in SIZES.items():
        x = torch.randn(8, 4, *size, generator=generator)
        yield getattr(qat, f"Conv{dim}d"), lambda dim=dim: conv(dim), x
        for kind, parts in zip(
            FUSED[dim],
            (
                lambda dim: (conv(dim), nn.ReLU()),
                lambda dim: (conv(dim), batch_norm(dim)),
                lambda dim: (conv(dim), batch_norm(dim), nn.ReLU()),
            ),
            strict=True,
        ):
            container = getattr(intrinsic, kind.__name__)
            make = lambda dim=dim, parts=parts, container=container: container(*parts(dim))  # noqa: E731
            yield kind, make, x
    x = torch.randn(8, 5, generator=generator)
    yield qat.Linear, lambda: nn.Linear(5, 6), x
    yield qat.dynamic.Linear, lambda: nn.Linear(5, 6), x
    yield intrinsic_qat.LinearReLU, lambda: intrinsic.LinearReLU(nn.Linear(5, 6), nn.ReLU()), x
    yield intrinsic_qat.LinearBn1d, lambda: intrinsic.LinearBn1d(nn.Linear(5, 6), batch_norm(1)), x
    indices = torch.randint(0, 7, (8, 3), generator=generator)
    yield qat.Embedding, lambda: nn.Embedding(7, 5, padding_idx=1), indices
    yield qat.EmbeddingBag, lambda: nn.EmbeddingBag(7, 5, mode="sum", padding_idx=1), indices


def name(module_class):
    """``qat.Linear``, ``intrinsic.qat.ConvBn2d``, ...: where torch.ao.nn has the class, too."""
    module = module_class.__module__.removeprefix("torchq.nn.").rpartition(".")[0]
    return f"{module}.{module_class.__name__}"


MODULES = {name(made): (made, make, x) for made, make, x in modules()}
WITH_BATCH_NORM = [key for key in MODULES if "Bn" in key]
WITHOUT_BATCH_NORM = [key for key in MODULES if "Bn" not in key]
EMBEDDINGS = [key for key in MODULES if "Embedding" in key]


def float_module(key, qconfig):
    """The float module with a qconfig, the same each time."""
    torch.manual_seed(0)
    module = MODULES[key][1]()
    module.qconfig = qconfig
    for part in module.children():
        part.qconfig = qconfig
    return module


def qconfig_for(key, library):
    """The qconfig that a module wants, from ``torchq.quantization`` or ``torch.ao.quantization``."""
    if key in EMBEDDINGS:
        return library.qconfig.default_embedding_qat_qconfig
    if "dynamic" in key:
        return library.qconfig.default_dynamic_qat_qconfig
    return library.get_default_qat_qconfig("fbgemm", 0)
