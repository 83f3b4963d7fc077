"""Every registered operator is complete. The walk starts at the schemas, so a new operator cannot be forgotten."""

import inspect

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map_only, tree_unflatten

import torchq
from ops.samples import SAMPLES, samples_of
from ops.samples.sample import same
from torchq import reference

SCHEMAS = {
    schema.name.removeprefix("torchq::"): schema
    for schema in torch._C._jit_get_all_schemas()
    if schema.name.startswith("torchq::")
}
# These have a result that tests/ops/samples/weight.py spells out instead.
WITHOUT_REFERENCE = {
    "pack_weight": "its result is a layout of bytes, not arithmetic",
    "unpack_weight": "it only undoes pack_weight",
}
# These are for code that is not traced: they have no fake function, and tests of their own (ops/test_layer.py).
NOT_TRACED = {"prepare_layer", "run_layer", "run_layer_add"}
TRACED = SCHEMAS.keys() - NOT_TRACED
TYPICAL = [sample for op in sorted(TRACED) for sample in samples_of(op, typical=True)]

every_op = pytest.mark.parametrize("op", SCHEMAS)
every_traced_op = pytest.mark.parametrize("op", sorted(TRACED))
every_typical_sample = pytest.mark.parametrize("sample", TYPICAL, ids=str)
pytestmark = pytest.mark.usefixtures("one_thread")


def overload(op):
    return getattr(torch.ops.torchq, op).default


def raw_arguments(sample):
    """The arguments as the registered operator takes them: what its wrapper hands on."""
    handed_on = []

    class Spy(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func is overload(sample.op):
                handed_on.append(args)
            return func(*args, **(kwargs or {}))

    with Spy():
        sample.run()
    (arguments,) = handed_on
    return arguments


def float_tensors(arguments):
    return [a for a in tree_leaves(arguments) if isinstance(a, torch.Tensor) and a.is_floating_point()]


def layout(result):
    return [(tensor.shape, tensor.dtype, tensor.stride()) for tensor in tree_leaves(result)]


def test_samples_are_of_registered_operators():
    assert {sample.op for sample in SAMPLES} == TRACED


@every_traced_op
def test_has_samples(op):
    assert len(samples_of(op)) >= 10
    assert len(samples_of(op, typical=True)) >= 2


@every_op
def test_has_a_cpu_kernel(op):
    assert torch._C._dispatch_has_kernel_for_dispatch_key(f"torchq::{op}", "CPU")


@every_op
def test_schema_has_no_strings(op):
    """Before torch 2.14 each call with one leaks memory."""
    assert "str" not in {
        str(argument.type).removeprefix("Optional[").removesuffix("]") for argument in SCHEMAS[op].arguments
    }


@every_op
def test_has_one_overload_that_changes_nothing_in_place(op):
    assert getattr(torch.ops.torchq, op).overloads() == ["default"]
    assert not SCHEMAS[op].is_mutable


@every_op
def test_has_a_documented_wrapper(op):
    wrapper = getattr(torchq.ops, op)
    assert op in torchq.ops.__all__
    assert len(wrapper.__doc__.splitlines()) > 1
    assert "Args:" in wrapper.__doc__
    documented = inspect.signature(wrapper)
    assert list(documented.parameters) == [argument.name for argument in SCHEMAS[op].arguments]
    assert all(p.annotation is not p.empty for p in documented.parameters.values())
    assert all(f" {name}: " in wrapper.__doc__ for name in documented.parameters)


@every_traced_op
def test_has_a_reference(op):
    assert (op in WITHOUT_REFERENCE) != callable(getattr(reference, op, None))


@every_typical_sample
def test_fake_has_the_shape_and_layout_of_the_result(sample):
    result, arguments = sample.run(), raw_arguments(sample)
    with FakeTensorMode() as mode:
        fake = overload(sample.op)(*tree_map_only(torch.Tensor, mode.from_tensor, arguments))
    assert layout(fake) == layout(result)


def on_meta(tensor):
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


@every_traced_op
def test_fake_has_the_layout_of_the_result_for_every_sample(op):
    """Without a FakeTensorMode around them, fakes of all samples cost little."""
    wrong = []
    for sample in samples_of(op):
        result = sample.run()
        fake = getattr(torchq.ops, op)(*tree_map_only(torch.Tensor, on_meta, sample.op_arguments))
        if layout(fake) != layout(result):
            wrong.append(f"{sample}: {layout(fake)} for {layout(result)}")
    assert wrong == []


@every_typical_sample
def test_passes_opcheck(sample):
    torch.library.opcheck(overload(sample.op), raw_arguments(sample))


@pytest.mark.parametrize("gradients", [torch.inference_mode, torch.no_grad], ids=["inference-mode", "no-grad"])
@every_typical_sample
def test_works_without_gradients(sample, gradients):
    with gradients():
        assert same(sample.run(), sample.expected)


@pytest.mark.parametrize("gradients", [torch.enable_grad, torch.no_grad], ids=["grad", "no-grad"])
@every_typical_sample
def test_compiles_without_a_graph_break(sample, gradients):
    torch._dynamo.reset()
    compiled = torch.compile(getattr(torchq.ops, sample.op), fullgraph=True, backend="aot_eager")
    with gradients():
        assert same(compiled(*sample.op_arguments), sample.expected)


@every_typical_sample
def test_exports(sample):
    function = getattr(torchq.ops, sample.op)
    leaves, structure = tree_flatten(sample.op_arguments)

    class Call(torch.nn.Module):
        def forward(self, *tensors):
            remaining = iter(tensors)
            filled = [next(remaining) if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
            return function(*tree_unflatten(filled, structure))

    tensors = tuple(leaf for leaf in leaves if isinstance(leaf, torch.Tensor))
    exported = torch.export.export(Call(), tensors, strict=False)
    assert overload(sample.op) in {node.target for node in exported.graph.nodes}
    assert same(exported.module()(*tensors), sample.expected)


@every_typical_sample
def test_is_forward_only(sample):
    arguments = [
        a.clone().requires_grad_() if isinstance(a, torch.Tensor) and a.is_floating_point() else a
        for a in sample.op_arguments
    ]
    result = getattr(torchq.ops, sample.op)(*arguments)
    assert same(result, sample.expected)
    for tensor in tree_leaves(result):
        if not tensor.is_floating_point() or not float_tensors(arguments):
            assert tensor.requires_grad is False
            continue
        assert tensor.requires_grad
        with pytest.raises(RuntimeError, match=f"forward-only: torchq::{sample.op}"):
            tensor.sum().backward()
