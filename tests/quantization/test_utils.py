import itertools

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import register_parametrization

import torchq
from torchq.dtypes import from_torch
from torchq.quantization import (
    FixedQParamsObserver,
    MinMaxObserver,
    NoopObserver,
    PlaceholderObserver,
    QConfig,
    QuantType,
    default_dynamic_qconfig,
    default_float_qparams_observer,
    default_per_channel_weight_observer,
    default_qconfig,
    utils,
)

DTYPES = ["quint8", "qint8", "qint32", "quint4x2", "uint8", "int8", "int16", "uint16", "int32", "float16", "float32"]
DTYPES += ["float8_e5m2", "float8_e4m3fn"]
QUESTIONS = [
    "activation_dtype",
    "activation_is_dynamically_quantized",
    "activation_is_int8_quantized",
    "activation_is_int32_quantized",
    "activation_is_statically_quantized",
    "get_qconfig_dtypes",
    "op_is_int8_dynamically_quantized",
    "weight_dtype",
    "weight_is_quantized",
    "weight_is_statically_quantized",
]
EPS = torch.tensor([torch.finfo(torch.float32).eps])


def dtype_of(name):
    return getattr(torchq, name, None) or getattr(torch, name)


def pairs(torch_ao):
    """The same qconfig of torch.ao and of torchq, for all dtypes of activations and weights."""
    for activation, weight, is_dynamic in itertools.product(DTYPES, DTYPES, [False, True]):
        both = []
        for package, of in ((torch_ao, lambda name: getattr(torch, name)), (torchq.quantization, dtype_of)):
            observer = package.PlaceholderObserver.with_args(dtype=of(activation), is_dynamic=is_dynamic)
            both.append(package.QConfig(observer, package.PlaceholderObserver.with_args(dtype=of(weight))))
        yield both


@pytest.mark.parametrize("question", QUESTIONS)
def test_questions_have_the_answers_of_torch_ao(torch_ao, question):
    for theirs, own in pairs(torch_ao):
        answer = getattr(torch_ao.utils, question)(theirs)
        expected = tuple(map(from_torch, answer)) if isinstance(answer, tuple) else from_torch(answer)
        assert getattr(utils, question)(own) == expected


def test_kind_of_quantization_is_that_of_torch_ao(torch_ao):
    for theirs, own in pairs(torch_ao):
        try:
            expected = torch_ao.utils.get_quant_type(theirs)
        except Exception as error:
            assert "Unrecognized dtype combination" in str(error)  # noqa: PT017
            with pytest.raises(ValueError, match="are no kind of quantization"):
                utils.get_quant_type(own)
        else:
            assert utils.get_quant_type(own) == QuantType(int(expected))


def test_kinds_have_the_numbers_of_torch_ao(torch_ao):
    assert {kind.name: kind.value for kind in QuantType} == {kind.name: kind.value for kind in torch_ao.QuantType}


@pytest.mark.parametrize("question", [*QUESTIONS, "get_quant_type"])
def test_questions_about_no_qconfig_are_an_error(question):
    with pytest.raises(ValueError, match="expected a QConfig, got None"):
        getattr(utils, question)(None)


def test_kind_of_the_default_qconfigs():
    assert utils.get_quant_type(default_qconfig) is QuantType.STATIC
    assert utils.get_quant_type(default_dynamic_qconfig) is QuantType.DYNAMIC


@pytest.mark.parametrize("reduce_range", [False, True])
@pytest.mark.parametrize("ends", [None, (0, 100), (-8, 7)], ids=str)
@pytest.mark.parametrize("dtype", ["quint8", "qint8", "qint32", "quint4x2", "int16"])
def test_range_is_that_of_torch_ao(torch_ao, dtype, ends, reduce_range):
    arguments = (*(ends or (None, None)), ends is not None)
    expected = torch_ao.utils.calculate_qmin_qmax(*arguments, getattr(torch, dtype), reduce_range)
    low, high = torchq.quantization.qparams.dtype_range(dtype_of(dtype))
    if ends and (ends[0] < low or ends[1] > high):
        with pytest.raises(ValueError, match=rf"must lie in \[{low}, {high}\]"):
            utils.calculate_qmin_qmax(*arguments, dtype_of(dtype), reduce_range)
    else:
        assert utils.calculate_qmin_qmax(*arguments, dtype_of(dtype), reduce_range) == expected


def test_ends_count_only_if_the_range_is_customized():
    assert utils.calculate_qmin_qmax(0, 7, False, torchq.quint8, False) == (0, 255)


@pytest.mark.parametrize("ends", [(1, 2), (-2, -1), (0, 0), (3, -3)], ids=str)
def test_range_without_zero_is_an_error(ends):
    with pytest.raises(ValueError, match="must enclose 0 and differ"):
        utils.validate_qmin_qmax(*ends)


@pytest.mark.parametrize("ends", [(0, 1), (-1, 0), (-128, 127)], ids=str)
def test_range_with_zero_is_valid(ends):
    utils.validate_qmin_qmax(*ends)


@pytest.mark.parametrize("customized", [False, True])
@pytest.mark.parametrize("scheme", ["per_tensor_affine", "per_tensor_symmetric"])
@pytest.mark.parametrize("dtype", ["quint8", "qint8"])
@pytest.mark.parametrize("low", [-3.3, 0.0, 1.1])
def test_determined_qparams_are_those_of_torch_ao(torch_ao, low, dtype, scheme, customized):
    ends = torch.tensor(low), torch.tensor(2.2)
    grid = (0, 100) if customized else utils.calculate_qmin_qmax(None, None, False, dtype_of(dtype), False)
    expected = torch_ao.utils.determine_qparams(
        *ends, *grid, getattr(torch, dtype), EPS, customized, getattr(torch, scheme)
    )
    found = utils.determine_qparams(*ends, *grid, dtype_of(dtype), EPS, customized, getattr(torchq, scheme))
    assert [value.dtype for value in found] == [value.dtype for value in expected]
    assert all(torch.equal(own, other) for own, other in zip(found, expected, strict=True))


