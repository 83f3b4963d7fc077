"""What a backend can quantize, and how: patterns of operators with their dtypes."""

from collections.abc import Callable
from enum import Enum
from typing import Any

from torch import nn

from torchq.quantization.backend_config.dtype_config import DTypeConfig, DTypeWithConstraints, check_keys
from torchq.quantization.utils import Pattern

__all__ = ["BackendConfig", "BackendPatternConfig", "DTypeConfig", "DTypeWithConstraints", "ObservationType"]


class ObservationType(Enum):
    """Which observers a pattern's input and output get.

    Attributes:
        OUTPUT_USE_DIFFERENT_OBSERVER_AS_INPUT: one each, as for a convolution.
        OUTPUT_SHARE_OBSERVER_WITH_INPUT: one for both, so that the output has the input's scale and zero point, as
            for a max pool.
        INPUT_OUTPUT_NOT_OBSERVED: none: a result that is a tensor is quantized if, and as, the input is; as for
            ``x.size()`` or ``x[0]``.
        ONLY_OUTPUT_OBSERVED: one for the output, if the input is quantized as it comes; otherwise the pattern stays in
            float. torch.ao has no such type. For a softmax, whose input may have been masked with -inf in float.
    """

    OUTPUT_USE_DIFFERENT_OBSERVER_AS_INPUT = 0
    OUTPUT_SHARE_OBSERVER_WITH_INPUT = 1
    INPUT_OUTPUT_NOT_OBSERVED = 2
    ONLY_OUTPUT_OBSERVED = 3


