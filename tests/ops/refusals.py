"""How tests of errors are written: a call that works, what is changed about it, and what the error must say."""

import re
from typing import Any

import pytest
import torch


def check_refusal(
    function: Any, good: dict[str, Any], changed: dict[str, Any], message: str, error=RuntimeError
) -> None:
    """The call works, and with the changes raises an error that holds the message."""
    assert changed.keys() <= good.keys()
    function(**good)
    with pytest.raises(error, match=re.escape(message)):
        function(**(good | changed))


# Scales that no quantization can have, by name, and how an error quotes them.
BAD_SCALES = {
    "zero": (0.0, "got 0"),
    "negative": (-0.5, "got -0.5"),
    "nan": (float("nan"), "got nan"),
    "infinite": (float("inf"), "got inf"),
    "beyond-float32": (1e39, "got 1e+39"),
    "without-reciprocal": (1e-40, "got 1e-40"),
    "zero-as-float32": (1e-60, "got 1e-60"),
}


def on_meta(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor's shape on a device that no kernel runs on, to be found beside tensors of the CPU."""
    return tensor.to("meta")
