"""Weights of a float model beside those of its quantized form."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch

from torchq.qtensor import QTensor
from torchq.qtensor_packed import PackedQTensor


def compare_weights(
    float_dict: Mapping[str, Any], quantized_dict: Mapping[str, Any]
) -> dict[str, dict[str, torch.Tensor]]:
    """Returns the weights of a float model beside those of its quantized form.

    Every entry called ``weight``, and every other one that is saved with a scale and a zero point, is compared with the
    float entry of the same name, or, where fused layers lie side by side in a container, with that of the first.

    Args:
        float_dict: ``state_dict()`` of the float model, fused or not.
        quantized_dict: ``state_dict()`` of the quantized model, or of one for quantization-aware training, which still
            has float weights.

    Returns:
        Keys of ``quantized_dict`` to ``{"float": ..., "quantized": ...}``; what is quantized is a ``QTensor``.

    Raises:
        ValueError: if the two have no weight in common, or one cannot be put together.

    Example:
        >>> net = torch.nn.Sequential(torch.nn.Linear(4, 2))
        >>> weights = compare_weights(net.state_dict(), quantize_dynamic(net).state_dict())
        >>> [(key, type(pair["quantized"]).__name__) for key, pair in weights.items()]
        [('0.weight', 'QTensor')]
    """
    weights: dict[str, dict[str, torch.Tensor]] = {}
    for key, value in quantized_dict.items():
        qparams = [quantized_dict.get(f"{key}_{name}") for name in ("scale", "zero_point")]
        is_quantized = all(isinstance(entry, torch.Tensor) for entry in qparams)
        if key.rpartition(".")[2] != "weight" and not is_quantized:
            continue
        match = key if key in float_dict else next(one_deeper(float_dict, key), None)
        if match is not None:
            pair = {"float": float_dict[match], "quantized": value}
            if not pair["float"].is_floating_point():
                raise ValueError(
                    f"{match!r} of float_dict has {pair['float'].dtype}: the float model's state comes first"
                )
            if is_quantized:
                pair["quantized"] = _quantized_weight(key, value, *qparams, pair["float"])
            weights[key] = pair
    if not weights:
        raise ValueError(f"the state dicts have no weight in common: {few(float_dict)} and {few(quantized_dict)}")
    return weights


def one_deeper(names: Iterable[str], name: str) -> Iterator[str]:
    """Yields the names that are ``name`` with one step more before its last: ``conv.0.weight`` for ``conv.weight``."""
    *path, last = name.split(".")
    for other in names:
        parts = other.split(".")
        if len(parts) == len(path) + 2 and parts[: len(path)] == path and parts[-1] == last:
            yield other


def few(names: Iterable[str]) -> str:
    """Returns the first few of some names, for messages."""
    names = list(names)
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "") or "nothing"


def _quantized_weight(
    key: str, values: torch.Tensor, scale: torch.Tensor, zero_point: torch.Tensor, original: torch.Tensor
) -> QTensor:
    """Puts a weight together from its entries; ``original`` is the float weight."""
    if scale.dim() == 0:
        return QTensor(values, scale.item(), int(zero_point))
    if zero_point.is_floating_point() and 2 * values.numel() == original.numel():
        return PackedQTensor(values.reshape(-1), original.shape, scale.float(), zero_point.float(), 0)
    axes = [axis for axis, size in enumerate(values.shape[:2]) if size == scale.numel()]
    if not axes or values.shape != original.shape:
        raise ValueError(
            f"{key!r} has the shape {tuple(values.shape)} with {scale.numel()} scales, and in float the shape "
            f"{tuple(original.shape)}"
        )
    if zero_point.is_floating_point():
        return QTensor(values, scale.float(), zero_point.float(), 0)
    # The channels of a transposed convolution lie along axis 1. Where both axes fit, the state does not say which it
    # is, but by the wrong one the weight is another.
    weights = [QTensor(values, scale.double(), zero_point.long(), axis) for axis in axes]
    return min(weights, key=lambda weight: torch.dist(weight.dequantize(), original.float()).item())
