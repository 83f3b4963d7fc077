"""The observers of modules in parts.

Observers, and what puts them in, are the other half of the layer, which knows these modules: so it is imported when it
is called.
"""

from typing import Any

from torch import nn


def observed(module: nn.Module, qconfig: Any, training: bool) -> nn.Module:
    """Gives a module in parts its observers, in place.

    Args:
        module: in parts.
        qconfig: of the parts that have none themselves.
        training: whether for quantization-aware training.

    Raises:
        ValueError: if ``qconfig`` is None.
    """
    from torchq.quantization import prepare, prepare_qat

    if qconfig is None:
        raise ValueError(f"{module._get_name()} is made of a module with a qconfig, got none")
    module.qconfig = qconfig
    module.train(training)
    return (prepare_qat if training else prepare)(module, inplace=True)
