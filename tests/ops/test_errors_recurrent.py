"""The recurrent operators refuse weights, states and sequences that do not belong together, and name them."""

import pytest
import torch

from ops.refusals import check_refusal, on_meta
from torchq import ops


def packed(rows, columns):
    return ops.pack_weight(torch.ones(rows, columns, dtype=torch.int8))


INPUT, STATE = torch.ones(4, 2, 5), torch.ones(2, 3)
END = {"batch_sizes": [], "reverse": False, "per_token": False, "reduce_range": False}


def cell(gates):
    rows = 3 * gates
    weights = {"packed_ih": packed(rows, 5), "scales_ih": torch.ones(rows), "bias_ih": torch.ones(rows)}
    return weights | {"packed_hh": packed(rows, 3), "scales_hh": torch.ones(rows), "bias_hh": None}


NO_PROJECTION = {"packed_hr": None, "scales_hr": None}
LSTM = {"input": INPUT, "hidden": STATE, "cell": STATE} | cell(4) | NO_PROJECTION | END
CALLS = {
    "lstm": (ops.lstm_dynamic, LSTM),
    "gru": (ops.gru_dynamic, {"input": INPUT, "hidden": STATE} | cell(3) | END),
}
CASES = {
    "double-input": ({"input": INPUT.double()}, "input must be float32, got float64"),
    "integer-input": ({"input": INPUT.byte()}, "input must be float32, got uint8"),
    "double-state": ({"hidden": STATE.double()}, "hidden must be float32, got float64"),
    "narrow-input": ({"input": INPUT[..., :4]}, "input's last dimension must be 5 as the weight's, got [4, 2, 4]"),
    "input-of-two-dimensions": (
        {"input": INPUT[0]},
        "input must be [T, 2, I] for a hidden state of 2 rows, got [2, 5]",
    ),
    "input-of-another-batch": ({"input": INPUT[:, :1]}, "hidden state of 2 rows, got [4, 1, 5]"),
    "state-of-three-dimensions": ({"hidden": STATE[None]}, "hidden must be [B, 3], got [1, 2, 3]"),
    "narrow-state": ({"hidden": STATE[:, :2]}, "hidden must be [B, 3], got [2, 2]"),
    "plain-input-with-sizes": ({"batch_sizes": [2, 2]}, "input must be [rows, I] with batch_sizes, got [4, 2, 5]"),
    "input-elsewhere": ({"input": on_meta(INPUT)}, "one device"),
    "state-elsewhere": ({"hidden": on_meta(STATE)}, "one device"),
    "wide-hidden-weight": ({"packed_hh": None}, "(hh): packed_weight cannot be used"),
    "weights-of-two-sizes": (
        {"packed_hh": packed(24, 3), "scales_hh": torch.ones(24)},
        "times the hidden size of rows",
    ),
    "convolution": ({"packed_hh": ops.pack_weight(torch.ones(12, 3, 1, 2, dtype=torch.int8))}, "(hh): "),
    "zero-scales": ({"scales_ih": None}, "(ih): each of weight_scales"),
    "short-bias": ({"bias_ih": torch.ones(7)}, "(ih): bias must be contiguous"),
}


@pytest.mark.parametrize(("function", "good"), CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(("changed", "message"), CASES.values(), ids=CASES)
def test_refuses(function, good, changed, message):
    changed = {name: torch.zeros_like(good[name]) if value is None else value for name, value in changed.items()}
    check_refusal(function, good, changed, message)


@pytest.mark.parametrize(("function", "good"), CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    ("sizes", "message"),
    {
        "growing": ([2, 1, 2, 3], "batch_sizes must not increase"),
        "more-than-the-state": ([3, 2, 2, 1], "got 3 after 2"),
        "nothing": ([2, 2, 2, 1, 1, 0], "got 0 after 1"),
        "fewer-than-the-state": ([1] * 8, "must begin with the 2 rows of the hidden state"),
        "too-few": ([2, 2, 2], "add up to the input's 8, got 2 and 6"),
    }.values(),
)
def test_refuses_batch_sizes(function, good, sizes, message):
    good = good | {"input": INPUT.flatten(0, 1), "batch_sizes": [2, 2, 2, 2]}
    check_refusal(function, good, {"batch_sizes": sizes}, message)


@pytest.mark.parametrize(
    ("changed", "message"),
    {
        "cell-of-another-batch": ({"cell": STATE[:1]}, "same number of rows, got 2 and 1"),
        "narrow-cell": ({"cell": STATE[:, :2]}, "cell must be [B, 3], got [2, 2]"),
        "double-cell": ({"cell": STATE.double()}, "cell must be float32, got float64"),
        "cell-elsewhere": ({"cell": on_meta(STATE)}, "one device"),
        "projection-without-scales": ({"packed_hr": packed(3, 3)}, "packed_hr and scales_hr go together"),
        "scales-without-projection": ({"scales_hr": torch.ones(3)}, "packed_hr and scales_hr go together"),
        "wide-projection": (
            {"packed_hr": packed(3, 4), "scales_hr": torch.ones(3)},
            "the projection must have 3 columns, got 4",
        ),
        "projection-of-another-width": (
            {"packed_hr": packed(2, 3), "scales_hr": torch.ones(2)},
            "the hidden state's weight must have 2 columns, got 3",
        ),
    }.values(),
)
def test_lstm_refuses(changed, message):
    check_refusal(ops.lstm_dynamic, LSTM, changed, message)
