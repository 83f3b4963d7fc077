"""What a module lays out once, for its later calls, never outlives what it was made of."""

import copy
import pickle
import warnings

import pytest
import torch

import torchq
from nn.quantized_modules import STATIC, example, filled
from torchq.nn.quantized import DeQuantize, Quantize
from torchq.nn.quantized.static import StaticQuantizedModule

pytestmark = pytest.mark.usefixtures("one_thread")
NAMES = [name for name in STATIC if isinstance(filled(name), StaticQuantizedModule) and "LinearT" not in name]
NAMES.remove("LinearLeakyReLU")  # it and LinearTanh compute in two steps, and lay nothing out


def fresh(module):
    """A module with the same state that never ran."""
    other = copy.deepcopy(module)
    assert other._layers == {}
    return other


def requantized(x, scale, zero_point=3):
    return torchq.quantize_per_tensor(x.dequantize(), scale, zero_point, torchq.qint8)


@pytest.fixture(params=NAMES)
def used(request):
    """A module that ran twice, and its input."""
    module, x = filled(request.param), example(request.param)
    first = module(x)
    assert len(module._layers) == 1
    assert torch.equal(module(x), first)
    return module, x


def test_first_call_and_later_ones_agree_with_the_operator(used):
    module, x = used
    expected = module._operator(x if not hasattr(module, "_padded") else x._with_data(module._padded(x._data)))
    assert torch.equal(module(x).int_repr(), expected)


def test_output_qparams_may_change(used):
    module, x = used
    before = module(x)
    module.set_output_qparams(0.07, 11)
    assert torch.equal(module(x), fresh(module)(x))
    assert not torch.equal(module(x), before)


def test_output_qparams_may_be_set_as_attributes(used):
    module, x = used
    module.scale, module.zero_point = 0.5, 4
    assert torch.equal(module(x), fresh(module)(x))
    assert (module(x).q_scale(), module(x).q_zero_point()) == (0.5, 4)


def test_weight_and_bias_may_change(used):
    module, x = used
    before, weight = module(x), module.weight()
    module.set_weight_bias(weight._with_data(-1 - weight._data), None if module.bias() is None else module.bias() + 1)
    assert torch.equal(module(x), fresh(module)(x))
    assert not torch.equal(module(x), before)


def test_bias_that_was_handed_out_is_a_copy(used):
    module, x = used
    before = module(x)
    for tensor in (module.bias(), *module.state_dict().values()):
        if tensor is not None:
            tensor.fill_(1)
    assert torch.equal(module(x), before)
    assert torch.equal(fresh(module)(x), before)


def test_input_scale_may_change_at_each_call(used):
    module, x = used
    inputs = [requantized(x, scale) for scale in (0.02, 0.05, 0.11)] * 2
    assert all(torch.equal(module(q), fresh(module)(q)) for q in inputs)
    assert all(torch.equal(module(q), fresh(module)(q)) for q in [requantized(x, 0.02, z) for z in (-9, 0, 9)] * 2)


def test_only_so_many_are_kept(used):
    module, x = used
    for step in range(1, 60):
        module(requantized(x, step / 100))
    assert len(module._layers) <= 16


def test_input_dtype_may_change(used):
    module, x = used
    q = torchq.quantize_per_tensor(x.dequantize(), x.q_scale(), x.q_zero_point(), torchq.quint8)
    assert torch.equal(module(q), fresh(module)(q))
    assert torch.equal(module(x), fresh(module)(x))


@pytest.mark.skipif(len(torchq.cpu_capabilities()) == 1, reason="this CPU has one level")
def test_cpu_capability_may_change(used):
    module, x = used
    before, best = module(x), torchq.get_cpu_capability()
    for capability in torchq.cpu_capabilities():
        torchq.set_cpu_capability(capability)
        assert torch.equal(module(x), before)
        assert torch.equal(module(x), before)
    torchq.set_cpu_capability(best)


def test_what_does_not_fit_is_refused_after_calls_that_did(used):
    module, x = used
    with pytest.raises(ValueError, match="takes an input of shape"):
        module(x.flatten()[:1])
    assert torch.equal(module(x), fresh(module)(x))


def test_is_not_saved(used):
    module, _ = used
    size = len(pickle.dumps(fresh(module)))
    assert len(pickle.dumps(module)) == size
    assert copy.copy(module)._layers is not module._layers


def test_compiled_module_lays_nothing_out():
    torch._dynamo.reset()
    module, x = filled("Linear"), example("Linear")
    expected = module(x)
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    assert torch.equal(compiled(x), expected)
    untouched = fresh(module)
    assert torch.equal(torch.compile(untouched, backend="aot_eager", fullgraph=True)(x), expected)
    assert untouched._layers == {}


def test_a_trace_of_a_new_module_is_the_same_each_time():
    module = filled("Linear")
    model = torch.nn.Sequential(Quantize(0.05, 100, torchq.quint8), module, DeQuantize()).eval()
    x = torch.randn(3, module.in_features)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of tracing
        traced = torch.jit.trace(model, x)
    assert torch.equal(traced(x), model(x))
