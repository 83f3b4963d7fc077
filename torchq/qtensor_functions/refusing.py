"""What is for tensors of torch's own quantized dtypes, and for no QTensor."""

from collections.abc import Callable
from typing import Any, NoReturn

from torch import Tensor

from torchq.qtensor import FUNCTIONS
from torchq.qtensor_functions.table import implements, of_torch


def _refusal(what: str) -> Callable:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(f"{what} of torch's own quantized dtypes, and no QTensor")

    return refuse


_MAKERS = (
    "quantize_per_tensor", "quantize_per_channel", "quantize_per_tensor_dynamic", "_make_per_tensor_quantized_tensor",
    "_make_per_channel_quantized_tensor",
)  # fmt: skip
_TAKERS = (
    "quantized_lstm", "quantized_lstm_cell", "quantized_gru", "quantized_gru_cell", "quantized_rnn_relu_cell",
    "quantized_rnn_tanh_cell",
)  # fmt: skip
REFUSED = {
    function: _refusal(f"torch.{name} {what} tensors")
    for names, what in ((_MAKERS, "makes"), (_TAKERS, "takes"))
    for name in names
    for function in of_torch(name)
}
FUNCTIONS.update(REFUSED)


@implements(Tensor.new)
def _new(*args: Any, **kwargs: Any) -> NoReturn:
    # A data loader's workers collate tensors into what it makes.
    raise TypeError("Tensor.new makes no QTensor: use torchq.empty_quantized, or collate integers in a data loader")
