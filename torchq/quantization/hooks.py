"""Observer hooks, and moving a user's hooks from a module to the one that replaces it."""

from typing import Any

from torch import nn

from torchq.nn.qat import dynamic as qat_dynamic
from torchq.nn.quantized import FloatFunctional


def observe_output(module: nn.Module, _: Any, output: Any) -> Any:
    """Forward hook that shows a module's output to its observer."""
    return module.activation_post_process(output)


def observe_input(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Forward pre-hook that shows a module's input to its observer."""
    return (module.activation_post_process(inputs[0]), *inputs[1:])


_OBSERVING = (observe_output, observe_input)


def add_observer(module: nn.Module, observer: nn.Module) -> None:
    """Gives a module an observer of its output, called before the hooks that the module already has.

    What will quantize its input at run time has it observed instead, after the pre-hooks that the module already has.
    """
    if isinstance(module, qat_dynamic.Linear):
        module.register_forward_pre_hook(observe_input)
    elif not isinstance(module, FloatFunctional):
        module.register_forward_hook(observe_output, prepend=True)
    module.activation_post_process = observer


def has_observer(module: nn.Module) -> bool:
    """Whether ``add_observer`` was called for a module."""
    if isinstance(module, FloatFunctional):
        return not isinstance(module.activation_post_process, nn.Identity)
    return any(hook in _OBSERVING for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values()))


def remove_observer(module: nn.Module) -> None:
    """Takes back what ``add_observer`` did; does nothing on other modules."""
    if isinstance(module, FloatFunctional):
        module.activation_post_process = nn.Identity()
    elif has_observer(module):
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            for key in [key for key, hook in hooks.items() if hook in _OBSERVING]:
                del hooks[key]
        del module.activation_post_process


def has_user_hooks(hooks: dict[int, Any]) -> bool:
    """Whether a hook dictionary of a module holds any hook but the observer's."""
    return any(hook not in _OBSERVING for hook in hooks.values())


def move_forward_pre_hooks(source: nn.Module, target: nn.Module) -> None:
    """Takes a module's forward pre-hooks off and registers them on another, in order, with their options.

    The observer's stays.
    """
    for key in [key for key, hook in source._forward_pre_hooks.items() if hook not in _OBSERVING]:
        with_kwargs = source._forward_pre_hooks_with_kwargs.pop(key, False)
        target.register_forward_pre_hook(source._forward_pre_hooks.pop(key), with_kwargs=with_kwargs)


def move_forward_hooks(source: nn.Module, target: nn.Module) -> None:
    """Does so with a module's forward hooks."""
    for key in [key for key, hook in source._forward_hooks.items() if hook not in _OBSERVING]:
        with_kwargs = source._forward_hooks_with_kwargs.pop(key, False)
        always_call = source._forward_hooks_always_called.pop(key, False)
        target.register_forward_hook(source._forward_hooks.pop(key), with_kwargs=with_kwargs, always_call=always_call)