class BackendPatternConfig:
    """How a backend quantizes, fuses and trains one pattern of operators.

    A pattern is a module type, a function, the name of a tensor's method, or a tuple of two or three of them that run
    one after another. Each ``set_`` and ``add_`` method returns the config.

    Args:
        pattern: the pattern.

    Attributes:
        pattern: the pattern.
        observation_type: which observers input and output get.
        dtype_configs: the combinations of dtypes that can be quantized.
        root_module: the float module of the pattern that holds the weight.
        qat_module: what stands for the pattern in quantization-aware training.
        reference_quantized_module: what stands for ``root_module`` in a reference model.
        fused_module: the type of what ``fuser_method`` makes.
        fuser_method: makes one module of a pattern's.

    Example:
        >>> config = BackendPatternConfig((nn.Linear, nn.ReLU)).set_fuser_method(torchq.nn.intrinsic.LinearReLU)
        >>> config.observation_type.name
        'OUTPUT_USE_DIFFERENT_OBSERVER_AS_INPUT'
    """

    def __init__(self, pattern: Pattern = None) -> None:
        self.pattern = pattern
        self.observation_type = ObservationType.OUTPUT_USE_DIFFERENT_OBSERVER_AS_INPUT
        self.dtype_configs: list[DTypeConfig] = []
        self.root_module: type[nn.Module] | None = None
        self.qat_module: type[nn.Module] | None = None
        self.reference_quantized_module: type[nn.Module] | None = None
        self.fused_module: type[nn.Module] | None = None
        self.fuser_method: Callable[..., nn.Module] | None = None
        # Not public in torch.ao either; its own configs, and so torchq's, need them.
        self._root_node_getter: Callable[..., Any] | None = None
        self._extra_inputs_getter: Callable[..., list[Any]] | None = None
        self._num_tensor_args_to_observation_type: dict[int, ObservationType] = {}
        self._input_type_to_index: dict[str, int] = {}
        self._pattern_complex_format: Pattern = None

    def set_pattern(self, pattern: Pattern) -> "BackendPatternConfig":
        """Sets the pattern.

        Raises:
            ValueError: if a pattern in the complex format is set.
        """
        if self._pattern_complex_format is not None:
            raise ValueError(f"a pattern is set already, in the complex format: {self._pattern_complex_format}")
        self.pattern = pattern
        return self

    def set_observation_type(self, observation_type: ObservationType) -> "BackendPatternConfig":
        """Sets which observers input and output get."""
        self.observation_type = ObservationType(observation_type)
        return self

    def add_dtype_config(self, dtype_config: DTypeConfig) -> "BackendPatternConfig":
        """Adds a combination of dtypes that can be quantized."""
        self.dtype_configs.append(dtype_config)
        return self

    def set_dtype_configs(self, dtype_configs: list[DTypeConfig]) -> "BackendPatternConfig":
        """Sets all combinations of dtypes that can be quantized."""
        self.dtype_configs = dtype_configs
        return self

    def set_root_module(self, root_module: type[nn.Module]) -> "BackendPatternConfig":
        """Sets the float module that holds the weight; a reference model has its reference module instead."""
        self.root_module = root_module
        return self

    def set_qat_module(self, qat_module: type[nn.Module]) -> "BackendPatternConfig":
        """Sets what ``prepare_qat_fx`` puts in the place of the pattern's module; has a ``from_float``."""
        self.qat_module = qat_module
        return self

    def set_reference_quantized_module(self, reference_quantized_module: type[nn.Module]) -> "BackendPatternConfig":
        """Sets what a reference model has for ``root_module``; its ``from_float`` takes the module and qparams."""
        self.reference_quantized_module = reference_quantized_module
        return self

    def set_fused_module(self, fused_module: type[nn.Module]) -> "BackendPatternConfig":
        """Sets the type of what ``fuser_method`` makes."""
        self.fused_module = fused_module
        return self

    def set_fuser_method(self, fuser_method: Callable[..., nn.Module]) -> "BackendPatternConfig":
        """Sets the function that makes one module of a pattern's.

        Args:
            fuser_method: called with ``is_qat``, and the modules in the order in which they run.
        """
        self.fuser_method = fuser_method
        return self

    def _set_root_node_getter(self, root_node_getter: Callable[..., Any] | None) -> "BackendPatternConfig":
        """Sets what finds the node of ``root_module`` among those that a pattern in the complex format matched."""
        self._root_node_getter = root_node_getter
        return self

    def _set_extra_inputs_getter(self, extra_inputs_getter: Callable[..., list[Any]] | None) -> "BackendPatternConfig":
        """Sets what finds the fused module's inputs that are not the root's."""
        self._extra_inputs_getter = extra_inputs_getter
        return self

    def _set_num_tensor_args_to_observation_type(
        self, num_tensor_args_to_observation_type: dict[int, ObservationType]
    ) -> "BackendPatternConfig":
        """Sets observation types by how many of the arguments are tensors, as ``x + y`` and ``x + 2`` differ."""
        self._num_tensor_args_to_observation_type = num_tensor_args_to_observation_type
        return self

    def _set_input_type_to_index(self, input_type_to_index: dict[str, int]) -> "BackendPatternConfig":
        """Sets which positional argument of a function is the ``"weight"``, and which the ``"bias"``."""
        self._input_type_to_index = input_type_to_index
        return self

    def _set_pattern_complex_format(self, pattern: Pattern) -> "BackendPatternConfig":
        """Sets the pattern as an operator with its arguments: ``(relu, (add, conv, MatchAllNode))``.

        Raises:
            ValueError: if a pattern is set.
        """
        if self.pattern is not None:
            raise ValueError(f"a pattern is set already: {self.pattern}")
        self._pattern_complex_format = pattern
        return self

    def _complex_format(self) -> Pattern:
        """Returns the pattern as an operator with its arguments; of ``(a, b, c)`` that is ``(c, (b, a))``."""
        if self._pattern_complex_format is not None:
            return self._pattern_complex_format
        if self.pattern is None:
            raise ValueError("a BackendPatternConfig needs a pattern: call set_pattern")
        if not isinstance(self.pattern, tuple):
            return self.pattern
        if len(self.pattern) not in (2, 3):
            raise ValueError(f"a pattern is one operator, or a tuple of 2 or 3, got {self.pattern}")
        first, *others = self.pattern
        nested = first
        for operator in others:
            nested = (operator, nested)
        return nested

    @classmethod
    def from_dict(cls, backend_pattern_config_dict: dict[str, Any]) -> "BackendPatternConfig":
        """Returns the config of which ``to_dict`` gives a dictionary; dtype configs may be dictionaries too.

        Raises:
            ValueError: if it has a key that ``to_dict`` does not have, or a dtype config is neither.
        """
        check_keys(backend_pattern_config_dict, _PATTERN_KEYS, "a BackendPatternConfig")
        config = cls()
        for key, value in backend_pattern_config_dict.items():
            if key == "dtype_configs":
                value = [_from(DTypeConfig, entry) for entry in value]
            setattr(config, _PATTERN_KEYS[key], value)
        return config

    def to_dict(self) -> dict[str, Any]:
        """Returns what is set, and always the observation type and the dtype configs, as dictionaries."""
        values = {key: getattr(self, name) for key, name in _PATTERN_KEYS.items()}
        values["dtype_configs"] = [config.to_dict() for config in self.dtype_configs]
        always = ("observation_type", "dtype_configs")
        return {key: value for key, value in values.items() if key in always or value not in (None, {})}

    def __repr__(self) -> str:
        return f"BackendPatternConfig({self.to_dict()})"


