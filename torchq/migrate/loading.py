"""Files that ``torch.save`` wrote."""

from os import PathLike
from typing import IO, Any

import torch
from torch import nn

from torchq.migrate import reading
from torchq.migrate.models import convert_model
from torchq.migrate.states import convert_state_dict


def load(file: str | PathLike | IO[bytes], model: nn.Module | None = None, map_location: Any = "cpu") -> nn.Module:
    """Reads a model that torch.ao quantized, or the state of one, and returns it as a model of torchq.

    Neither torch.ao nor torch's quantized tensors are needed. A pickled model names its classes, and runs what it
    names: load only files that you trust.

    Args:
        file: what ``torch.save`` wrote, of a model or of its ``state_dict()``.
        model: needed for a state: a model of torchq, prepared and converted as the saved one was, with any data. Its
            weights and qparams are replaced by the file's.
        map_location: see ``torch.load``.

    Raises:
        TypeError: if the file holds something else, or a state without a ``model``, or a model where one was given.
        ValueError: if torchq has no module or function for what was saved.
        RuntimeError: if the state is not one of such a model.
    """
    found = torch.load(file, map_location=map_location, pickle_module=reading, weights_only=False)
    if isinstance(found, torch.jit.ScriptModule):
        raise TypeError("the file holds a TorchScript program, which has no modules to migrate")
    if isinstance(found, nn.Module):
        if model is not None:
            raise TypeError(f"the file holds a whole model, a {type(found).__name__}: load it without giving one")
        return convert_model(found)
    if not isinstance(found, dict):
        raise TypeError(f"the file holds a {type(found).__name__}, which is no model and no state of one")
    if model is None:
        raise TypeError("the file holds a state, which needs a model of torchq to take it")
    model.load_state_dict(convert_state_dict(found, model))
    return model
