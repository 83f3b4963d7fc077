"""Whether a backend supports what a qconfig says, and which values are tensors that can be quantized."""

import operator
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.fx import Graph, Node
from torch.fx.node import map_aggregate
from torch.nn import functional as F

from torchq.quantization.backend_config import DTypeConfig, DTypeWithConstraints
from torchq.quantization.fake_quantize_base import FakeQuantizeBase
from torchq.quantization.fx.match import Modules
from torchq.quantization.observer import FixedQParamsObserver
from torchq.quantization.qconfig import QConfig

# Their weights stay in float, whatever the qconfig says.
FLOAT_WEIGHTS = (F.layer_norm, F.group_norm, F.instance_norm)

# Their weights may be float16.
RECURRENT = (nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell, nn.RNNCell)

_NOT_TENSORS = ("size", "dim", "numel", "stride", "ndimension", "item", "tolist", "is_contiguous", "data_ptr")
_NOT_TENSOR_ATTRIBUTES = ("shape", "ndim", "dtype", "device", "is_cuda", "requires_grad", "layout")
# Positions of arguments that are indexes or masks, by what is called.
_NOT_FLOAT_ARGUMENTS: dict[Any, tuple[int, ...]] = {
    **dict.fromkeys((nn.Embedding, F.embedding, torch.where, "where"), (0,)),
    **dict.fromkeys((nn.EmbeddingBag, F.embedding_bag), (0, 1)),
    **dict.fromkeys((torch.masked_fill, "masked_fill", "masked_fill_", operator.getitem), (1,)),
    **dict.fromkeys((torch.gather, "gather", torch.index_select, "index_select"), (2,)),
}
_FLOAT_METHODS = ("float", "double", "half", "bfloat16")
_NOT_FLOAT_RESULTS = (
    *(operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge, operator.invert),
    *(torch.eq, torch.ne, torch.lt, torch.le, torch.gt, torch.ge, torch.logical_not, torch.logical_and),
    *(torch.argmax, torch.argmin, torch.argsort, torch.arange, torch.isnan, torch.isinf),
    *("eq", "ne", "lt", "le", "gt", "ge", "bool", "int", "long", "argmax", "argmin", "argsort", "logical_not"),
)


def label(node: Node) -> str:
    """Returns the name of a call for messages: that of the module, if it calls one."""
    return str(node.target) if node.op == "call_module" else node.name


def nodes_in(argument: Any) -> Iterator[Node]:
    """Yields the nodes in an argument, which may be in lists, tuples and dictionaries."""
    found: list[Node] = []
    map_aggregate(argument, lambda value: found.append(value) if isinstance(value, Node) else None)
    yield from found


def activations(node: Node, module: nn.Module) -> tuple[list[int], list[str]]:
    """Returns which arguments of a call are activations, by position and by name: all, but no masks of attention.

    Args:
        node: calls the module.
        module: the caller's own, observed.
    """
    if not isinstance(module, nn.MultiheadAttention):
        return list(range(len(node.args))), list(node.kwargs)
    names = [name for name in ("query", "key", "value") if name in node.kwargs]
    return list(range(min(len(node.args), 3))), names


def unobservable(graph: Graph, modules: Modules, keeps: Callable[[Node], bool]) -> tuple[set[Node], set[Node]]:
    """Returns the nodes whose values are no float tensors: sizes and other numbers, and masks and indexes.

    Args:
        graph: a traced model's.
        modules: its modules, by name.
        keeps: whether a node passes the values of its first argument on.

    Returns:
        Both; and the masks and indexes alone, which are tensors.
    """
    found: set[Node] = set()
    numbers: set[Node] = set()
    for node in graph.nodes:
        arguments = list(nodes_in((node.args, node.kwargs)))
        of_such = bool(arguments) and found.issuperset(arguments) and _gives_such(node)
        passed_on = bool(node.args) and node.args[0] in found and keeps(node)
        if asks(node) or _is_no_float(node) or of_such or passed_on:
            found.add(node)
        if asks(node) or (of_such and numbers.issuperset(arguments)):
            numbers.add(node)
    for node in reversed(graph.nodes):
        called = type(modules[node.target]) if node.op == "call_module" else node.target
        positions = _NOT_FLOAT_ARGUMENTS.get(called, ()) if node.op.startswith("call_") else ()
        for argument in (node.args[i] for i in positions if i < len(node.args)):
            for source in nodes_in(argument):
                while source not in found:
                    found.add(source)
                    source = source.args[0] if keeps(source) and isinstance(source.args[0], Node) else source
    return found, found - numbers


