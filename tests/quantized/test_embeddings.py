"""Embeddings beside those of torch.ops.quantized: the bytes of their rows, and sums of them."""

import pytest
import torch

import torchq
from quantized.calls import Source

pytestmark = pytest.mark.usefixtures("one_thread", "torch_ao")
LIBRARIES = ((torchq, torchq.quantized), (torch, torch.ops.quantized))
PREPACK = {8: "embedding_bag_byte_prepack", 4: "embedding_bag_4bit_prepack", 2: "embedding_bag_2bit_prepack"}
RANGES = {
    8: "embedding_bag_byte_prepack_with_rowwise_min_max",
    4: "embedding_bag_4bit_prepack_with_rowwise_min_max",
    2: "embedding_bag_2bit_prepack_with_rowwise_min_max",
}
UNPACK = {8: "embedding_bag_byte_unpack", 4: "embedding_bag_4bit_unpack", 2: "embedding_bag_2bit_unpack"}
SUMS = {
    8: "embedding_bag_byte_rowwise_offsets",
    4: "embedding_bag_4bit_rowwise_offsets",
    2: "embedding_bag_2bit_rowwise_offsets",
}
PACKED_SUMS = {8: "embedding_bag_byte", 4: "embedding_bag_4bit"}
TABLES = {
    "random": torch.randn(20, 12, generator=torch.Generator().manual_seed(0)),
    "small": torch.randn(5, 4, generator=torch.Generator().manual_seed(1)) * 1e-3,
    "wide": torch.randn(5, 72, generator=torch.Generator().manual_seed(2)) * 1e4,
    "constant": torch.full((3, 8), 0.7),
    "zero": torch.zeros(3, 8),
    "tiny": torch.tensor([[0.0, 1e-40, 2e-40, 3e-40], [0, 1e-9, 1e-8, 1e-7]]),
    "float16": torch.randn(6, 16, generator=torch.Generator().manual_seed(3)).half(),
}


def both(call):
    return [call(q, Source(library, 0)) for library, q in LIBRARIES]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("bits", PREPACK)
def test_rows_are_torchs(bits, table):
    given, expected = both(lambda q, _: getattr(q, PREPACK[bits])(TABLES[table]))
    assert torch.equal(given, expected)


@pytest.mark.parametrize("bits", [4, 2])
def test_rows_of_searched_ranges_are_torchs(bits):
    given, expected = both(lambda q, _: getattr(q, PREPACK[bits])(TABLES["random"], True, 50, 0.3))
    assert torch.equal(given, expected)


@pytest.mark.parametrize("bits", PREPACK)
def test_rows_of_given_ranges_are_torchs(bits):
    # Wider than the values, and narrower: those beyond saturate.
    table = TABLES["random"]
    ranges = torch.stack(table.aminmax(dim=1), 1) * torch.linspace(0.999 if bits == 8 else 0.5, 2, 20)[:, None]
    if bits == 8:
        ranges = torch.stack(table.aminmax(dim=1), 1) * torch.linspace(1, 2, 20)[:, None]
    name = RANGES[bits]
    given, expected = both(lambda q, _: getattr(q, name)(table, ranges))
    assert torch.equal(given, expected)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("bits", PREPACK)
def test_values_of_rows_are_torchs(bits, table):
    rows = getattr(torchq.quantized, PREPACK[bits])(TABLES[table])
    given, expected = both(lambda q, _: getattr(q, UNPACK[bits])(rows))
    # A product and a sum, rounded once here and twice there.
    assert torch.allclose(given, expected, rtol=2**-22, atol=float(TABLES[table].abs().max()) * 2**-22)


def test_rows_of_more_dimensions_are_torchs():
    table = TABLES["random"].view(4, 5, 12)
    given, expected = both(lambda q, _: q.embedding_bag_byte_prepack(table))
    assert torch.equal(given, expected)
    assert torchq.quantized.embedding_bag_byte_unpack(given).shape == table.shape


