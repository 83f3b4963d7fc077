"""Calls that change a tensor in place, where the quantized model would not see the change."""

from torch.fx import Graph, Node

from torchq.quantization.fx.arguments import argument
from torchq.quantization.fx.match import Modules
from torchq.quantization.fx.plan import Plan
from torchq.quantization.fx.support import asks, label, nodes_in
from torchq.quantization.fx.tables import QUANTIZED_FUNCTIONS, runs_on_integers
from torchq.quantization.quant_type import QuantType

# They change how a tensor is differentiated, and not its values.
_KEEPING_VALUES = ("detach_", "requires_grad_")


def refuse_in_place(graph: Graph, plan: Plan, modules: Modules) -> None:
    """Checks that what calls change in place is not used later in a form that they do not change.

    A value has a float and a quantized form, and a call changes one of them. Most quantized functions do not even
    change that, as they give a result with qparams of its own; relu and its like do.

    Args:
        graph: a traced and fused model's.
        plan: what is quantized.
        modules: the model's, by name.

    Raises:
        ValueError: if a tensor is used later in another form.
    """
    static = {name: one for one in plan.planned.values() if one.kind is QuantType.STATIC for name in one.nodes}
    quantized: set[Node] = set()

    def on_integers(node: Node, source: Node | None) -> bool:
        passed = node.name in plan.passing and source in quantized and not asks(node)
        return passed or node.name in static or node.name in plan.standalone

    for node in graph.nodes:
        source = next(nodes_in((node.args, node.kwargs)), None)
        if node.name in plan.quantized_inputs or on_integers(node, source):
            quantized.add(node)
        advice = _advice(node, modules)
        if advice is None or source is None or source.name in plan.unobservable:
            continue
        others = [user for user in source.users if user is not node and not asks(user)]
        later = [user for user in others if node < user]
        floats = [user for user in others if not on_integers(user, source)]
        planned = static.get(node.name)
        if planned is None:
            lost = [user for user in later if user not in floats]
        elif not (planned.shares and _changes_integers(node, modules)):
            lost = later
        elif source in quantized and all(map(later.__contains__, floats)):
            lost = []  # the float form is made of the changed integers
        else:
            lost = [user for user in later if user in floats]
        if lost:
            raise ValueError(
                f"{_call(node, source)} changes a tensor that is used later, by "
                f"{', '.join(repr(user.name) for user in lost)}: {advice}, and use its result"
            )


def _changes_integers(node: Node, modules: Modules) -> bool:
    module = modules[node.target] if node.op == "call_module" else None
    return node.target not in QUANTIZED_FUNCTIONS and runs_on_integers(node, module)


def _call(node: Node, source: Node) -> str:
    return f"{source.name}.{node.target}(...)" if node.op == "call_method" else repr(label(node))


def _advice(node: Node, modules: Modules) -> str | None:
    """What to do instead of a call that changes its first argument; None if it does not."""
    if node.op == "call_module":
        module = modules[node.target]
        name, in_place = type(module).__name__, getattr(module, "inplace", False)
    elif node.op == "call_function":
        named = getattr(node.target, "__module__", None) != "_operator"  # which has and_ and is_
        name = getattr(node.target, "__name__", "") if named else ""
        in_place = argument(node, "inplace", modules)
    else:
        name, in_place = str(node.target), False
    if name.endswith("_") and not name.endswith("__"):
        return None if name in _KEEPING_VALUES else f"call {name[:-1]}"
    # A dropout changes nothing in a model that is not trained.
    return "use inplace=False" if in_place and "dropout" not in name.lower() else None
