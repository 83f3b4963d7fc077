"""Loggers: modules that keep what other modules give, and how they are attached to those."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_map_only

from torchq.nn.quantized import FloatFunctional, QFunctional
from torchq.qtensor import QTensor

# Not among the submodules: a Sequential would call it, and a leaf would be none any more.
_ATTRIBUTE = "_output_logger"


class Logger(nn.Module):
    """Base of the loggers.

    A logger of one's own extends it and records in ``forward``: a module's output, or, within a ``Shadow``, the output
    of the quantized module and that of the float one. What ``forward`` returns is not used.

    Attributes:
        stats: what is recorded; ``get_logger_dict`` collects it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stats: dict[str, Any] = {}

    def forward(self, *outputs: Any) -> Any:
        """Records what a module gave."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it records: define forward")

    def _log_output(self, module: nn.Module, args: Any, output: Any) -> None:
        """Forward hook; as a bound method it is copied with the model."""
        self(output)


class OutputLogger(Logger):
    """Keeps a copy of every output of a module, as ``stats["tensor_val"]``.

    Example:
        >>> logger = OutputLogger()
        >>> _ = logger(torch.tensor([1.0])), logger(torch.tensor([2.0]))
        >>> logger.stats
        {'tensor_val': [tensor([1.]), tensor([2.])]}
    """

    def __init__(self) -> None:
        super().__init__()
        self.stats["tensor_val"] = []

    def forward(self, x: Any) -> Any:
        """Records ``x``, a tensor or a structure of them, and returns it."""
        self.stats["tensor_val"].append(_copied(x))
        return x


class ShadowLogger(Logger):
    """Keeps copies of what a quantized module and its float shadow give, as ``stats["quantized"]`` and ``["float"]``.

    Of several outputs, such as an LSTM's, it is the first. (torch.ao's logger takes a batch for such a tuple, and keeps
    its first sample only.)

    Example:
        >>> logger = ShadowLogger()
        >>> logger(torchq.quantize_per_tensor(torch.ones(2), 0.5, 0, torchq.quint8), torch.ones(2))
        >>> logger.stats["float"]
        [tensor([1., 1.])]
    """

    def __init__(self) -> None:
        super().__init__()
        self.stats["float"] = []
        self.stats["quantized"] = []

    def forward(self, x: Any, y: Any) -> None:
        """Records ``x`` of the quantized module and ``y`` of the float one."""
        self.stats["quantized"].append(_copied(first(x)))
        self.stats["float"].append(_copied(first(y)))


class Shadow(nn.Module):
    """Runs a float module beside the quantized one that was made from it, on the same input.

    It gives what the quantized module gives; the float one gets the input dequantized. A logger sees both outputs. It
    has the operations of ``QFunctional`` too.

    Args:
        q_module: the quantized module.
        float_module: the float one.
        logger_cls: makes the logger: ``ShadowLogger``, or a ``Logger`` of one's own.

    Raises:
        TypeError: if ``logger_cls`` makes no ``Logger``.
    """

    def __init__(self, q_module: nn.Module, float_module: nn.Module, logger_cls: Any) -> None:
        super().__init__()
        self.orig_module = q_module
        self.shadow_module = float_module
        self.logger = made_logger(logger_cls)

    def _both(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        shadow = in_float(getattr(self.shadow_module, operation), args, kwargs)
        output = getattr(self.orig_module, operation)(*args, **kwargs)
        self.logger(output, shadow)
        return output

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the quantized module's output."""
        return self._both("__call__", *args, **kwargs)

    def add(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Returns ``x + y``."""
        return self._both("add", x, y)

    def add_scalar(self, x: torch.Tensor, y: float) -> torch.Tensor:
        """Returns ``x + y`` for a number ``y``."""
        return self._both("add_scalar", x, y)

    def mul(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Returns ``x * y``."""
        return self._both("mul", x, y)

    def mul_scalar(self, x: torch.Tensor, y: float) -> torch.Tensor:
        """Returns ``x * y`` for a number ``y``."""
        return self._both("mul_scalar", x, y)

    def cat(self, x: list[torch.Tensor], dim: int = 0) -> torch.Tensor:
        """Returns the tensors of ``x`` joined along ``dim``."""
        return self._both("cat", x, dim)

    def add_relu(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Returns ``relu(x + y)``."""
        return self._both("add_relu", x, y)

    def matmul(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Returns ``x @ y``."""
        return self._both("matmul", x, y)


def first(output: Any) -> Any:
    """Returns a module's output, or the first of several."""
    return output[0] if isinstance(output, (tuple, list)) else output


def _copied(output: Any) -> Any:
    # A copy, because what comes next may change its input in place, as a ReLU(inplace=True) does.
    return tree_map_only(torch.Tensor, lambda tensor: tensor.detach().clone(), output)


def in_float(function: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Any:
    """Returns what a float module or function gives for the dequantized arguments, without gradients."""
    with torch.no_grad():
        # Copies, so that nobody else sees what is done to them in place.
        args, kwargs = tree_map_only(torch.Tensor, _float_copy, (args, kwargs))
        return function(*args, **kwargs)


def _float_copy(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.dequantize() if isinstance(tensor, QTensor) else tensor.clone()


def made_logger(logger_cls: Any) -> Logger:
    """Returns a new logger.

    Raises:
        TypeError: if it is none.
    """
    logger = logger_cls()
    if not isinstance(logger, Logger):
        raise TypeError(f"logger_cls must make a Logger, got {logger_cls!r}, which makes a {type(logger).__name__}")
    return logger


def attach_logger(module: nn.Module, logger: Logger) -> None:
    """Lets a logger see each output of a module, after the module's other hooks, or each result of a functional one."""
    if isinstance(module, QFunctional):
        module.activation_post_process = nn.Identity()
    _observed(module).register_forward_hook(logger._log_output)
    vars(module)[_ATTRIBUTE] = logger


def detach_loggers(model: nn.Module) -> None:
    """Takes back what ``attach_logger`` did to the modules of a model."""
    for module in list(model.modules()):
        logger = vars(module).pop(_ATTRIBUTE, None)
        if logger is not None:
            hooks = _observed(module)._forward_hooks
            for key in [key for key, hook in hooks.items() if getattr(hook, "__self__", None) is logger]:
                del hooks[key]
            if isinstance(module, QFunctional):
                del module.activation_post_process


def logger_of(module: nn.Module) -> Logger | None:
    """Returns the logger that a module has, attached or as a child, None if it has none."""
    children = (child for child in module.children() if isinstance(child, Logger))
    return vars(module).get(_ATTRIBUTE) or next(children, None)


def _observed(module: nn.Module) -> nn.Module:
    """Returns the module whose output is that of ``module``, which may have operations instead of a ``forward``."""
    return module.activation_post_process if isinstance(module, FloatFunctional | QFunctional) else module
