"""The dtypes that a pattern of operators can be quantized with."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torchq.dtypes import from_torch

__all__ = ["DTypeConfig", "DTypeWithConstraints"]


def check_keys(given: dict[str, Any], allowed: Iterable[str], what: str) -> None:
    """Raises a ValueError if a dictionary has other keys than those allowed.

    Args:
        given: the dictionary.
        allowed: its keys.
        what: of which it is a dictionary.
    """
    unknown = given.keys() - set(allowed)
    if unknown:
        raise ValueError(f"{what} has the keys {', '.join(allowed)}, got {', '.join(sorted(map(repr, unknown)))}")


@dataclass
class DTypeWithConstraints:
    """A dtype, and what a qconfig's observer must be like to be used for it.

    Args:
        dtype: the dtype; a quantized dtype of torch is kept as torchq's.
        quant_min_lower_bound: the observer's ``quant_min`` must not be smaller.
        quant_max_upper_bound: its ``quant_max`` must not be larger.
        scale_min_lower_bound: its ``eps``, the smallest scale that it chooses, must not be smaller.
        scale_max_upper_bound: kept, but not checked: an observer names no largest scale.
        scale_exact_match: with ``zero_point_exact_match``: the observer must have these fixed qparams.
        zero_point_exact_match: see ``scale_exact_match``.
    """

    dtype: Any = None
    quant_min_lower_bound: int | float | None = None
    quant_max_upper_bound: int | float | None = None
    scale_min_lower_bound: int | float | None = None
    scale_max_upper_bound: int | float | None = None
    scale_exact_match: float | None = None
    zero_point_exact_match: int | None = None

    def __post_init__(self) -> None:
        self.dtype = from_torch(self.dtype)


@dataclass(init=False)
class DTypeConfig:
    """One combination of dtypes that a pattern can be quantized with; None means any.

    They are what a qconfig's observers say, not what tensors have in the quantized model: a dynamically quantized
    layer takes float tensors, and has ``quint8`` inputs here.

    Args:
        input_dtype: of the input activations; a dtype, or one with constraints, as the next two.
        output_dtype: of the output activation.
        weight_dtype: of the weight.
        bias_dtype: of the bias.
        is_dynamic: whether qparams of the input are chosen at run time.

    Example:
        >>> DTypeConfig(input_dtype=torchq.quint8, weight_dtype=torchq.qint8).input_dtype
        torchq.quint8
    """

    input_dtype_with_constraints: DTypeWithConstraints
    output_dtype_with_constraints: DTypeWithConstraints
    weight_dtype_with_constraints: DTypeWithConstraints
    bias_dtype: Any
    is_dynamic: bool | None

    def __init__(
        self,
        input_dtype: Any = None,
        output_dtype: Any = None,
        weight_dtype: Any = None,
        bias_dtype: Any = None,
        is_dynamic: bool | None = None,
    ) -> None:
        self.input_dtype_with_constraints = _constrained(input_dtype)
        self.output_dtype_with_constraints = _constrained(output_dtype)
        self.weight_dtype_with_constraints = _constrained(weight_dtype)
        self.bias_dtype = from_torch(bias_dtype)
        self.is_dynamic = is_dynamic

    @property
    def input_dtype(self) -> Any:
        """The dtype of the input activations."""
        return self.input_dtype_with_constraints.dtype

    @property
    def output_dtype(self) -> Any:
        """The dtype of the output activation."""
        return self.output_dtype_with_constraints.dtype

    @property
    def weight_dtype(self) -> Any:
        """The dtype of the weight."""
        return self.weight_dtype_with_constraints.dtype

    @classmethod
    def from_dict(cls, dtype_config_dict: dict[str, Any]) -> "DTypeConfig":
        """Returns the config whose arguments are the entries of a dictionary, all of them optional.

        Raises:
            ValueError: if it has another key.
        """
        check_keys(dtype_config_dict, _DTYPE_KEYS, "a DTypeConfig")
        return cls(**dtype_config_dict)

    def to_dict(self) -> dict[str, Any]:
        """Returns the arguments that are set; dtypes with their constraints."""
        values = {
            "input_dtype": self.input_dtype_with_constraints if self.input_dtype is not None else None,
            "output_dtype": self.output_dtype_with_constraints if self.output_dtype is not None else None,
            "weight_dtype": self.weight_dtype_with_constraints if self.weight_dtype is not None else None,
            "bias_dtype": self.bias_dtype,
            "is_dynamic": self.is_dynamic,
        }
        return {key: value for key, value in values.items() if value is not None}


def _constrained(dtype: Any) -> DTypeWithConstraints:
    return dtype if isinstance(dtype, DTypeWithConstraints) else DTypeWithConstraints(dtype)


_DTYPE_KEYS = ("input_dtype", "output_dtype", "weight_dtype", "bias_dtype", "is_dynamic")
