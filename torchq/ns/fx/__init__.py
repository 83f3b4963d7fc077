"""How far two tensors are apart, under torch.ao.ns.fx's names."""

from torchq.ns.fx import utils

__all__ = ["utils"]
