import pytest
import torch
from torch import nn

import torchq
from torchq import reference
from torchq.nn import qat
from torchq.nn.quantized import Embedding, EmbeddingBag
from torchq.quantization import (
    convert,
    default_dynamic_qconfig,
    default_embedding_qat_qconfig,
    default_embedding_qat_qconfig_4bit,
    default_qconfig,
    disable_observer,
    float_qparams_weight_only_qconfig,
    float_qparams_weight_only_qconfig_4bit,
    get_embedding_qat_module_mappings,
    get_embedding_static_quant_module_mappings,
    prepare,
    prepare_qat,
    quantize_dynamic,
)

pytestmark = pytest.mark.usefixtures("one_thread")
ROWS, COLUMNS = 20, 12
QCONFIGS = {8: float_qparams_weight_only_qconfig, 4: float_qparams_weight_only_qconfig_4bit}
QAT_QCONFIGS = {8: default_embedding_qat_qconfig, 4: default_embedding_qat_qconfig_4bit}
INDICES = torch.tensor([3, 7, 7, 0, 19, 4, 3])
OFFSETS = torch.tensor([0, 2, 2, 6])  # an empty bag is the second
BAGS = [[3, 7], [], [7, 0, 19, 4], [3]]


def made(kind, bits=8, **options):
    """A quantized module of random rows."""
    torch.manual_seed(0)
    module = {Embedding: nn.Embedding, EmbeddingBag: nn.EmbeddingBag}[kind](ROWS, COLUMNS, **options)
    module.qconfig = QCONFIGS[bits]
    return kind.from_float(module)


def bags(module, indices_of_bags, weights=None):
    """Sums or means in float64 of the rows that a module has."""
    rows = module.weight().dequantize().double()
    sums = []
    for position, indices in enumerate(indices_of_bags):
        factors = torch.ones(len(indices)) if weights is None else weights[position]
        total = (rows[indices] * factors[:, None]).sum(0) if indices else torch.zeros(COLUMNS).double()
        sums.append(total / max(len(indices), 1) if module.mode == "mean" else total)
    return torch.stack(sums)


def assert_sums(given, expected):
    # At most 4 rows below 4, with float16 parameters of 4 bits exact in float32: some roundings of float32.
    assert (given - expected).abs().max() <= 4 * 4 * 4 * 2**-24


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64], ids=str)
@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("shape", [(7,), (7, 1), (1, 7, 1), (0,), (0, 3), ()])
def test_looks_up_rows_for_indices_of_any_shape(shape, bits, dtype):
    module = made(Embedding, bits)
    indices = INDICES[: torch.Size(shape).numel()].view(shape).to(dtype)
    result = module(indices)
    assert result.shape == (*shape, COLUMNS)
    assert (result - module.weight().dequantize()[indices.long()]).abs().sum() <= 1e-5 * result.numel()


@pytest.mark.parametrize("bits", [8, 4])
def test_rows_are_within_half_a_step_of_the_float_ones(bits):
    torch.manual_seed(0)
    expected = nn.Embedding(ROWS, COLUMNS).weight
    module = made(Embedding, bits)
    step = (expected.amax(1) - expected.amin(1)) / (2**bits - 1)
    # float16 has the scale to 2**-11 of itself, and there are up to 15 or so steps from 0.
    assert ((module.weight().dequantize() - expected).abs().amax(1) <= step * (0.5001 if bits == 8 else 0.52)).all()


def test_rows_are_those_of_the_contract():
    weight, module = torch.randn(ROWS, COLUMNS), Embedding(ROWS, COLUMNS)
    scales, zero_points = torch.rand(ROWS) * 0.02 + 0.005, torch.rand(ROWS) * 200
    q = torchq.quantize_per_channel(weight, scales, zero_points, 0, torchq.quint8)
    module.set_weight(q)
    assert torch.equal(module.weight().int_repr(), q.int_repr())
    assert torch.equal(module.weight().q_per_channel_scales(), scales)
    bias = -(zero_points * scales)
    expected = reference.fma(scales[:, None], q.int_repr().float(), bias[:, None])
    assert torch.equal(module(torch.arange(ROWS)), expected)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64], ids=str)