def _is_no_float(node: Node) -> bool:
    return node.op in ("call_function", "call_method") and node.target in _NOT_FLOAT_RESULTS


def asks(node: Node) -> bool:
    """Whether a call asks about a tensor, and not for its values."""
    if node.op == "call_method":
        return node.target in _NOT_TENSORS
    return node.op == "call_function" and node.target is getattr and node.args[1] in _NOT_TENSOR_ATTRIBUTES


def _gives_such(node: Node) -> bool:
    """Whether a call of numbers, masks and indexes alone gives such again.

    Operators and Python's own functions do, and methods but for those that make floats. Torch's functions make tensors.
    """
    if node.op == "call_method":
        to_float = node.target in ("to", "type") and any(map(_is_float_dtype, (*node.args, *node.kwargs.values())))
        return node.target not in _FLOAT_METHODS and not to_float
    module = getattr(node.target, "__module__", None) or ""
    return node.op == "call_function" and module in ("_operator", "builtins", "math")


def _is_float_dtype(argument: Any) -> bool:
    """Whether an argument is a float dtype, or that of another tensor, which is taken for float."""
    if isinstance(argument, torch.dtype):
        return argument.is_floating_point
    return isinstance(argument, Node) and argument.target is getattr and argument.args[1] == "dtype"


def is_supported(qconfig: QConfig, configs: list[DTypeConfig], roles: set[str]) -> bool:
    """Returns whether a qconfig fits one of the combinations of dtypes that a pattern has.

    Args:
        qconfig: the qconfig.
        configs: the combinations.
        roles: which inputs the pattern has as arguments: ``"activation"``, ``"weight"``, ``"bias"``.
    """
    activation = qconfig.activation()
    dtype, is_dynamic = getattr(activation, "dtype", None), getattr(activation, "is_dynamic", False)

    def fits(config: DTypeConfig) -> bool:
        as_input, as_output = config.input_dtype_with_constraints, config.output_dtype_with_constraints
        output = torch.float if is_dynamic else dtype
        given = as_input.dtype is None or (as_input.dtype == dtype and bool(config.is_dynamic) == is_dynamic)
        return (
            ("activation" not in roles or (given and _meets(activation, as_input)))
            and (as_output.dtype is None or (as_output.dtype == output and _meets(activation, as_output)))
            and ("weight" not in roles or _fits_weight(config, qconfig))
            and ("bias" not in roles or config.bias_dtype in (None, torch.float))
        )

    return any(map(fits, configs))


def _fits_weight(config: DTypeConfig, qconfig: QConfig) -> bool:
    if config.weight_dtype is None:
        return True
    weight = None if qconfig.weight is None else qconfig.weight()
    return getattr(weight, "dtype", None) == config.weight_dtype and _meets(
        weight, config.weight_dtype_with_constraints
    )


def _meets(made: nn.Module, wanted: DTypeWithConstraints) -> bool:
    """Whether an observer or fake quantizer meets the constraints on its dtype; those on others do not count."""
    if wanted.dtype is None or getattr(made, "dtype", None) != wanted.dtype:
        return True
    observer = made.activation_post_process if isinstance(made, FakeQuantizeBase) else made
    low, high = wanted.quant_min_lower_bound, wanted.quant_max_upper_bound
    if low is not None and high is not None:
        quant_min, quant_max = getattr(observer, "quant_min", None), getattr(observer, "quant_max", None)
        if quant_min is None or quant_max is None or quant_min < low or quant_max > high:
            return False
    if wanted.scale_min_lower_bound is not None:
        eps = getattr(observer, "eps", None)
        if eps is None or eps < wanted.scale_min_lower_bound:
            return False
    if wanted.scale_exact_match is not None and wanted.zero_point_exact_match is not None:
        if not isinstance(observer, FixedQParamsObserver):
            return False
        scale, zero_point = observer.calculate_qparams()
        return scale == wanted.scale_exact_match and zero_point == wanted.zero_point_exact_match
    return True