# Key of a dictionary -> attribute.
_PATTERN_KEYS = {
    "pattern": "pattern",
    "observation_type": "observation_type",
    "dtype_configs": "dtype_configs",
    "root_module": "root_module",
    "qat_module": "qat_module",
    "reference_quantized_module_for_root": "reference_quantized_module",
    "fused_module": "fused_module",
    "fuser_method": "fuser_method",
    "root_node_getter": "_root_node_getter",
    "extra_inputs_getter": "_extra_inputs_getter",
    "num_tensor_args_to_observation_type": "_num_tensor_args_to_observation_type",
    "input_type_to_index": "_input_type_to_index",
    "pattern_complex_format": "_pattern_complex_format",
}


class BackendConfig:
    """The patterns that a backend can quantize.

    Args:
        name: of the backend.

    Example:
        >>> linear = BackendPatternConfig(nn.Linear).add_dtype_config(DTypeConfig(torchq.quint8, torchq.quint8))
        >>> len(BackendConfig("mine").set_backend_pattern_config(linear).configs)
        1
    """

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._pattern_complex_format_to_config: dict[Pattern, BackendPatternConfig] = {}

    def set_name(self, name: str) -> "BackendConfig":
        """Sets the name; returns the config."""
        self.name = name
        return self

    def set_backend_pattern_config(self, config: BackendPatternConfig) -> "BackendConfig":
        """Sets how a pattern is quantized, in the place of an earlier config for it; returns the config.

        Raises:
            ValueError: if it has no pattern.
        """
        self._pattern_complex_format_to_config[config._complex_format()] = config
        return self

    def set_backend_pattern_configs(self, configs: list[BackendPatternConfig]) -> "BackendConfig":
        """Sets how several patterns are quantized; returns the config."""
        for config in configs:
            self.set_backend_pattern_config(config)
        return self

    @property
    def configs(self) -> list[BackendPatternConfig]:
        """The configs of all patterns."""
        return list(self._pattern_complex_format_to_config.values())

    @classmethod
    def from_dict(cls, backend_config_dict: dict[str, Any]) -> "BackendConfig":
        """Returns the config of which ``to_dict`` gives a dictionary; patterns' configs need not be dictionaries.

        Raises:
            ValueError: if it has another key than ``"name"`` and ``"configs"``, or an entry is no config.
        """
        check_keys(backend_config_dict, ("name", "configs"), "a BackendConfig")
        configs = [_from(BackendPatternConfig, entry) for entry in backend_config_dict.get("configs", [])]
        return cls(backend_config_dict.get("name", "")).set_backend_pattern_configs(configs)

    def to_dict(self) -> dict[str, Any]:
        """Returns ``"name"``, and under ``"configs"`` those of the patterns, as dictionaries."""
        return {"name": self.name, "configs": [config.to_dict() for config in self.configs]}

    def __repr__(self) -> str:
        return f"BackendConfig({self.name!r}, {len(self.configs)} patterns)"


def _from(cls: Any, entry: Any) -> Any:
    if isinstance(entry, cls):
        return entry
    if not isinstance(entry, dict):
        raise ValueError(f"expected a {cls.__name__} or a dictionary of one, got {entry!r}")
    return cls.from_dict(entry)