def test_determined_float_zero_points_stay_floats():
    ends = torch.tensor([-1.0]), torch.tensor([1.0])
    scheme = torchq.per_channel_affine_float_qparams
    scale, zero_point = utils.determine_qparams(*ends, 0, 255, torchq.quint8, EPS, False, scheme)
    assert torch.equal(scale, (torch.tensor([2.0]) / 255).double())
    assert torch.equal(zero_point, 1 / (torch.tensor([2.0]) / 255))


def test_determining_qparams_of_no_range_is_an_error():
    empty = MinMaxObserver()
    with pytest.raises(ValueError, match="there is no range to choose from: min_val=inf, max_val=-inf"):
        utils.determine_qparams(empty.min_val, empty.max_val, 0, 255, torchq.quint8, EPS, False)


@pytest.mark.parametrize(
    ("low", "high", "valid"),
    [(-1.0, 1.0, True), (1.0, 1.0, True), (float("inf"), float("-inf"), False), ([], [], False), ([0.0], [1.0], True)],
)
def test_range_is_valid_if_it_has_data(low, high, valid):
    assert utils.check_min_max_valid(torch.tensor(low), torch.tensor(high)) is valid


@pytest.mark.parametrize(("low", "high"), [(2.0, 1.0), (float("nan"), 1.0), ([0.0, 2.0], [1.0, 1.0])])
def test_minimum_above_its_maximum_is_an_error(low, high):
    with pytest.raises(ValueError, match="a minimum is not below its maximum"):
        utils.check_min_max_valid(torch.tensor(low), torch.tensor(high))


def test_underlying_dtype_is_the_storage():
    expected = {torchq.quint4x2: torch.uint8, torchq.qint32: torch.int32, torch.int16: torch.int16}
    assert {dtype: utils.to_underlying_dtype(dtype) for dtype in expected} == expected
    with pytest.raises(TypeError, match=r"got torch\.float32"):
        utils.to_underlying_dtype(torch.float32)


@pytest.mark.parametrize("scheme", list(torchq.QScheme), ids=str)
def test_scheme_is_per_tensor_or_per_channel(scheme):
    assert utils.is_per_tensor(scheme) is scheme.value.startswith("per_tensor")
    assert utils.is_per_channel(scheme) is scheme.value.startswith("per_channel")


def test_qparams_of_an_observer():
    observer = MinMaxObserver(dtype=torchq.qint8, qscheme=torchq.per_tensor_symmetric)
    observer(torch.tensor([-1.27]))
    found = utils.get_qparam_dict(observer)
    assert (found.pop("scale").numel(), found.pop("zero_point").item()) == (1, 0)
    assert found == {
        "qscheme": torchq.per_tensor_affine,
        "dtype": torchq.qint8,
        "quant_min": -128,
        "quant_max": 127,
    }


@pytest.mark.parametrize(
    ("factory", "scheme"),
    [
        (default_per_channel_weight_observer, "per_channel_affine"),
        (default_float_qparams_observer, "per_channel_affine_float_qparams"),
    ],
)
def test_qparams_per_channel_have_an_axis(factory, scheme):
    observer = factory(ch_axis=1)
    observer(torch.ones(2, 3))
    found = utils.get_qparam_dict(observer)
    assert (found["qscheme"], found["axis"]) == (getattr(torchq, scheme), 1)
    assert torch.equal(found["scale"], observer.calculate_qparams()[0])


@pytest.mark.parametrize("observer", [PlaceholderObserver(torch.float16), NoopObserver(torch.float16)])
def test_observer_without_qparams_has_a_dtype_only(observer):
    assert utils.get_qparam_dict(observer) == {"qscheme": None, "dtype": torch.float16}


def test_qparams_without_data_are_an_error():
    with pytest.raises(RuntimeError, match="never saw data"):
        utils.get_qparam_dict(MinMaxObserver())


def test_fixed_qparams_are_qparams():
    assert utils.get_qparam_dict(FixedQParamsObserver(0.5, 3))["zero_point"].tolist() == [3]


def test_parametrizations_are_no_children():
    linear = nn.Linear(2, 2)
    register_parametrization(linear, "weight", nn.Identity())
    assert utils.has_no_children_ignoring_parametrizations(linear)
    assert utils.has_no_children_ignoring_parametrizations(nn.ReLU())
    assert not utils.has_no_children_ignoring_parametrizations(nn.Sequential(nn.ReLU()))


def test_dotted_name_is_followed():
    assert utils.getattr_from_fqn(nn.ModuleDict({"a": nn.Linear(3, 2)}), "a.in_features") == 3
    with pytest.raises(AttributeError, match="no attribute 'b'"):
        utils.getattr_from_fqn(nn.Module(), "b.c")


def test_additional_dictionary_comes_first():
    default = {"a": 1, "b": 1}
    assert utils.get_combined_dict(default, {"b": 2, "c": 3}) == {"a": 1, "b": 2, "c": 3}
    assert default == {"a": 1, "b": 1}


def test_weightless_qconfig_has_no_weight_dtype():
    with pytest.raises(ValueError, match="says nothing of a weight"):
        utils.weight_dtype(QConfig(MinMaxObserver, None))
