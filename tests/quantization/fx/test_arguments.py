"""Calls whose arguments are given by name: as the same calls by position."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import torchq
from torchq.quantization import (
    QConfigMapping,
    default_dynamic_qconfig,
    float_qparams_weight_only_qconfig,
    get_default_qconfig_mapping,
)
from torchq.quantization.fx.arguments import renamed
from torchq.quantization.fx.custom_config import PrepareCustomConfig
from torchq.quantization.quantize_fx import convert_fx, convert_to_reference_fx, prepare_fx

X = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


class Parts(nn.Module):
    """Calls a function with itself, for its modules, and the input."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.function = function
        self.a, self.b, self.flatten, self.relu = nn.Linear(4, 4), nn.Linear(4, 4), nn.Flatten(), nn.ReLU()

    def forward(self, x):
        return self.function(self, x)


def converted(function):
    prepared = prepare_fx(Parts(function).eval(), get_default_qconfig_mapping(), (X,))
    prepared(X)
    return convert_fx(prepared)


NAMED = {
    "module": (lambda m, x: m.b(input=m.a(input=x)), lambda m, x: m.b(m.a(x))),
    "flatten-module": (lambda m, x: m.b(m.flatten(input=m.a(x))), lambda m, x: m.b(m.flatten(m.a(x)))),
    "relu-module-first": (lambda m, x: m.b(m.relu(input=x)), lambda m, x: m.b(m.relu(x))),
    "fused-relu": (lambda m, x: m.b(F.relu(input=m.a(x))), lambda m, x: m.b(F.relu(m.a(x)))),
    "flatten-first": (lambda m, x: m.a(torch.flatten(input=x, start_dim=1)), lambda m, x: m.a(torch.flatten(x, 1))),
    "list": (
        lambda m, x: m.a(torch.cat(tensors=[m.b(x), x], dim=0)),
        lambda m, x: m.a(torch.cat([m.b(x), x], 0)),
    ),
    "chain": (
        lambda m, x: m.a(torch.reshape(input=torch.reshape(input=x, shape=(4, 6)), shape=(6, 4))),
        lambda m, x: m.a(torch.reshape(torch.reshape(x, (4, 6)), (6, 4))),
    ),
    "second-tensor": (lambda m, x: torch.add(m.a(x), other=m.b(x)), lambda m, x: torch.add(m.a(x), m.b(x))),
    "swapped": (lambda m, x: torch.matmul(other=m.b(x).t(), input=x), lambda m, x: torch.matmul(x, m.b(x).t())),
    "method": (lambda m, x: m.a(x).mul(other=x), lambda m, x: m.a(x).mul(x)),
    "pool": (
        lambda m, x: m.b(F.max_pool1d(input=m.a(x), kernel_size=1)),
        lambda m, x: m.b(F.max_pool1d(m.a(x), kernel_size=1)),
    ),
    "condition": (
        lambda m, x: torch.where(condition=x > 0, input=m.a(x), other=m.b(x)),
        lambda m, x: torch.where(x > 0, m.a(x), m.b(x)),
    ),
}


@pytest.mark.parametrize("name", NAMED)
def test_named_arguments_are_those_by_position(name):
    given, expected = map(converted, NAMED[name])
    assert [node.name for node in given.graph.nodes] == [node.name for node in expected.graph.nodes]
    assert torch.equal(given(X), expected(X))


class Bags(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.bag = nn.EmbeddingBag(10, 4, mode="sum")

    def forward(self, indices, offsets):
        return self.bag(offsets=offsets, input=indices)


@pytest.mark.parametrize("convert", [convert_fx, convert_to_reference_fx])
def test_named_arguments_of_a_module_are_not_swapped(convert):
    mapping = QConfigMapping().set_object_type(nn.EmbeddingBag, float_qparams_weight_only_qconfig)
    indices, offsets = torch.tensor([0, 1, 2, 2]), torch.tensor([0, 1, 1, 3])
    model = Bags().eval()
    result = convert(prepare_fx(model, mapping, (indices, offsets)))(indices, offsets)
    # Two rows at most, each weight off by half a step of a row, which is less than 6 / 255.
    assert (result - model(indices, offsets)).abs().max() < 6 / 255


def test_argument_without_those_before_it_stays_named():
    class Weighted(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.bag = nn.EmbeddingBag(10, 4, mode="sum")

        def forward(self, indices, weights):
            return self.bag(per_sample_weights=weights, input=indices)

    mapping = QConfigMapping().set_object_type(nn.EmbeddingBag, float_qparams_weight_only_qconfig)
    indices, weights = torch.tensor([[0, 1], [2, 2]]), torch.tensor([[1.0, 2.0], [0.5, 0.0]])
    for convert in (convert_fx, convert_to_reference_fx):
        model = convert(prepare_fx(Weighted().eval(), mapping, (indices, weights)))
        assert torch.equal(model(indices, weights), model.bag(indices, None, weights))


def test_state_by_name_before_the_input_is_the_state():
    class Cell(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.GRUCell(4, 4)

        def forward(self, x, h):
            return self.cell(hx=h, input=x)

    mapping = QConfigMapping().set_object_type(nn.GRUCell, default_dynamic_qconfig)
    model = convert_fx(prepare_fx(Cell().eval(), mapping, (X, X)))
    assert torch.equal(model(X, 2 * X), model.cell(X, 2 * X))


class Flattened(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x, start=1):
        return self.linear(x).flatten(start)


def test_standalone_module_keeps_its_named_arguments():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Flattened()

        def forward(self, x):
            return self.inner(start=0, x=x)

    config = PrepareCustomConfig().set_standalone_module_name("inner", None, (X, 0), None, None)
    prepared = prepare_fx(Outer().eval(), get_default_qconfig_mapping(), (X,), config)
    prepared(X)
    assert convert_fx(prepared)(X).shape == (24,)


class Named(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.forward = function


def test_names_change_with_the_module():
    float_module, other = Named(lambda input, offsets=None: 0), Named(lambda indices, where=None: 0)
    assert renamed({"offsets": 1}, float_module, other) == {"where": 1}
    assert renamed({"where": 1}, float_module, other) == {"where": 1}
    with pytest.raises(ValueError, match="Named does not take the argument 'offsets' of Named"):
        renamed({"offsets": 1}, float_module, Named(lambda indices: 0))


def test_named_arguments_run_on_integers():
    with torchq.no_float_fallback():
        converted(lambda m, x: torch.add(input=m.a(input=x), other=torch.reshape(input=m.b(x), shape=(6, 4))))(X)
