"""Tracing: which modules are calls of their own, and what cannot be traced."""

import pytest
import torch
from torch import nn
from torch.fx.proxy import TraceError
from torch.nn import functional as F

from torchq.nn.intrinsic import LinearReLU
from torchq.quantization import default_qconfig, get_default_qconfig_mapping
from torchq.quantization.fx.custom_config import PrepareCustomConfig
from torchq.quantization.quantize_fx import QuantizationTracer, Scope, ScopeContextManager, prepare_fx


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def forward(self, x):
        return F.relu(self.linear(x))


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Looping(nn.Module):
    def forward(self, x):
        for _ in range(x.size(0)):
            x = x + 1
        return x


def calls(model, names=(), classes=()):
    graph = QuantizationTracer(list(names), list(classes)).trace(model)
    return [str(node.target) if node.op == "call_module" else node.op for node in graph.nodes][1:-1]


def test_own_modules_are_traced_into_and_torchs_are_not():
    model = nn.Sequential(Inner(), nn.Conv1d(2, 2, 1), nn.Sequential(nn.ReLU()))
    assert calls(model) == ["0.linear", "call_function", "1", "2.0"]


def test_containers_of_torchq_are_one_call():
    assert calls(nn.Sequential(LinearReLU(nn.Linear(2, 2), nn.ReLU()))) == ["0"]


def test_skipped_modules_are_one_call():
    model = nn.Sequential(Inner(), Branching(), Inner())
    assert calls(model, ["0"], [Branching]) == ["0", "1", "2.linear", "call_function"]


@pytest.mark.parametrize(
    ("inner", "reason"),
    [(Branching(), "cannot be used as inputs to control flow"), (Looping(), "cannot be interpreted as an integer")],
)
def test_error_names_the_module_and_what_can_be_done(inner, reason):
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(inner)).eval()
    message = rf"cannot trace '1.0' \({type(inner).__name__}\): .*{reason}.*set_non_traceable_module_names"
    with pytest.raises(TraceError, match=message):
        prepare_fx(model, get_default_qconfig_mapping(), (torch.ones(1, 2),))


def test_error_names_the_model_if_it_is_its_own_forward():
    with pytest.raises(TraceError, match="cannot trace Branching: "):
        prepare_fx(Branching().eval(), get_default_qconfig_mapping(), (torch.ones(1, 2),))


@pytest.mark.parametrize(
    "config",
    [
        PrepareCustomConfig().set_non_traceable_module_names(["1"]),
        PrepareCustomConfig().set_non_traceable_module_classes([Branching]),
        {"non_traceable_module_name": ["1"]},
    ],
)
def test_what_cannot_be_traced_may_stay_in_float(config):
    model = nn.Sequential(nn.Linear(2, 2), Branching(), nn.Linear(2, 2)).eval()
    prepared = prepare_fx(model, get_default_qconfig_mapping(), (torch.ones(1, 2),), config)
    x = torch.tensor([[1.0, -2.0]])
    assert torch.equal(prepared(x), model(x))
    assert [n.target for n in prepared.graph.nodes if n.op == "call_module"] == [
        *("activation_post_process_0", "0", "activation_post_process_1", "1"),
        *("activation_post_process_2", "2", "activation_post_process_3"),
    ]


def test_scope_is_that_of_the_module_meanwhile():
    scope = Scope("", None)
    with ScopeContextManager(scope, nn.Linear(1, 1), "a.b"):
        assert (scope.module_path, scope.module_type) == ("a.b", nn.Linear)
    assert (scope.module_path, scope.module_type) == ("", None)


def test_stubs_are_not_part_of_the_graph():
    from torchq.quantization import QuantWrapper

    model = QuantWrapper(nn.Linear(2, 2)).eval()
    model.qconfig = default_qconfig
    assert calls(model) == ["module"]
