"""Descriptions of which elements share a scale."""

import dataclasses

import pytest

from torchq import quantization
from torchq.quantization import (
    Granularity,
    MappingType,
    PerAxis,
    PerBlock,
    PerGroup,
    PerRow,
    PerTensor,
    PerToken,
    ZeroPointDomain,
    get_block_size,
)

CASES = {
    "PerTensor": ((2, 3, 4), ()),
    "PerAxis": ((2, 3, 4), (1,)),
    "PerAxis-last": ((2, 3, 4), (-1,)),
    "PerRow": ((2, 3, 4), ()),
    "PerToken": ((2, 3, 4), ()),
    "PerGroup": ((8, 16), (4,)),
}


@pytest.mark.parametrize("case", CASES)
def test_blocks_are_torch_aos(torch_ao, case):
    shape, arguments = CASES[case]
    name = case.split("-")[0]
    theirs, own = (getattr(library, name)(*arguments) for library in (torch_ao, quantization))
    assert get_block_size(shape, own) == torch_ao.get_block_size(shape, theirs)


def test_block_is_its_own_size():
    assert get_block_size((8, 16), PerBlock((2, 4))) == (2, 4)


def test_equal_descriptions_are_equal():
    assert PerAxis(0) == PerAxis(0) != PerAxis(1)
    assert PerRow() != PerToken()
    assert {PerGroup(4), PerGroup(4), PerTensor()} == {PerGroup(4), PerTensor()}
    assert isinstance(PerTensor(), Granularity)
    with pytest.raises(dataclasses.FrozenInstanceError):
        PerAxis(0).axis = 1


@pytest.mark.parametrize(
    ("shape", "granularity"),
    [((2, 3), PerAxis(2)), ((2, 3, 4), PerGroup(2)), ((2, 3), PerGroup(0)), ((2, 3), PerBlock((1,))), ((), PerRow())],
    ids=str,
)
def test_blocks_that_do_not_fit_are_an_error(shape, granularity):
    with pytest.raises(ValueError, match=r"a tensor of shape .* has no blocks of Per"):
        get_block_size(shape, granularity)


def test_class_in_place_of_a_description_is_an_error():
    with pytest.raises(TypeError, match=r"granularity must be one of PerTensor\(\).*, got <class"):
        get_block_size((2, 3), PerTensor)


@pytest.mark.parametrize("kind", [MappingType, ZeroPointDomain])
def test_members_are_torch_aos(torch_ao, kind):
    assert {m.name: m.value for m in kind} == {m.name: m.value for m in getattr(torch_ao, kind.__name__)}
