"""Running the data that observers watch."""

from collections.abc import Iterable
from typing import Any

from torch import nn

from torchq.quantization.fake_quantize_base import FakeQuantizeBase
from torchq.quantization.observer_base import ObserverBase

__all__ = ["ObserverOrFakeQuantize", "default_eval_fn"]

# What a module may have under the name activation_post_process.
ObserverOrFakeQuantize = ObserverBase | FakeQuantizeBase


def default_eval_fn(model: nn.Module, calib_data: Iterable[tuple[Any, Any]]) -> None:
    """Runs a model on pairs of an input and a target, which is not looked at: a ``run_fn`` for ``quantize``.

    Args:
        model: called with each input.
        calib_data: the pairs.

    Raises:
        TypeError: if one is no pair.

    Example:
        >>> observer = MinMaxObserver()
        >>> default_eval_fn(observer, [(torch.tensor([-1.0]), 0), (torch.tensor([2.0]), 1)])
        >>> observer.min_val.item(), observer.max_val.item()
        (-1.0, 2.0)
    """
    for pair in calib_data:
        # A tensor of two rows would come apart as well.
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            given = f"{len(pair)} of them" if isinstance(pair, (tuple, list)) else f"a {type(pair).__name__}"
            raise TypeError(f"default_eval_fn takes pairs of an input and a target, got {given}")
        model(pair[0])
