"""QTensors go through torch.export and torch.compile, and nothing but torchq's operators is left of them."""

import pytest
import torch
import torch.nn.functional as F

import torchq

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def _forget_what_was_compiled():
    torch._dynamo.reset()


def quantize_pool_dequantize(x):
    q = torchq.quantize_per_tensor(x, 0.1, 10, torchq.quint8)
    return F.max_pool2d(F.relu(q), 2).dequantize()


def channels_there_and_back(x):
    scales, zero_points = torch.linspace(0.05, 0.2, x.shape[1]), torch.arange(x.shape[1])
    return torchq.quantize_per_channel(x, scales, zero_points, 1, torchq.qint8).dequantize()


def image(*shape, seed=0):
    return 5 * torch.randn(*(shape or (2, 4, 6, 8)), generator=torch.Generator().manual_seed(seed))


def called_operators(exported):
    return [node.target.name() for node in exported.graph.nodes if node.op == "call_function"]


def as_module(function):
    class Call(torch.nn.Module):
        def forward(self, *args):
            return function(*args)

    return Call()


@pytest.mark.parametrize("strict", [False, True], ids=["non-strict", "strict"])
def test_export_leaves_torchqs_operators_alone(strict):
    x = image()
    exported = torch.export.export(as_module(quantize_pool_dequantize), (x,), strict=strict)
    assert called_operators(exported) == [
        "torchq::quantize_per_tensor",
        "torchq::relu",
        "torchq::max_pool",
        "torchq::dequantize_per_tensor",
    ]
    other = image(seed=1)
    assert torch.equal(exported.module()(other), quantize_pool_dequantize(other))


def test_export_serves_other_batch_sizes():
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(
        as_module(quantize_pool_dequantize), (image(),), dynamic_shapes=(({0: batch},),), strict=False
    )
    other = image(7, 4, 6, 8, seed=1)
    assert torch.equal(exported.module()(other), quantize_pool_dequantize(other))


def test_exported_program_is_saved_and_loaded(tmp_path):
    x = image()
    exported = torch.export.export(as_module(quantize_pool_dequantize), (x,), strict=False)
    torch.export.save(exported, tmp_path / "program.pt2")
    loaded = torch.export.load(tmp_path / "program.pt2")
    assert torch.equal(loaded.module()(x), quantize_pool_dequantize(x))


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize(
    "function", [quantize_pool_dequantize, channels_there_and_back], ids=["per-tensor", "per-channel"]
)
def test_compiles_without_a_graph_break(function, backend):
    x = image()
    compiled = torch.compile(function, backend=backend, fullgraph=True)
    assert torch.equal(compiled(x), function(x))


def test_compiled_function_takes_and_gives_qtensors():
    def pool(q):
        return F.max_pool2d(F.relu(q), 2)

    compiled = torch.compile(pool, backend="aot_eager", fullgraph=True)
    for scale, zero_point in ((0.1, 10), (0.2, 10), (0.2, 30)):  # parameters are guarded: no stale ones
        q = torchq.quantize_per_tensor(image(), scale, zero_point, torchq.quint8)
        result = compiled(q)
        assert type(result) is torchq.QTensor
        assert (result.q_scale(), result.q_zero_point()) == (scale, zero_point)
        assert torch.equal(result, pool(q))


def test_compiled_function_sees_whether_parameters_are_equal():
    compiled = torch.compile(lambda a, b: torch.cat([a, b]), backend="aot_eager", fullgraph=True)
    first, second = (torchq.quantize_per_tensor(image(), scale, 10, torchq.quint8) for scale in (0.1, 0.2))
    assert torch.equal(compiled(first, first), torch.cat([first, first]))
    result = compiled(first, second)
    assert (type(result), result.q_scale()) == (torchq.QTensor, 0.1)
    assert torch.equal(result, torch.cat([first, second]))


def test_compiled_function_takes_channels():
    scales, zero_points = torch.tensor([0.1, 0.2]), torch.tensor([1, 2])
    compiled = torch.compile(lambda q: q.contiguous().dequantize() + 1.0, backend="aot_eager", fullgraph=True)
    for factor in (1.0, 2.0):
        q = torchq.quantize_per_channel(image(2, 3), factor * scales, zero_points, 0, torchq.qint8)
        assert torch.equal(compiled(q), q.dequantize() + 1.0)


COMPILED = {
    "index": lambda q: q[:, 1:3],
    "sort": lambda q: q.sort(1).values,
    "max": lambda q: q.max(1).values,
    "mean": lambda q: q.mean((2, 3)),
    "compare": lambda q: q > 1.0,
    "pad": lambda q: F.pad(q, (1, 0), value=0.5),
    "pad-reflect": lambda q: F.pad(q, (1, 1, 0, 1), mode="reflect"),
    "masked_fill": lambda q: q.masked_fill(torch.arange(8) > 2, 1.0),
    "fill_": lambda q: q.clone().fill_(1.0),
    "ones_like": torch.ones_like,
    "stack": lambda q: torch.stack([q, q.flip(0)]),
    "permute": lambda q: q.permute(3, 0, 1, 2),
    "reshape": lambda q: q.reshape(2, 4, 48),
}
PER_TENSOR_ONLY = {"sort", "max", "mean", "masked_fill", "stack", "pad", "pad-reflect"}


@pytest.mark.parametrize("name", COMPILED)
def test_compiled_functions_give_the_same(name):
    q = torchq.quantize_per_tensor(image(), 0.1, 10, torchq.quint8)
    qparams = (torch.linspace(0.05, 0.2, 4), torch.arange(4), 1)
    channels = torchq.quantize_per_channel(image(), *qparams, torchq.quint8)
    for given in (q, channels)[: 1 if name in PER_TENSOR_ONLY else 2]:
        compiled = torch.compile(COMPILED[name], backend="aot_eager", fullgraph=True)
        result, expected = compiled(given), COMPILED[name](given)
        assert type(result) is type(expected)
        assert torch.equal(result, expected)


def test_inference_mode_changes_nothing():
    x = image()
    with torch.inference_mode():
        inside = quantize_pool_dequantize(x)
    assert torch.equal(inside, quantize_pool_dequantize(x))