@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_bags_are_added_up_or_averaged(mode, bits, dtype):
    module = made(EmbeddingBag, bits, mode=mode)
    assert_sums(module(INDICES.to(dtype), OFFSETS.to(dtype)), bags(module, BAGS))


def test_last_offset_is_given_where_the_module_says_so():
    module = made(EmbeddingBag, mode="sum", include_last_offset=True)
    assert_sums(module(INDICES, torch.tensor([0, 2, 2, 6, 7])), bags(module, BAGS))


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_matrix_has_a_bag_in_each_row(mode):
    module = made(EmbeddingBag, mode=mode)
    assert_sums(module(INDICES[:6].view(3, 2)), bags(module, [[3, 7], [7, 0], [19, 4]]))
    assert module(torch.zeros(3, 0, dtype=torch.int64)).eq(0).all()


@pytest.mark.parametrize("matrix", [False, True])
def test_weights_multiply_rows(matrix):
    module, weights = made(EmbeddingBag, mode="sum"), torch.randn(6)
    expected = bags(module, [[3, 7], [7, 0], [19, 4]], weights.double().view(3, 2))
    if matrix:
        given = module(INDICES[:6].view(3, 2), per_sample_weights=weights.view(3, 2))
    else:
        given = module(INDICES[:6], torch.tensor([0, 2, 4]), weights)
    assert_sums(given, expected)


@pytest.mark.parametrize("padding_idx", [7, -13])
@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_padding_does_not_count(mode, padding_idx):
    module = made(EmbeddingBag, mode=mode, padding_idx=padding_idx)
    without = [[index for index in bag if index != 7] for bag in BAGS]
    assert_sums(module(INDICES, OFFSETS), bags(module, without))


def test_padding_takes_its_weight_with_it():
    module, weights = made(EmbeddingBag, mode="sum", padding_idx=7), torch.arange(1.0, 8.0)
    expected = bags(module, [[3], [0, 19]], [weights[[0]], weights[[3, 4]]])
    assert_sums(module(INDICES[:5], torch.tensor([0, 2]), weights[:5]), expected)


def test_rows_that_were_taken_out_do_not_count():
    module = made(EmbeddingBag, mode="sum")
    # Of 25 rows once, the first five are gone.
    mapping = torch.cat([torch.full((5,), -1), torch.arange(ROWS)])
    given = module(torch.tensor([3, 5, 8, 2]), torch.tensor([0, 2]), compressed_indices_mapping=mapping)
    assert_sums(given, bags(module, [[0], [3]]))


@pytest.mark.parametrize("kind", [Embedding, EmbeddingBag])
@pytest.mark.parametrize("bits", [8, 4])
def test_training_and_conversion_give_the_rows_that_training_saw(bits, kind):
    float_kind = nn.Embedding if kind is Embedding else nn.EmbeddingBag
    model = nn.Sequential(float_kind(ROWS, COLUMNS)).train()
    model[0].qconfig = QAT_QCONFIGS[bits]
    prepared = prepare_qat(model, get_embedding_qat_module_mappings())
    assert isinstance(prepared[0], (qat.Embedding, qat.EmbeddingBag))
    prepared(INDICES.view(1, -1))
    prepared.apply(disable_observer)
    simulated = prepared[0].weight_fake_quant(prepared[0].weight)
    module = convert(prepared, get_embedding_static_quant_module_mappings())[0]
    assert type(module) is kind
    # Scale and bias are rounded, to float32 or to float16, and the scale's error counts for each of the steps.
    rounding, steps = (2**-23, 255) if bits == 8 else (2**-11, 15)
    largest = module.weight().q_per_channel_scales().max()
    assert (module.weight().dequantize() - simulated).abs().max() <= 2 * steps * largest * rounding


