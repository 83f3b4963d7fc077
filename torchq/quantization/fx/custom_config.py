"""What the caller can say about parts of a model that are quantized in another way than the rest."""

from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from torchq.quantization.backend_config import BackendConfig
from torchq.quantization.qconfig_mapping import QConfigMapping
from torchq.quantization.quant_type import QuantType

__all__ = ["ConvertCustomConfig", "FuseCustomConfig", "PrepareCustomConfig", "StandaloneModuleConfigEntry"]

_T = TypeVar("_T")


def as_config(cls: type[_T], value: Any, name: str) -> _T | None:
    """Returns a config, made of a dictionary if it is one; None stays None.

    Raises:
        TypeError: if it is neither.
    """
    if value is None or isinstance(value, cls):
        return value
    if isinstance(value, dict):
        return cls.from_dict(value)  # type: ignore[attr-defined]
    raise TypeError(f"{name} must be a torchq {cls.__name__}, a dictionary of one, or None, got {value!r}")


@dataclass
class StandaloneModuleConfigEntry:
    """How a standalone module is quantized; see ``PrepareCustomConfig.set_standalone_module_name``."""

    qconfig_mapping: QConfigMapping | None
    example_inputs: tuple[Any, ...]
    prepare_custom_config: "PrepareCustomConfig | None"
    backend_config: BackendConfig | None

    @classmethod
    def _of(
        cls, qconfig_mapping: Any, example_inputs: tuple[Any, ...], prepare_custom_config: Any, backend_config: Any
    ) -> "StandaloneModuleConfigEntry":
        return cls(
            as_config(QConfigMapping, qconfig_mapping, "qconfig_mapping"),
            example_inputs,
            as_config(PrepareCustomConfig, prepare_custom_config, "prepare_custom_config"),
            as_config(BackendConfig, backend_config, "backend_config"),
        )

    def _to_tuple(self, key: Any) -> tuple[Any, ...]:
        mapping, custom = self.qconfig_mapping, self.prepare_custom_config
        return (
            key,
            None if mapping is None else mapping.to_dict(),
            self.example_inputs,
            None if custom is None else custom.to_dict(),
            self.backend_config,
        )


class _CustomConfig:
    """Base of the configs: equal to a dictionary of what is set. ``_KEYS`` are attributes and their keys."""

    _KEYS: ClassVar[dict[str, str]] = {}

    def to_dict(self) -> dict[str, Any]:
        """Returns what is set, as a dictionary."""
        return {key: getattr(self, name) for name, key in self._KEYS.items() if getattr(self, name)}

    @classmethod
    def _checked(cls, given: dict[str, Any]) -> dict[str, Any]:
        unknown = given.keys() - set(cls._KEYS.values())
        if unknown:
            known = ", ".join(cls._KEYS.values())
            raise ValueError(f"a {cls.__name__} has the keys {known}, got {', '.join(sorted(map(repr, unknown)))}")
        return given

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.to_dict()})"


