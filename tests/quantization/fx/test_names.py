"""The names of graph mode, beside those of torch.ao: arguments, their order and their defaults."""

import importlib
import inspect

import pytest

HOMES = {
    "quantize_fx": ["fuse_fx", "prepare_fx", "prepare_qat_fx", "convert_fx", "convert_to_reference_fx"],
    "fx.custom_config": [
        "FuseCustomConfig",
        "PrepareCustomConfig",
        "ConvertCustomConfig",
        "StandaloneModuleConfigEntry",
    ],
    "fx.tracer": ["QuantizationTracer", "ScopeContextManager"],
    "backend_config": ["BackendConfig", "BackendPatternConfig", "DTypeConfig", "DTypeWithConstraints"],
}
NAMES = [(home, name) for home, names in HOMES.items() for name in names]


def arguments(function):
    return [(p.name, p.default, p.kind) for p in inspect.signature(function).parameters.values()]


def both(home, name):
    return (
        getattr(importlib.import_module(f"{package}.quantization.{home}"), name) for package in ("torch.ao", "torchq")
    )


@pytest.mark.parametrize(("home", "name"), NAMES)
def test_takes_the_arguments_of_torch_ao(torch_ao, home, name):
    theirs, ours = both(home, name)
    assert arguments(ours) == arguments(theirs)


@pytest.mark.parametrize(("home", "name"), [pair for pair in NAMES if pair[1].endswith(("Config", "Tracer"))])
def test_has_the_methods_of_torch_ao(torch_ao, home, name):
    theirs, ours = both(home, name)
    public = [key for key in vars(theirs) if not key.startswith("_") and callable(getattr(theirs, key))]
    assert public
    for method in public:
        assert arguments(getattr(ours, method)) == arguments(getattr(theirs, method))


@pytest.mark.parametrize("home", ["backend_config", "fx.custom_config"])
def test_every_public_name_of_torch_ao_is_there(torch_ao, home):
    theirs, ours = (importlib.import_module(f"{package}.quantization.{home}") for package in ("torch.ao", "torchq"))
    # Of other devices.
    missing = {name for name in theirs.__all__ if "tensorrt" not in name and "executorch" not in name} - set(
        ours.__all__
    )
    assert not missing
