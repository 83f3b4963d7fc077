"""Statically quantized multi-head attention."""

import torch
from torch import nn

from torchq.dtypes import quint8
from torchq.nn import quantizable
from torchq.nn.quantizable.attention import attention_arguments
from torchq.nn.quantized.parts import put_blank_parts, take_parts
from torchq.nn.quantized.state import PlainStateModule
from torchq.nn.quantized.weighted import weight_of_state, weight_state
from torchq.qtensor import QTensor
from torchq.qtensor_creation import quantize_per_tensor
from torchq.qtensor_qparams import choose_dynamic_qparams

_ROWS = ("bias_k", "bias_v")


class MultiheadAttention(PlainStateModule, quantizable.MultiheadAttention):
    """Multi-head attention whose linear layers compute in int8; scores and softmax are float32 between them.

    The rows that ``add_bias_kv`` asks for are quantized by their own range, in 8 bits, and take the scale of the keys
    or values that they are appended to.

    State: that of the parts, as ``linear_Q``: see ``Linear`` and ``Quantize``; and the rows ``bias_k`` and ``bias_v``,
    each with its ``_scale`` and ``_zero_point``, if there are any.

    Args: those of ``torchq.nn.quantizable.MultiheadAttention``.

    Example:
        >>> x = torchq.quantize_per_tensor(torch.randn(5, 3, 8), 0.1, 128, torchq.quint8)
        >>> output, weights = MultiheadAttention(8, 2)(x, x, x)
        >>> output.shape, weights.shape
        (torch.Size([5, 3, 8]), torch.Size([3, 5, 5]))
    """

    def _complete(self) -> None:
        put_blank_parts(self)
        for name in _ROWS:
            row = getattr(self, name)
            delattr(self, name)
            self.register_buffer(name, None if row is None else _quantized_row(row), persistent=False)

    @classmethod
    def from_float(cls, other: nn.Module) -> "MultiheadAttention":
        """Raises NotImplementedError: it is made of an observed module."""
        raise NotImplementedError(
            f"{cls.__name__} is made of an observed torchq.nn.quantizable.MultiheadAttention: call prepare first"
        )

    @classmethod
    def from_observed(cls, other: nn.Module) -> "MultiheadAttention":
        """Makes the quantized module of a calibrated one in parts.

        Args:
            other: has observers that saw data.

        Raises:
            RuntimeError: if an observer never saw data.
            TypeError: if ``other`` has another type.
            ValueError: if the qconfig of a part does not fit.
        """
        if not isinstance(other, quantizable.MultiheadAttention):
            expected, found = "quantizable.MultiheadAttention", type(other).__name__
            raise TypeError(f"{cls.__name__}.from_observed takes {expected}, got {found}")
        module = cls(*attention_arguments(other, other.linear_Q.bias is not None))
        take_parts(module, other)
        for name in _ROWS:
            if getattr(other, name) is not None:
                setattr(module, name, _quantized_row(getattr(other, name)))
        return module

    def dequantize(self) -> nn.MultiheadAttention:
        """Returns the float module with the weights as they are quantized, in eval mode."""
        layers = (self.linear_Q, self.linear_K, self.linear_V)
        biases = [layer.bias() for layer in layers]
        weights = [layer.weight().dequantize() for layer in layers]
        module = nn.MultiheadAttention(*attention_arguments(self, biases[0] is not None)).eval()
        given = {"out_proj.weight": self.out_proj.weight().dequantize()}
        if module._qkv_same_embed_dim:
            given["in_proj_weight"] = torch.cat(weights)
        else:
            given |= zip(("q_proj_weight", "k_proj_weight", "v_proj_weight"), weights, strict=True)
        if biases[0] is not None:
            given |= {"in_proj_bias": torch.cat(biases), "out_proj.bias": self.out_proj.bias()}
        given |= {name: getattr(self, name).dequantize() for name in _ROWS if getattr(self, name) is not None}
        module.load_state_dict(given)
        return module

    def _state(self) -> dict[str, torch.Tensor]:
        state = super()._state()
        for name in _ROWS:
            row = getattr(self, name)
            if row is not None:
                state |= {key.replace("weight", name): value for key, value in weight_state(row).items()}
        return state

    def _set_state(self, state: dict[str, torch.Tensor]) -> None:
        super()._set_state(state)
        rows = {name: _row_of_state(state, name) for name in _ROWS if name in state}
        for name, row in rows.items():
            setattr(self, name, row)

    def _get_name(self) -> str:
        return "QuantizedMultiheadAttention"


def _quantized_row(row: torch.Tensor) -> QTensor:
    return quantize_per_tensor(row.detach(), *choose_dynamic_qparams(row, 0, 255, False), quint8)


def _row_of_state(state: dict[str, torch.Tensor], name: str) -> QTensor:
    if state[name].dtype is not torch.uint8:
        raise TypeError(f"{name} must be torch.uint8, got {state[name].dtype}")
    ends = ("", "_scale", "_zero_point")
    return weight_of_state({f"weight{end}": state[f"{name}{end}"] for end in ends}, 0)
