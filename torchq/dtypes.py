"""Quantized dtypes and quantization schemes as torchq's own objects.

They stand in for ``torch.quint8``, ``torch.per_tensor_affine`` and friends, which PyTorch is
removing. Where torch still has them, every torchq function accepts torch's objects too.
"""

import enum
from typing import Any

import torch


class QDtype(enum.Enum):
    """An integer dtype whose values mean ``(q - zero_point) * scale``.

    Attributes:
        storage_dtype: the plain integer ``torch.dtype`` that holds the values.
        qmin: smallest value that the dtype holds.
        qmax: largest value that the dtype holds.
    """

    quint8 = "quint8"
    qint8 = "qint8"
    qint32 = "qint32"
    quint4x2 = "quint4x2"

    def __init__(self, name: str) -> None:
        four_bits = name == "quint4x2"
        self.storage_dtype: torch.dtype = torch.uint8 if four_bits else getattr(torch, name[1:])
        info = torch.iinfo(self.storage_dtype)
        self.qmin: int = info.min
        self.qmax: int = 15 if four_bits else info.max

    def __repr__(self) -> str:
        return f"torchq.{self.value}"

    __str__ = __repr__


class QScheme(enum.Enum):
    """How scales and zero points are shared and chosen."""

    per_tensor_affine = "per_tensor_affine"
    per_tensor_symmetric = "per_tensor_symmetric"
    per_channel_affine = "per_channel_affine"
    per_channel_symmetric = "per_channel_symmetric"
    per_channel_affine_float_qparams = "per_channel_affine_float_qparams"

    def __repr__(self) -> str:
        return f"torchq.{self.value}"

    __str__ = __repr__


quint8 = QDtype.quint8
qint8 = QDtype.qint8
qint32 = QDtype.qint32
quint4x2 = QDtype.quint4x2

per_tensor_affine = QScheme.per_tensor_affine
per_tensor_symmetric = QScheme.per_tensor_symmetric
per_channel_affine = QScheme.per_channel_affine
per_channel_symmetric = QScheme.per_channel_symmetric
per_channel_affine_float_qparams = QScheme.per_channel_affine_float_qparams

# torch's own objects, by the name that they share with torchq's; a torch without them has none.
FROM_TORCH = {getattr(torch, m.value): m for e in (QDtype, QScheme) for m in e if hasattr(torch, m.value)}
_TORCH_TYPES = tuple({type(value) for value in FROM_TORCH})
_FROM_STORAGE = {m.storage_dtype: m for m in (quint8, qint8, qint32)}


def as_qdtype(dtype: object) -> QDtype:
    """Returns the torchq dtype for a torchq or torch quantized dtype.

    Args:
        dtype: a ``QDtype``, or ``torch.quint8``, ``torch.qint8``, ``torch.qint32`` or ``torch.quint4x2``.

    Raises:
        TypeError: for anything else.
    """
    found = from_torch(dtype)
    if not isinstance(found, QDtype):
        raise TypeError(f"expected one of {', '.join(map(str, QDtype))}, got {dtype!r}")
    return found


def from_torch(value: Any) -> Any:
    """Returns torchq's object for a quantized dtype or scheme of torch, and anything else as it is."""
    return FROM_TORCH.get(value, value) if isinstance(value, _TORCH_TYPES) else value


def as_qscheme(qscheme: object) -> QScheme:
    """Returns the torchq scheme for a torchq or torch quantization scheme.

    Args:
        qscheme: a ``QScheme``, or ``torch.per_tensor_affine`` and friends.

    Raises:
        TypeError: for anything else.
    """
    found = from_torch(qscheme)
    if not isinstance(found, QScheme):
        raise TypeError(f"expected one of {', '.join(map(str, QScheme))}, got {qscheme!r}")
    return found


def qdtype_of_storage(dtype: torch.dtype) -> QDtype:
    """Returns the quantized dtype whose values are stored as ``dtype``.

    Raises:
        TypeError: if ``dtype`` is not ``torch.uint8``, ``torch.int8`` or ``torch.int32``.
    """
    if dtype not in _FROM_STORAGE:
        raise TypeError(f"expected torch.uint8, torch.int8 or torch.int32, got {dtype!r}")
    return _FROM_STORAGE[dtype]
