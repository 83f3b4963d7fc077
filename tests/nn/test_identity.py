"""The identities that convert leaves where modules were fused."""

import copy
import pickle

import pytest
import torch
from torch import nn

import torchq
from torchq.nn.quantized.identity import Identity
from torchq.quantization import DeQuantStub, QuantStub, convert, fuse_modules, get_default_qconfig, prepare

X = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def prepared() -> nn.Module:
    layers = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()
    model = fuse_modules(nn.Sequential(QuantStub(), *layers, DeQuantStub()).eval(), ["1", "2", "3"])
    model.qconfig = get_default_qconfig()
    model = prepare(model)
    model(X)
    return model


def test_convert_puts_them_where_modules_were_fused():
    model = convert(prepared())
    assert [type(part) for part in model[2:4]] == [Identity, Identity]
    assert all(isinstance(part, nn.Identity) for part in model[2:4])
    assert repr(model[2]) == "Identity()"
    assert list(model.state_dict()) == list(nn.Sequential(*model[:2], model[4]).state_dict())


def test_results_are_those_of_ordinary_ones():
    model = convert(prepared())
    expected = model(X)
    for i in (2, 3):
        model[i] = nn.Identity()
    assert torch.equal(model(X), expected)


def test_identities_with_hooks_stay_as_they_are():
    model, seen = prepared(), []
    model[2].register_forward_hook(lambda module, args, output: seen.append(type(output)))
    model = convert(model)
    assert [type(part) for part in model[2:4]] == [nn.Identity, Identity]
    model(X)
    assert seen == [torchq.QTensor]


def test_identities_with_a_forward_of_their_own_stay_as_they_are():
    model, seen = prepared(), []
    model[2].forward = lambda x: seen.append(type(x)) or x
    model = convert(model, inplace=True)
    seen.clear()
    model(X)
    assert type(model[2]) is nn.Identity
    assert seen == [torchq.QTensor]


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of the old kind of backward hook
@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("register_forward_pre_hook", 2),
        ("register_forward_hook", 3),
        ("register_full_backward_pre_hook", 2),
        ("register_full_backward_hook", 3),
        ("register_backward_hook", 3),
    ],
)
def test_a_hook_is_called(method, arguments):
    identity, calls = Identity(), []
    handle = getattr(identity, method)(lambda *given: calls.append(given))
    assert type(identity) is nn.Identity
    x = torch.ones(1, requires_grad=True) * 2
    identity(x).sum().backward()
    assert [len(given) for given in calls] == [arguments]
    handle.remove()
    identity(x)
    assert len(calls) == 1


def test_keywords_of_hooks_are_handed_on():
    identity, order = Identity(), []
    identity.register_forward_hook(lambda *given: order.append("first"))
    identity.register_forward_hook(lambda *given: order.append("second"), prepend=True)
    identity(X)
    assert order == ["second", "first"]


def test_models_with_them_are_copied_pickled_compiled_and_exported():
    model = convert(prepared())
    expected = model(X)
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    assert all(torch.equal(other(X), expected) for other in copies)
    assert torch.equal(torch.compile(model, backend="eager", fullgraph=True)(X), expected)
    assert torch.equal(torch.export.export(model, (X,)).module()(X), expected)
