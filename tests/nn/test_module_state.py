"""Saving, loading, copying and casting quantized modules."""

import copy
import io

import pytest
import torch
from torch import nn

import torchq
from nn.quantized_modules import FLOAT, MAKE, STATIC, example, filled
from torchq.nn.quantized import Linear, dynamic
from torchq.qtensor import QTensor

WITH_WEIGHT = [
    "Linear",
    "Linear-without-bias",
    "dynamic.Linear",
    "Conv2d",
    "ConvTranspose2d",
    "dynamic.ConvTranspose1d",
]
EVERY = [*STATIC, *FLOAT]


def assert_same_state(first, second):
    assert first.state_dict().keys() == second.state_dict().keys()
    for name, value in first.state_dict().items():
        other = second.state_dict()[name]
        assert value.dtype == other.dtype
        assert torch.equal(value, other)


@pytest.mark.parametrize("per_channel", [False, True], ids=["per-tensor", "per-channel"])
@pytest.mark.parametrize("name", MAKE)
def test_state_dict_fills_a_new_module(name, per_channel):
    saved, loaded = filled(name, per_channel), MAKE[name]()
    file = io.BytesIO()
    torch.save(saved.state_dict(), file)
    file.seek(0)
    loaded.load_state_dict(torch.load(file, weights_only=True))
    assert_same_state(saved, loaded)


def integers_or_values(module, name):
    result = module(example(name))
    return result.int_repr() if isinstance(result, QTensor) else result


@pytest.mark.parametrize("per_channel", [False, True], ids=["per-tensor", "per-channel"])
@pytest.mark.parametrize("name", EVERY)
def test_loaded_module_gives_what_the_saved_one_gives(name, per_channel):
    saved, loaded = filled(name, per_channel), MAKE[name]()
    if name in STATIC and name != "ReLU6":
        loaded.set_output_qparams(0.1, 0)
    if name in FLOAT:
        loaded(example(name))  # what was prepared for other weights must be forgotten
    loaded.load_state_dict(saved.state_dict())
    assert torch.equal(integers_or_values(loaded, name), integers_or_values(saved, name))


@pytest.mark.parametrize("name", EVERY)
def test_copy_gives_what_the_module_gives(name):
    module = filled(name)
    expected = integers_or_values(module, name)
    assert torch.equal(integers_or_values(copy.deepcopy(module), name), expected)


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy], ids=["deepcopy", "copy"])
def test_copy_has_the_same_state(name, copied):
    module = filled(name)
    assert_same_state(module, copied(module))


@pytest.mark.parametrize("name", MAKE)
def test_pickled_module_has_the_same_state(name):
    module, file = filled(name), io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    assert_same_state(module, torch.load(file, weights_only=False))


def test_state_dict_holds_the_plain_weight():
    module = filled("Conv2d")
    state = module.state_dict()
    assert set(state) == {"weight", "weight_scale", "weight_zero_point", "bias", "scale", "zero_point"}
    assert torch.equal(state["weight"], module.weight().int_repr())
    assert state["weight"].shape == (6, 2, 3, 3)


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("cast", [nn.Module.half, nn.Module.double, nn.Module.bfloat16])
def test_casting_leaves_the_module_as_it_is(name, cast):
    module = filled(name)
    before = copy.deepcopy(module)
    assert_same_state(cast(module), before)


def test_weight_is_held_once():
    module = Linear(1024, 1024, bias_=False)
    resident = sum(buffer.nbytes for buffer in module.buffers())
    assert resident < 1.1 * 1024 * 1024


def test_missing_entry_is_an_error():
    state = filled("Linear").state_dict()
    del state["weight_scale"]
    with pytest.raises(RuntimeError, match=r"Missing key\(s\) in state_dict: \"weight_scale\""):
        Linear(12, 7).load_state_dict(state)


def test_unexpected_entry_is_an_error():
    with pytest.raises(RuntimeError, match=r"Unexpected key\(s\) in state_dict: \"bias\""):
        Linear(12, 7, bias_=False).load_state_dict(filled("Linear").state_dict())


def test_wrong_shape_is_an_error_that_leaves_the_module_as_it_was():
    module = filled("Linear")
    before = copy.deepcopy(module)
    with pytest.raises(RuntimeError, match=r"size mismatch for 0\.weight: .*8, 12.*7, 12"):
        nn.Sequential(module).load_state_dict(nn.Sequential(Linear(12, 8)).state_dict())
    assert_same_state(module, before)


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("weight", torch.zeros(7, 12), "weight must be torch.int8, got torch.float32"),
        ("weight_scale", torch.zeros(7), "takes weight scales that are finite and > 0"),
        ("weight_zero_point", torch.full((7,), 1000), "zero.point.*1000"),
        ("weight_zero_point", torch.full((7,), 3.5), "weight_zero_point must be integers, got torch.float32"),
        ("zero_point", torch.tensor(300), r"must lie in \[0, 255\].*got 300"),
        ("zero_point", torch.tensor(3.5), "zero_point must be an integer, got 3.5"),
        ("scale", torch.tensor(0.0), "scale must be finite and above 0"),
    ],
    ids=[
        "float-weight",
        "weight-scale",
        "weight-zero-point",
        "float-weight-zero-point",
        "zero-point",
        "float-zero-point",
        "scale",
    ],
)
def test_bad_value_is_an_error_that_leaves_the_module_as_it_was(entry, value, message):
    saved = filled("Linear")
    saved.set_output_qparams(0.5, 9)
    loaded = nn.Sequential(MAKE["Linear"]())
    before = copy.deepcopy(loaded)
    state = {f"0.{name}": saved_value for name, saved_value in {**saved.state_dict(), entry: value}.items()}
    with pytest.raises(RuntimeError, match=rf"While loading '0': .*{message}"):
        loaded.load_state_dict(state)
    assert_same_state(loaded, before)


def test_granularity_is_part_of_the_state():
    loaded = dynamic.Linear(12, 7)
    loaded.load_state_dict(filled("dynamic.Linear").state_dict())
    assert loaded.granularity == "per_token"


def test_granularity_that_is_no_bool_is_an_error():
    module = filled("dynamic.Linear")
    with pytest.raises(RuntimeError, match=r"per_token must be torch\.bool, got torch\.int64"):
        module.load_state_dict({**dynamic.Linear(12, 7).state_dict(), "per_token": torch.tensor(0)})
    assert_same_state(module, filled("dynamic.Linear"))


def test_partial_state_changes_only_what_it_holds():
    module = filled("Linear")
    weight = module.weight()
    module.load_state_dict({"bias": torch.ones(7)}, strict=False)
    assert torch.equal(module.bias(), torch.ones(7))
    assert torch.equal(module.weight(), weight)


def test_zero_point_without_an_8_bit_dtype_keeps_the_output_dtype():
    module = filled("Linear")
    module.load_state_dict({"zero_point": torch.tensor(5)}, strict=False)
    assert (module.zero_point, module.output_dtype) == (5, torchq.qint8)


def test_modules_may_be_several_times_in_a_model():
    model = nn.Sequential(filled("Linear"), filled("Quantize"))
    loaded = nn.Sequential(MAKE["Linear"](), MAKE["Quantize"]())
    loaded.load_state_dict(model.state_dict())
    assert_same_state(model, loaded)
