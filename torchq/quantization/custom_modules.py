"""The user's own modules in prepare and convert: the dictionaries that say what becomes of them."""

import copy
from typing import Any

from torch import nn

from torchq.nn import quantizable, quantized

FLOAT_TO_OBSERVED = "float_to_observed_custom_module_class"
OBSERVED_TO_QUANTIZED = "observed_to_quantized_custom_module_class"
NAMES_LEFT = "non_traceable_module_name"
CLASSES_LEFT = "non_traceable_module_class"
_KEYS = (FLOAT_TO_OBSERVED, OBSERVED_TO_QUANTIZED, NAMES_LEFT, CLASSES_LEFT)

CustomMapping = dict[type[nn.Module], type[nn.Module]]

_DEFAULT: dict[str, Any] = {
    FLOAT_TO_OBSERVED: {
        nn.LSTM: quantizable.LSTM,
        nn.MultiheadAttention: quantizable.MultiheadAttention,
    },
    OBSERVED_TO_QUANTIZED: {
        quantizable.LSTM: quantized.LSTM,
        quantizable.MultiheadAttention: quantized.MultiheadAttention,
    },
}


def get_default_custom_config_dict() -> dict[str, Any]:
    """Returns a copy of the dictionary that ``prepare`` and ``convert`` use if they are given none.

    By it, an ``nn.LSTM`` and an ``nn.MultiheadAttention`` are observed and quantized in parts.
    """
    return copy.deepcopy(_DEFAULT)


def reads_its_weights(module: nn.Module) -> bool:
    """Whether a module reads the weights of the layers in it itself, so that those have to stay as they are."""
    return isinstance(module, nn.MultiheadAttention) and not isinstance(module, quantizable.MultiheadAttention)


def checked_config(name: str, config: dict[str, Any] | None) -> dict[str, Any]:
    """Returns a dictionary of the user's, or the default one.

    Args:
        name: of the argument, for the message.
        config: any of ``"float_to_observed_custom_module_class"`` and ``"observed_to_quantized_custom_module_class"``,
            with types to types, and ``"non_traceable_module_name"`` and ``"non_traceable_module_class"``, with lists.

    Raises:
        ValueError: if it has another key.
    """
    if config is None:
        return _DEFAULT
    unknown = [key for key in config if key not in _KEYS]
    if unknown:
        raise ValueError(f"{name} has the unknown keys {', '.join(map(repr, unknown))}; known are {', '.join(_KEYS)}")
    return config