@pytest.mark.parametrize("bits", [8, 4])
def test_packed_weight_is_torchs(bits):
    own, theirs = both(lambda q, of: q.embedding_bag_prepack(of.table(20, 12, bits)))
    # torch's weight lives as long as what it was packed in.
    given, expected = torchq.quantized.embedding_bag_unpack(own), torch.ops.quantized.embedding_bag_unpack(theirs)
    assert torch.equal(given.int_repr().view(-1), expected.int_repr().view(-1))
    assert own.bit_rate() == theirs.bit_rate() == bits
    # float16 with 4 bits, of which torch gives back what it was given.
    assert torch.allclose(given.q_per_channel_scales(), expected.q_per_channel_scales(), rtol=2**-10)


@pytest.mark.parametrize("shape", [(7,), (2, 3), (0,)])
@pytest.mark.parametrize("bits", [8, 4])
def test_rows_that_are_looked_up_are_torchs(bits, shape):
    indices = torch.randint(0, 20, shape, generator=torch.Generator().manual_seed(0))
    name = "embedding_byte" if bits == 8 else "embedding_4bit"
    given, expected = both(
        lambda q, of: getattr(q, name)(q.embedding_bag_prepack(of.table(20, 12, bits)), indices.clone())
    )
    assert torch.allclose(given, expected.view_as(given), rtol=2**-22, atol=2**-20)


INDICES = torch.tensor([3, 7, 7, 0, 19, 4, 3])
WEIGHTS = torch.linspace(-1, 1, 7)
ARGUMENTS = {
    "offsets": (INDICES, torch.tensor([0, 2, 2, 6])),
    "last-offset": (INDICES, torch.tensor([0, 2, 7]), False, 0, False, None, None, True),
    "weights": (INDICES, torch.tensor([0, 2, 2, 6]), False, 0, False, WEIGHTS),
    "rows-of-indices": (INDICES[:6].view(2, 3),),
    "int32": (INDICES.int(), torch.tensor([0, 2, 2, 6]).int()),
    "nothing-taken-out": (INDICES, torch.tensor([0, 2, 6]), False, 0, True, None, torch.zeros(1, dtype=torch.int32)),
}
# Half of the rows: the even ones.
MAPPING = torch.tensor([i // 2 if i % 2 == 0 else -1 for i in range(40)], dtype=torch.int32)
ARGUMENTS["pruned"] = (INDICES, torch.tensor([0, 2, 2, 6]), False, 0, True, WEIGHTS, MAPPING)


def rows_of(bits):
    return getattr(torchq.quantized, PREPACK[bits])(TABLES["random"])


@pytest.mark.parametrize("arguments", ARGUMENTS)
@pytest.mark.parametrize("bits", PREPACK)
def test_sums_of_rows_are_torchs(bits, arguments):
    name = SUMS[bits]
    given, expected = both(lambda q, _: getattr(q, name)(rows_of(bits), *ARGUMENTS[arguments]))
    # At most 4 rows below 4, added in any order: some roundings of float32.
    assert (given - expected).abs().max() <= 4 * 4 * 4 * 2**-24


@pytest.mark.parametrize("arguments", ARGUMENTS)
@pytest.mark.parametrize("bits", [8, 4])
def test_sums_of_packed_rows_are_torchs(bits, arguments):
    name = PACKED_SUMS[bits]
    given, expected = both(
        lambda q, of: getattr(q, name)(q.embedding_bag_prepack(of.table(20, 12, bits)), *ARGUMENTS[arguments])
    )
    assert (given - expected).abs().max() <= 4 * 4 * 4 * 2**-24


@pytest.mark.parametrize("bits", PREPACK)
def test_means_of_rows_are_means(bits):
    # torch adds up whatever the mode says: docs/numerics.md, Beside torch.ao.
    run = getattr(torchq.quantized, SUMS[bits])
    sums, means = (run(rows_of(bits), INDICES[:6].view(2, 3), mode=mode) for mode in (0, 1))
    assert (means - sums / 3).abs().max() <= 4 * 4 * 4 * 2**-24
