"""Tracing a model into a graph of calls."""

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.fx import Graph, Tracer
from torch.fx import proxy as fx_proxy
from torch.fx.proxy import Scope, TraceError
from torch.nn.utils.parametrize import type_before_parametrizations

__all__ = ["QuantizationTracer", "Scope", "ScopeContextManager"]


class ScopeContextManager(fx_proxy.ScopeContextManager):
    """Makes a module the scope of the calls that are traced inside.

    Args:
        scope: the tracer's, which is changed meanwhile.
        current_module: the module.
        current_module_path: its qualified name.
    """

    def __init__(self, scope: Scope, current_module: nn.Module, current_module_path: str) -> None:
        super().__init__(scope, Scope(current_module_path, type(current_module)))


class QuantizationTracer(Tracer):
    """Traces a model down to the modules that can be quantized as a whole.

    Those are torch's and torchq's own, but for ``nn.Sequential``, and what is skipped: names and classes.

    Args:
        skipped_module_names: qualified names of modules that are not traced into.
        skipped_module_classes: types of modules that are not traced into.
    """

    def __init__(self, skipped_module_names: list[str], skipped_module_classes: list[Callable[..., nn.Module]]) -> None:
        super().__init__()
        self.skipped_module_names = skipped_module_names
        self.skipped_module_classes = skipped_module_classes
        self._failed: str | None = None

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is called as a whole."""
        # Containers of torchq.nn.intrinsic are Sequentials too.
        whole = m.__module__.startswith("torchq.nn") or (
            m.__module__.startswith("torch.nn") and not isinstance(m, nn.Sequential)
        )
        return whole or module_qualified_name in self.skipped_module_names or type(m) in self.skipped_module_classes

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Traces a call of a module; remembers the innermost one whose forward cannot be traced."""
        try:
            return super().call_module(m, forward, args, kwargs)
        except (TraceError, TypeError, RuntimeError):
            self._failed = self._failed or f"{self.path_of_module(m)!r} ({type(m).__name__})"
            raise

    def trace(self, root: nn.Module, concrete_args: dict[str, Any] | None = None) -> Graph:
        """Returns the graph of a model's forward.

        Raises:
            TraceError: if the forward does what depends on the values of tensors, or cannot be traced for another
                reason; the message names the module, and what can be done.
        """
        self._failed = None
        try:
            graph = super().trace(root, concrete_args)
        except (TraceError, TypeError, RuntimeError) as error:
            where = self._failed or type(root).__name__
            raise TraceError(
                f"cannot trace {where}: {error}. A forward is traced without data, so it cannot branch or loop on "
                "the values or sizes of tensors. Move that part into a submodule and leave it in float with "
                "PrepareCustomConfig().set_non_traceable_module_names([...]), or quantize the model in eager mode, "
                "with QuantStub, prepare and convert"
            ) from error
        # A parametrized module has a class of its own, which no entry of a mapping is for.
        modules = dict(root.named_modules(remove_duplicate=False))
        self.node_name_to_scope = {
            name: (path, type_before_parametrizations(modules[path]) if path in modules else kind)
            for name, (path, kind) in self.node_name_to_scope.items()
        }
        return graph