class PrepareCustomConfig(_CustomConfig):
    """What ``prepare_fx`` and ``prepare_qat_fx`` treat in another way; each ``set_`` method returns the config.

    Example:
        >>> PrepareCustomConfig().set_input_quantized_indexes([0]).set_preserved_attributes(["classes"])
        PrepareCustomConfig({'input_quantized_idxs': [0], 'preserved_attributes': ['classes']})
    """

    _KEYS: ClassVar[dict[str, str]] = {
        "standalone_module_names": "standalone_module_name",
        "standalone_module_classes": "standalone_module_class",
        "float_to_observed_mapping": "float_to_observed_custom_module_class",
        "non_traceable_module_names": "non_traceable_module_name",
        "non_traceable_module_classes": "non_traceable_module_class",
        "input_quantized_indexes": "input_quantized_idxs",
        "output_quantized_indexes": "output_quantized_idxs",
        "preserved_attributes": "preserved_attributes",
    }

    def __init__(self) -> None:
        self.standalone_module_names: dict[str, StandaloneModuleConfigEntry] = {}
        self.standalone_module_classes: dict[type, StandaloneModuleConfigEntry] = {}
        self.float_to_observed_mapping: dict[QuantType, dict[type, type]] = {}
        self.non_traceable_module_names: list[str] = []
        self.non_traceable_module_classes: list[type] = []
        self.input_quantized_indexes: list[int] = []
        self.output_quantized_indexes: list[int] = []
        self.preserved_attributes: list[str] = []

    def set_standalone_module_name(
        self,
        module_name: str,
        qconfig_mapping: QConfigMapping | None,
        example_inputs: tuple[Any, ...],
        prepare_custom_config: "PrepareCustomConfig | None",
        backend_config: BackendConfig | None,
    ) -> "PrepareCustomConfig":
        """Makes a submodule one that is prepared and converted by itself, and called as a whole.

        Args:
            module_name: its qualified name.
            qconfig_mapping: its qconfigs; None for the one that it has as a part of the model, for all of it.
            example_inputs: of its forward.
            prepare_custom_config: further settings; ``input_quantized_indexes`` and ``output_quantized_indexes`` say
                what it takes and gives quantized.
            backend_config: the model's if None.
        """
        entry = StandaloneModuleConfigEntry._of(qconfig_mapping, example_inputs, prepare_custom_config, backend_config)
        self.standalone_module_names[module_name] = entry
        return self

    def set_standalone_module_class(
        self,
        module_class: type,
        qconfig_mapping: QConfigMapping | None,
        example_inputs: tuple[Any, ...],
        prepare_custom_config: "PrepareCustomConfig | None",
        backend_config: BackendConfig | None,
    ) -> "PrepareCustomConfig":
        """Does so with all submodules of a class that are not set by their name."""
        entry = StandaloneModuleConfigEntry._of(qconfig_mapping, example_inputs, prepare_custom_config, backend_config)
        self.standalone_module_classes[module_class] = entry
        return self

    def set_float_to_observed_mapping(
        self, float_class: type, observed_class: type, quant_type: QuantType = QuantType.STATIC
    ) -> "PrepareCustomConfig":
        """Sets what a module of one's own becomes when it is prepared.

        Args:
            float_class: the module's type; it is not traced into.
            observed_class: its ``from_float`` takes the module.
            quant_type: ``QuantType.STATIC``, the only one.

        Raises:
            ValueError: for another ``quant_type``.
        """
        if quant_type is not QuantType.STATIC:
            raise ValueError(f"quant_type must be {QuantType.STATIC!r}, got {quant_type!r}")
        self.float_to_observed_mapping.setdefault(quant_type, {})[float_class] = observed_class
        return self

    def set_non_traceable_module_names(self, module_names: list[str]) -> "PrepareCustomConfig":
        """Sets the qualified names of submodules that stay in float and are not traced into."""
        self.non_traceable_module_names = module_names
        return self

    def set_non_traceable_module_classes(self, module_classes: list[type]) -> "PrepareCustomConfig":
        """Sets the types of submodules that stay in float and are not traced into."""
        self.non_traceable_module_classes = module_classes
        return self

    def set_input_quantized_indexes(self, indexes: list[int]) -> "PrepareCustomConfig":
        """Sets which arguments of the converted model's forward are quantized tensors."""
        self.input_quantized_indexes = indexes
        return self

    def set_output_quantized_indexes(self, indexes: list[int]) -> "PrepareCustomConfig":
        """Sets which results are quantized tensors: indexes of a tuple or list, 0 for anything else."""
        self.output_quantized_indexes = indexes
        return self

    def set_preserved_attributes(self, attributes: list[str]) -> "PrepareCustomConfig":
        """Sets the attributes of the model that the prepared model has too, though its forward does not use them."""
        self.preserved_attributes = attributes
        return self

    @classmethod
    def from_dict(cls, prepare_custom_config_dict: dict[str, Any]) -> "PrepareCustomConfig":
        """Returns the config of which ``to_dict`` gives a dictionary.

        Raises:
            ValueError: if it has a key that ``to_dict`` does not have.
        """
        given = cls._checked(prepare_custom_config_dict)
        config = cls()
        for name, *entry in given.get("standalone_module_name", []):
            config.set_standalone_module_name(name, *entry)
        for module_class, *entry in given.get("standalone_module_class", []):
            config.set_standalone_module_class(module_class, *entry)
        for quant_type, classes in given.get("float_to_observed_custom_module_class", {}).items():
            for float_class, observed_class in classes.items():
                config.set_float_to_observed_mapping(float_class, observed_class, _quant_type(quant_type))
        for name, key in list(cls._KEYS.items())[3:]:
            setattr(config, name, given.get(key, []))
        return config

    def to_dict(self) -> dict[str, Any]:
        """Returns what is set, as a dictionary.

        Returns:
            Standalone modules as lists of tuples, classes of one's own by the name of the quantization type.
        """
        given = super().to_dict()
        for key in ("standalone_module_name", "standalone_module_class"):
            if key in given:
                given[key] = [entry._to_tuple(module) for module, entry in given[key].items()]
        return _with_names(given, "float_to_observed_custom_module_class")


