"""What changes the integers of a QTensor in place, and what leaves them alone."""

import pytest
import torch
import torch.nn.functional as F

import torchq

pytestmark = pytest.mark.usefixtures("one_thread")


def qtensor(*values: float):
    return torchq.quantize_per_tensor(torch.tensor(values), 0.5, 10, torchq.quint8)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (torch.relu_, [10, 10, 11, 40]),
        (lambda q: q.relu_(), [10, 10, 11, 40]),
        (F.relu_, [10, 10, 11, 40]),
        (lambda q: F.relu(q, inplace=True), [10, 10, 11, 40]),
        (lambda q: F.relu6(q, inplace=True), [10, 10, 11, 22]),
        (lambda q: F.hardtanh(q, -2.0, 2.0, inplace=True), [6, 10, 11, 14]),
    ],
    ids=["torch.relu_", "relu_", "F.relu_", "F.relu", "F.relu6", "F.hardtanh"],
)
def test_changes_and_returns_the_same_tensor(change, expected):
    q = qtensor(-5.0, 0.0, 0.5, 15.0)
    view = q[:2]
    assert change(q) is q
    assert q.int_repr().tolist() == expected
    assert view.int_repr().tolist() == expected[:2]


@pytest.mark.parametrize("function", [torch.relu, F.relu, F.relu6, F.hardtanh], ids=lambda f: f.__name__)
def test_other_calls_leave_their_input_alone(function):
    q = qtensor(-5.0, 0.0, 0.5, 15.0)
    assert function(q) is not q
    assert q.int_repr().tolist() == [0, 10, 11, 40]


@pytest.mark.parametrize(
    ("index", "value", "expected"),
    [
        (0, 1.0, [12, 10, 11]),
        (slice(1, None), torch.tensor([1.0, -1.0]), [0, 12, 8]),
        (..., 1000.0, [255, 255, 255]),
        (torch.tensor([True, False, True]), -1.0, [8, 10, 8]),
        (torch.tensor([2, 0]), torch.tensor([3.0, 2.0]), [14, 10, 16]),
        (1, 0.25, [0, 10, 11]),
        (1, 0.75, [0, 12, 11]),
        (1, 3, [0, 16, 11]),
    ],
    ids=["number", "slice", "saturating", "mask", "indices", "tie-down", "tie-up", "integer"],
)
def test_setting_elements_quantizes_the_value(index, value, expected):
    q = qtensor(-5.0, 0.0, 0.5)
    q[index] = value
    assert q.int_repr().tolist() == expected


def test_setting_elements_takes_qtensors():
    q = qtensor(-5.0, 0.0, 0.5)
    q[:2] = qtensor(2.0, 3.0)
    assert q.int_repr().tolist() == [14, 16, 11]
    q[0] = torchq.quantize_per_tensor(torch.tensor(1.0), 0.1, 0, torchq.qint8)
    assert q.int_repr().tolist() == [12, 16, 11]


def test_plain_tensors_take_values_of_qtensors():
    q = qtensor(-5.0, 0.0, 0.5)
    x = torch.zeros(3)
    x[:] = q
    assert x.tolist() == [-5.0, 0.0, 0.5]
    x.copy_(q)
    x += q
    x.mul_(q)
    assert x.tolist() == [50.0, 0.0, 0.5]


def test_views_share_their_integers():
    q = qtensor(-5.0, 0.0, 0.5, 15.0)
    q.reshape(2, 2)[1] = 0.0
    assert q.int_repr().tolist() == [0, 10, 10, 10]


def test_inplace_change_is_seen_through_a_detached_one():
    q = qtensor(-5.0, 0.5)
    detached = q.detach()
    torch.relu_(q)
    assert detached.int_repr().tolist() == [10, 11]
