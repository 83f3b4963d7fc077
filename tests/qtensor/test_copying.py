"""Copying into a QTensor: by its own scale and zero point from floats, with those of the source from QTensors."""

import multiprocessing

import pytest
import torch

import torchq
from qtensor.compare import HAS_TORCHS, assert_is_torchs

pytestmark = pytest.mark.usefixtures("one_thread")


def qtensor(values, scale=0.5, zero_point=10, dtype=torchq.quint8):
    return torchq.quantize_per_tensor(torch.tensor(values), scale, zero_point, dtype)


@pytest.mark.parametrize(
    "source",
    [
        torch.tensor([1.0, -2.0, 0.25]),
        torch.tensor([1.0, -2.0, 0.25], dtype=torch.float64),
        torch.tensor([1.0, -2.0, 0.25], dtype=torch.bfloat16),
        torch.tensor([1, -2, 0]),
        torch.tensor([True, False, True]),
        torch.tensor(3.0),
    ],
    ids=["float32", "float64", "bfloat16", "int64", "bool", "broadcast"],
)
def test_values_are_quantized_with_its_own_parameters(source):
    q = qtensor([0.0, 0.0, 0.0])
    expected = torchq.quantize_per_tensor(source.float().expand(3), 0.5, 10, torchq.quint8)
    assert q.copy_(source) is q
    assert torch.equal(q, expected)


def test_complex_values_are_refused():
    with pytest.raises(TypeError, match=r"a QTensor holds real numbers, got torch\.complex64"):
        qtensor([0.0]).copy_(torch.ones(1, dtype=torch.complex64))


def test_integers_of_equal_parameters_are_copied_in_place():
    q = qtensor([0.0, 0.0])
    view = q[:1]
    q.copy_(qtensor([1.0, 2.0]))
    assert (q.tolist(), view.tolist()) == ([1.0, 2.0], [1.0])


@pytest.mark.skipif(not HAS_TORCHS, reason="this torch has no quantized tensors to compare with")
def test_other_parameters_are_taken_over_as_torch_does():
    results = []
    for library in (torch, torchq):
        q, other = (
            library.quantize_per_tensor(torch.tensor(v), s, z, library.qint8)
            for v, s, z in (([0.0, 0.0], 0.5, 10), ([1.0], 0.2, 3))
        )
        results.append(q.copy_(other))
    assert_is_torchs(results[1], results[0])


def test_tensors_that_shared_memory_keep_their_values():
    q = qtensor([1.0, 2.0])
    detached, view = q.detach(), q[:1]
    q.copy_(qtensor([3.0, 4.0], 0.2, 3))
    assert q.tolist() == pytest.approx([3.0, 4.0])
    assert (detached.tolist(), view.tolist()) == ([1.0, 2.0], [1.0])


@pytest.mark.parametrize("source", [qtensor([1.0, 2.0], dtype=torchq.qint8), None], ids=["other-dtype", "other-scheme"])
def test_dtype_and_scheme_have_to_be_its_own(source):
    if source is None:
        source = torchq.quantize_per_channel(
            torch.ones(2), torch.tensor([0.1, 0.2]), torch.zeros(2).long(), 0, torchq.quint8
        )
    with pytest.raises(RuntimeError, match="copy_ needs the QTensor's own dtype and scheme"):
        qtensor([0.0, 0.0]).copy_(source)


def test_a_view_does_not_take_over_other_parameters():
    q = qtensor([1.0, 2.0, 3.0])
    with pytest.raises(RuntimeError, match=r"copy_ to a view.*\(0\.5, 10, None\), got \(0\.2, 3, None\)"):
        q[:1].copy_(qtensor([4.0], 0.2, 3))
    q[:1].copy_(qtensor([4.0]))
    assert q.tolist() == [4.0, 2.0, 3.0]


def test_what_may_be_a_view_does_not_either():
    with torch.inference_mode():
        q = qtensor([1.0, 2.0])
        with pytest.raises(RuntimeError, match="copy_ to a view, or to what was made in inference mode"):
            q.view(2).copy_(qtensor([3.0, 4.0], 0.2, 3))
        q.view(2).copy_(qtensor([3.0, 4.0]))
    assert q.tolist() == [3.0, 4.0]


def test_channels_of_another_shape_are_refused():
    scales, zero_points = torch.tensor([0.1, 0.2]), torch.zeros(2).long()
    q = torchq.quantize_per_channel(torch.ones(2, 3), scales, zero_points, 0, torchq.quint8)
    other = torchq.quantize_per_channel(torch.ones(1, 2), scales * 2, zero_points, 1, torchq.quint8)
    with pytest.raises(RuntimeError, match=r"copy_ of channels needs the QTensor's shape, \(2, 3\), got \(1, 2\)"):
        q.copy_(other)


def test_results_are_written_with_their_parameters():
    q, out = qtensor([1.0, 3.0, 2.0]), qtensor(0.0, 0.2, 3)
    assert torch.max(q, out=out) is out
    assert (out.item(), out.q_scale(), out.q_zero_point()) == (3.0, 0.5, 10)


def test_what_is_joined_is_written_with_those_of_the_result():
    q, out = qtensor([1.0, 3.0]), qtensor([0.0] * 4, 0.25, 3)
    assert torch.cat([q, q], out=out) is out
    assert (out.tolist(), out.q_scale(), out.q_zero_point()) == ([1.0, 3.0, 1.0, 3.0], 0.25, 3)


def test_results_have_the_shape_of_what_they_are_written_to():
    with pytest.raises(RuntimeError, match=r"out must have the result's shape, \(\), got \(3,\)"):
        torch.max(qtensor([1.0, 2.0]), out=qtensor([0.0] * 3))
    with pytest.raises(RuntimeError, match=r"out must have the result's shape, \(4,\), got \(3,\)"):
        torch.cat([qtensor([1.0, 2.0])] * 2, out=qtensor([0.0] * 3))


def test_plain_tensors_take_results_as_values():
    q = qtensor([1.0, 3.0, 2.0])
    for call in (
        lambda q, out: torch.index_select(q, 0, torch.tensor([1]), out=out),
        lambda q, out: torch.masked_select(q, torch.tensor([True, False, True]), out=out),
        lambda q, out: torch.mean(q, 0, out=out),
        lambda q, out: torch.cat([q, q], out=out),
    ):
        out = torch.empty(0)
        assert call(q, out) is out
        assert torch.equal(out, call(q.dequantize(), torch.empty(0)))


def test_masks_are_not_written_to_a_qtensor():
    with pytest.raises(RuntimeError, match="cannot write its result to a QTensor with out="):
        torch.eq(torch.ones(2), 1.0, out=qtensor([0.0, 0.0]))


def test_other_processes_get_it():
    """By pickling, as torch.multiprocessing passes what is no plain tensor."""
    q = qtensor([1.0, 2.0, 3.0])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(torchq.dequantize, (q,)).tolist() == [1.0, 2.0, 3.0]


def test_shared_memory_is_that_of_the_integers():
    q = qtensor([1.0, 2.0])
    assert not q.is_shared()
    assert q.share_memory_() is q
    assert q.is_shared()
    assert q._data.is_shared()


def test_data_is_another_qtensors():
    q, other = qtensor([1.0, 2.0]), qtensor([[3.0], [4.0], [5.0]], 0.2, 3)
    q.data = other
    assert (q.shape, q.stride(), q.q_scale()) == ((3, 1), (1, 1), 0.2)
    other.fill_(1.0)
    assert torch.equal(q, other)
