"""No function of the table goes untested."""

import torch
import torch.nn.functional as F
from torch import Tensor

import torchq
from qtensor.calls import BEYOND_TORCH, CALLS
from qtensor.moves import MOVES
from qtensor.test_activations import ACTIVATIONS
from test_qtensor_functions import COMPUTES
from torchq import qtensor
from torchq.qtensor_functions import FUNCTIONS, creating, questions, refusing
from torchq.qtensor_functions.table import of_torch

NEEDS_A_GPU = {Tensor.cuda, Tensor.pin_memory}
TESTED_ELSEWHERE = {
    # in test_qtensor_attributes.py and test_creation.py
    *questions.QUESTIONS,
    *creating.NEW,
    *refusing.REFUSED,
    # in test_qtensor_copies.py, test_qtensor_inplace.py, test_qtensor_errors.py and test_parity_channels.py
    *(Tensor.float, torch.relu_, Tensor.relu_, F.relu_, Tensor.requires_grad_, Tensor.data_ptr),
    *questions.OF_QUANTIZATION,
    *(torch.empty_like, *of_torch("empty_quantized")),
    # in test_qtensor_compile.py
    torch._C._nn.pad,
    *(Tensor.is_floating_point, torch.is_floating_point, Tensor.new),
    # in test_activations.py
    *(torch.prelu, Tensor.prelu, *of_torch("quantized_batch_norm")),
    # nn.functional's max_pool2d asks torch.max_pool2d
    F.max_pool2d,
    *of_torch("quantized_max_pool1d", "quantized_max_pool2d", "quantized_max_pool3d"),
}


def test_every_function_of_the_table_is_tested(monkeypatch):
    asked = set()

    class Recorder(dict):
        def get(self, function, default=None):
            asked.add(function)
            return super().get(function, default)

    monkeypatch.setattr(qtensor, "FUNCTIONS", Recorder(FUNCTIONS))
    q = torchq.QTensor(torch.arange(960).reshape(2, 16, 6, 5).to(torch.uint8), 0.05, 100)
    for call in (
        *MOVES.values(),
        *CALLS.values(),
        *BEYOND_TORCH.values(),
        *(function for function, _ in COMPUTES.values()),
        *(function for function, *_ in ACTIVATIONS.values()),
    ):
        call(q)
    assert set(FUNCTIONS) - asked - NEEDS_A_GPU - TESTED_ELSEWHERE == set()