@pytest.mark.parametrize(
    ("dtype", "types"),
    [
        (torchq.quint8, [Embedding, EmbeddingBag, nn.Linear]),
        (torchq.quint4x2, [nn.Embedding, EmbeddingBag, nn.Linear]),
    ],
    ids=str,
)
def test_quantize_dynamic_by_dtype(dtype, types):
    model = nn.ModuleList([nn.Embedding(4, 2), nn.EmbeddingBag(4, 2), nn.Linear(2, 2)])
    quantized = quantize_dynamic(model, dtype=dtype)
    assert [type(module) for module in quantized] == types
    assert quantized[1].dtype is dtype


def test_static_recipe_takes_a_qconfig_with_float_qparams():
    model = nn.Sequential(nn.Embedding(4, 2)).eval()
    model[0].qconfig = float_qparams_weight_only_qconfig
    prepared = prepare(model)
    prepared(torch.tensor([1]))
    assert type(convert(prepared)[0]) is Embedding


@pytest.mark.parametrize("qconfig", [default_qconfig, default_dynamic_qconfig], ids=["static", "dynamic"])
def test_other_qconfig_is_an_error_that_says_how_to_stay_in_float(qconfig):
    model = nn.Sequential(nn.Embedding(4, 2)).eval()
    with pytest.raises(ValueError, match=r"cannot convert '0': .*float_qparams.* to leave it in float"):
        quantize_dynamic(model, {"0": qconfig})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Embedding(4, 2, max_norm=1.0), "does not renormalize rows.*got 1.0"),
        (lambda: EmbeddingBag(4, 2, mode="max"), "takes a mode of 'sum' or 'mean', got 'max'"),
        (
            lambda: Embedding(4, 2, dtype=torchq.qint8),
            r"a dtype of torchq\.quint8 or torchq\.quint4x2, got torchq\.qint8",
        ),
        (lambda: Embedding(4, 3, dtype=torchq.quint4x2), "takes an even embedding_dim, got 3"),
    ],
    ids=["max-norm", "mode", "dtype", "odd"],
)
def test_refuses_arguments_that_do_not_fit(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        (torch.zeros(ROWS, COLUMNS), TypeError, "takes a QTensor as weight, got Tensor"),
        (made(Embedding, 4).weight(), ValueError, r"weight of torchq\.quint8 .* got torchq\.quint4x2"),
        (made(Embedding).weight()[:5], ValueError, r"shape \(20, 12\).* got .*\(5, 12\)"),
        (torchq.quantize_per_tensor(torch.zeros(ROWS, COLUMNS), 0.1, 0, torchq.quint8), ValueError, "axis None"),
    ],
    ids=["float", "dtype", "shape", "one-scale"],
)
def test_refuses_weights_that_do_not_fit(weight, error, message):
    with pytest.raises(error, match=message):
        Embedding(ROWS, COLUMNS).set_weight(weight)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((INDICES,), ValueError, r"\[n\] with offsets \[bags\], got \(7,\) with None"),
        ((INDICES.view(1, 7), OFFSETS), ValueError, r"got \(1, 7\) with \(4,\)"),
        ((INDICES + 17, OFFSETS), RuntimeError, r"indices must lie in \[0, 19\], got 20"),
        ((INDICES, OFFSETS + 1), RuntimeError, "offsets must begin with 0"),
        ((INDICES.float(), OFFSETS), RuntimeError, "indices must be int32 or int64, got float32"),
        ((INDICES, OFFSETS, torch.ones(3)), RuntimeError, "per_sample_weights must have one entry per index, 7"),
    ],
    ids=["no-offsets", "matrix-with-offsets", "index", "offsets", "float", "weights"],
)
def test_bags_refuse_inputs_that_do_not_fit(arguments, error, message):
    with pytest.raises(error, match=message):
        made(EmbeddingBag, mode="sum")(*arguments)


def test_means_refuse_weights():
    with pytest.raises(RuntimeError, match="per_sample_weights go with mode 0"):
        made(EmbeddingBag, mode="mean")(INDICES, OFFSETS, torch.ones(7))
