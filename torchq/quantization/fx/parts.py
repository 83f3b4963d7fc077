"""Results of modules that observe themselves, such as attention: tuples of tensors."""

from typing import Any

from torchq.qtensor import dequantize


def dequantize_parts(parts: Any) -> Any:
    """Returns the float values of a result: of each tensor in its tuples.

    Args:
        parts: a tensor, a tuple of such results, or None, which stays None: what attention has for weights that are not
            asked for.
    """
    if isinstance(parts, list | tuple):
        return tuple(map(dequantize_parts, parts))
    return None if parts is None else dequantize(parts)
