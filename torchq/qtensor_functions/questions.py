"""What is asked about a tensor and not about its values: size, layout, dtype, and how it is quantized."""

import inspect
from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch import Tensor

from torchq.qtensor import FUNCTIONS, QTensor
from torchq.qtensor_functions.table import implements, of_torch

# Its attributes, the is_... methods, and these others. So is_quantized is False, as of the float tensor that a QTensor
# stands for: whoever asks, torch's own code among them, goes on to what only torch's quantized dtypes have.
_ASKS_VALUES = {"T", "mT", "H", "mH", "real", "imag", "data", "is_nonzero"}
_MEMBERS = {name: member for name, member in vars(torch._C.TensorBase).items() if name not in _ASKS_VALUES}
QUESTIONS = (
    *(member.__get__ for member in _MEMBERS.values() if inspect.isgetsetdescriptor(member)),
    *(getattr(Tensor, name) for name in _MEMBERS if name.startswith(("is_", "_is_")) and callable(_MEMBERS[name])),
    Tensor.size, Tensor.stride, Tensor.dim, Tensor.ndimension, Tensor.numel, Tensor.nelement, Tensor.__len__,
    Tensor.__hash__, Tensor.untyped_storage, Tensor.storage_offset, Tensor.get_device, Tensor.element_size,
    Tensor.itemsize.__get__, torch.numel, torch.is_complex,
)  # fmt: skip


def asked(function: Callable) -> Callable:
    """Returns what asks the float tensor that a QTensor reports to be."""

    def ask(*args: Any, **kwargs: Any) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            return function(*args, **kwargs)

    return ask


FUNCTIONS.update({function: asked(function) for function in QUESTIONS})


# Some are the integers' answers: the most frequent, which are quicker to have so, and where the memory is.
for _shared in (
    Tensor.size, Tensor.stride, Tensor.dim, Tensor.numel, Tensor.__len__, Tensor.is_contiguous, Tensor.storage_offset,
    Tensor.shape.__get__, Tensor.ndim.__get__, Tensor.device.__get__, Tensor.is_cuda.__get__, Tensor.is_pinned,
    Tensor.is_shared,
):  # fmt: skip

    def _answer(q: Any, *args: Any, _function: Callable = _shared, **kwargs: Any) -> Any:
        return _function(q._data, *args, **kwargs)

    FUNCTIONS[_shared] = _answer


@implements(Tensor.is_floating_point, torch.is_floating_point)
def _is_floating_point(input: QTensor) -> bool:
    # As of torch's quantized tensors: what casts a module to another float type leaves its QTensors alone.
    return False


def _method(name: str) -> Callable:
    def call(input: QTensor) -> Any:
        return getattr(input, name)()

    return call


# How it is quantized: torch's functions of the names of QTensor's methods.
OF_QUANTIZATION = {
    function: _method(name)
    for name in (
        "int_repr", "q_per_channel_axis", "q_per_channel_scales", "q_per_channel_zero_points", "q_scale",
        "q_zero_point", "qscheme",
    )
    for function in of_torch(name)
    if not isinstance(function, type)  # as torch.qscheme is
}  # fmt: skip
FUNCTIONS.update(OF_QUANTIZATION)


@implements(Tensor.data_ptr)
def _data_ptr(q: QTensor) -> NoReturn:
    raise RuntimeError("data_ptr: a QTensor has no float32 values in memory; int_repr() is a tensor of its integers")