class ConvertCustomConfig(_CustomConfig):
    """What ``convert_fx`` treats in another way; each ``set_`` method returns the config.

    Example:
        >>> ConvertCustomConfig().set_preserved_attributes(["classes"]).to_dict()
        {'preserved_attributes': ['classes']}
    """

    _KEYS: ClassVar[dict[str, str]] = {
        "observed_to_quantized_mapping": "observed_to_quantized_custom_module_class",
        "preserved_attributes": "preserved_attributes",
    }

    def __init__(self) -> None:
        self.observed_to_quantized_mapping: dict[QuantType, dict[type, type]] = {}
        self.preserved_attributes: list[str] = []

    def set_observed_to_quantized_mapping(
        self, observed_class: type, quantized_class: type, quant_type: QuantType = QuantType.STATIC
    ) -> "ConvertCustomConfig":
        """Sets what a module of one's own becomes when it is converted.

        Args:
            observed_class: the type in the prepared model.
            quantized_class: its ``from_observed`` takes the module, with what observes its output as
                ``activation_post_process``.
            quant_type: the kind of quantization for which it is.
        """
        self.observed_to_quantized_mapping.setdefault(quant_type, {})[observed_class] = quantized_class
        return self

    def set_preserved_attributes(self, attributes: list[str]) -> "ConvertCustomConfig":
        """Sets the attributes of the prepared model that the converted model has too."""
        self.preserved_attributes = attributes
        return self

    @classmethod
    def from_dict(cls, convert_custom_config_dict: dict[str, Any]) -> "ConvertCustomConfig":
        """Returns the config of which ``to_dict`` gives a dictionary.

        Raises:
            ValueError: if it has a key that ``to_dict`` does not have.
        """
        given = cls._checked(convert_custom_config_dict)
        config = cls().set_preserved_attributes(given.get("preserved_attributes", []))
        for quant_type, classes in given.get("observed_to_quantized_custom_module_class", {}).items():
            for observed_class, quantized_class in classes.items():
                config.set_observed_to_quantized_mapping(observed_class, quantized_class, _quant_type(quant_type))
        return config

    def to_dict(self) -> dict[str, Any]:
        """Returns what is set, as a dictionary; classes of one's own by the name of the quantization type."""
        return _with_names(super().to_dict(), "observed_to_quantized_custom_module_class")


class FuseCustomConfig(_CustomConfig):
    """What ``fuse_fx`` treats in another way.

    Example:
        >>> FuseCustomConfig().set_preserved_attributes(["classes"]).to_dict()
        {'preserved_attributes': ['classes']}
    """

    _KEYS: ClassVar[dict[str, str]] = {"preserved_attributes": "preserved_attributes"}

    def __init__(self) -> None:
        self.preserved_attributes: list[str] = []

    def set_preserved_attributes(self, attributes: list[str]) -> "FuseCustomConfig":
        """Sets the attributes of the model that the fused model has too; returns the config."""
        self.preserved_attributes = attributes
        return self

    @classmethod
    def from_dict(cls, fuse_custom_config_dict: dict[str, Any]) -> "FuseCustomConfig":
        """Returns the config of which ``to_dict`` gives a dictionary.

        Raises:
            ValueError: if it has another key.
        """
        given = cls._checked(fuse_custom_config_dict)
        return cls().set_preserved_attributes(given.get("preserved_attributes", []))


def _quant_type(name: str) -> QuantType:
    """The type of a name in lower case, as torch.ao's dictionaries have it."""
    names = {quant_type.name.lower(): quant_type for quant_type in QuantType}
    if name not in names:
        raise ValueError(f"a quantization type is one of {', '.join(map(repr, names))}, got {name!r}")
    return names[name]


def _with_names(given: dict[str, Any], key: str) -> dict[str, Any]:
    if key in given:
        given[key] = {quant_type.name.lower(): classes for quant_type, classes in given[key].items()}
    return given
