"""Multi-head attention made of linear layers, with a float softmax between quantized tensors."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from torchq.nn.quantizable.flow import observed
from torchq.nn.quantized.functional_modules import FloatFunctional
from torchq.qtensor import QTensor
from torchq.qtensor_creation import quantize_per_tensor


class MultiheadAttention(nn.MultiheadAttention):
    """An ``nn.MultiheadAttention`` in parts.

    Once the parts are quantized, the linear layers compute in int8, and scores, softmax and their product with the
    values in float32 between them.

    Args:
        embed_dim: E, the features of query and output.
        num_heads: heads, which divide E.
        dropout: probability that a weight is set to 0, in training.
        bias: whether the linear layers have biases.
        add_bias_kv: whether a learned row is appended to keys and to values.
        add_zero_attn: whether a row of zeros is appended to keys and to values.
        kdim: the features of keys; E if None.
        vdim: the features of values; E if None.
        batch_first: whether the batch is the first dimension of inputs and output, instead of the second.
        device: of the parameters.
        dtype: of the parameters.

    Example:
        >>> attention = MultiheadAttention(8, 2)
        >>> x = torch.randn(5, 3, 8)
        >>> output, weights = attention(x, x, x)
        >>> output.shape, weights.shape
        (torch.Size([5, 3, 8]), torch.Size([3, 5, 5]))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        from torchq.quantization.stubs import DeQuantStub, QuantStub

        options = (add_bias_kv, add_zero_attn, kdim, vdim, batch_first, device, dtype)
        super().__init__(embed_dim, num_heads, dropout, bias, *options)
        # The layers below have these.
        for name in ("in_proj_weight", "in_proj_bias", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            self.register_parameter(name, None)
        made = {"bias": bias, "device": device, "dtype": dtype}
        self.linear_Q = nn.Linear(self.embed_dim, self.embed_dim, **made)
        self.linear_K = nn.Linear(self.kdim, self.embed_dim, **made)
        self.linear_V = nn.Linear(self.vdim, self.embed_dim, **made)
        self.out_proj = nn.Linear(self.embed_dim, self.embed_dim, **made)
        self.q_scaling_product = FloatFunctional()
        # A product with a number has nothing to observe.
        self.q_scaling_product.qconfig = None
        self.quant_attn_output = QuantStub()
        self.quant_attn_output_weights = QuantStub()
        self.dequant_q = DeQuantStub()
        self.dequant_k = DeQuantStub()
        self.dequant_v = DeQuantStub()
        self._complete()

    def _complete(self) -> None:
        """Called when all parts are there."""

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        key_padding_mask: torch.Tensor | None = None,
        need_weights: bool = True,
        attn_mask: torch.Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Returns the attended values, and the weights.

        Args:
            query: ``[L, B, E]``, or ``[B, L, E]`` if ``batch_first``, or ``[L, E]`` without a batch: float, or
                quantized once the parts are.
            key: ``[S, B, kdim]``, in the order of ``query``.
            value: ``[S, B, vdim]``, likewise.
            key_padding_mask: ``[B, S]``, or ``[S]``: bool, True where a key is left out, or float, added to the scores.
            need_weights: whether to return the weights.
            attn_mask: ``[L, S]`` or ``[B * heads, L, S]``: bool, True where a key is left out, or float.
            average_attn_weights: whether the weights are averaged over the heads.
            is_causal: a hint that ``attn_mask`` is the causal one; it is applied as it is given.

        Returns:
            ``[L, B, E]``, in the order of ``query``; and ``[B, L, S]``, or ``[B, heads, L, S]`` without averaging, and
            without B if there is no batch, or None. Quantized once the parts are.

        Raises:
            TypeError: if a mask is neither bool nor float.
            ValueError: if a shape does not fit, or ``is_causal`` comes without a mask.
        """
        if is_causal and attn_mask is None:
            raise ValueError(f"{self._get_name()} takes is_causal as a hint on attn_mask, got attn_mask=None")
        self._check_inputs(query, key, value)
        single = query.dim() == 2
        if single:
            query, key, value = (x.unsqueeze(1) for x in (query, key, value))
            key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
        elif self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        masks = self._checked_masks(key_padding_mask, attn_mask, (query.size(1), query.size(0), key.size(0)))
        output, weights = self._attend(query, key, value, masks)
        if single:
            output = output.squeeze(1)
        elif self.batch_first:
            output = output.transpose(0, 1)
        if not need_weights:
            return output, None
        weights = weights.view(-1, self.num_heads, *weights.shape[1:])
        weights = weights.mean(dim=1) if average_attn_weights else weights
        return output, weights.squeeze(0) if single else weights

    def _attend(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, masks: list[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Takes the batch second; returns the output likewise, and the weights ``[B * heads, L, S]``."""
        length, batch = query.shape[:2]
        q = self.q_scaling_product.mul_scalar(self.linear_Q(query), self.head_dim**-0.5)
        k, v = self.linear_K(key), self.linear_V(value)
        if self.bias_k is not None:
            k, v = (torch.cat([x, row.repeat(1, batch, 1)]) for x, row in ((k, self.bias_k), (v, self.bias_v)))
        if self.add_zero_attn:
            k, v = (torch.cat([x, _zero_row(x)]) for x in (k, v))
        masks = [F.pad(mask, (0, k.size(0) - key.size(0))) for mask in masks]
        q, k, v = (x.reshape(-1, batch * self.num_heads, self.head_dim).transpose(0, 1) for x in (q, k, v))
        scores = torch.bmm(self.dequant_q(q), self.dequant_k(k).transpose(1, 2))
        scores = scores.view(batch, self.num_heads, length, -1)
        for mask in masks:
            scores = scores.masked_fill(mask, float("-inf")) if mask.dtype is torch.bool else scores + mask
        weights = F.dropout(F.softmax(scores.flatten(0, 1), -1), self.dropout, self.training)
        output = torch.bmm(weights, self.dequant_v(v)).transpose(0, 1).reshape(length, batch, self.embed_dim)
        return self.out_proj(self.quant_attn_output(output)), self.quant_attn_output_weights(weights)

    def _check_inputs(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> None:
        name, dims = self._get_name(), query.dim()
        batch, length = (0, 1) if self.batch_first else (1, 0)
        form = "[B, {0}, {1}] or [{0}, {1}]" if self.batch_first else "[{0}, B, {1}] or [{0}, {1}]"
        widths = {"query": self.embed_dim, "key": self.kdim, "value": self.vdim}
        for x, letter, (which, width) in zip((query, key, value), "LSS", widths.items(), strict=True):
            if x.dim() not in (2, 3) or x.size(-1) != width:
                raise ValueError(f"{name} takes a {which} of shape {form.format(letter, width)}, got {tuple(x.shape)}")
        shapes = [tuple(x.shape) for x in (query, key, value)]
        if {key.dim(), value.dim()} != {dims} or (dims == 3 and len({shape[batch] for shape in shapes}) > 1):
            raise ValueError(f"{name} takes a query, keys and values of one batch, got shapes {shapes}")
        length = length if dims == 3 else 0
        if key.size(length) != value.size(length):
            raise ValueError(f"{name} takes as many keys as values, got {key.size(length)} and {value.size(length)}")

    def _checked_masks(
        self, key_padding_mask: torch.Tensor | None, attn_mask: torch.Tensor | None, sizes: tuple[int, int, int]
    ) -> list[torch.Tensor]:
        """Returns the masks that there are, in the order in which they count, to fit ``[B, heads, L, S]``."""
        batch, length, keys = sizes
        heads = (batch * self.num_heads, length, keys)
        masks = []
        for name, mask, shapes in (
            ("attn_mask", attn_mask, [(length, keys), heads]),
            ("key_padding_mask", key_padding_mask, [(batch, keys)]),
        ):
            if mask is None:
                continue
            if mask.dtype is not torch.bool and not mask.is_floating_point():
                raise TypeError(f"{self._get_name()} takes a bool or float {name}, got {mask.dtype}")
            if tuple(mask.shape) not in shapes:
                allowed = " or ".join(map(str, shapes))
                raise ValueError(f"{self._get_name()} takes {name} of shape {allowed}, got {tuple(mask.shape)}")
            if name == "key_padding_mask":
                masks.append(mask[:, None, None])
            else:
                masks.append(mask.view(batch, self.num_heads, length, keys) if mask.dim() == 3 else mask)
        return masks

    @classmethod
    def from_float(cls, other: nn.MultiheadAttention) -> "MultiheadAttention":
        """Makes attention in parts, with observers, or with fake quantizers if the float one is in training mode.

        Args:
            other: has a ``qconfig``.

        Raises:
            TypeError: if ``other`` has another type.
            ValueError: if it has no qconfig.
        """
        if type(other) is not nn.MultiheadAttention:
            raise TypeError(f"{cls.__name__}.from_float takes MultiheadAttention, got {type(other).__name__}")
        module = cls(*attention_arguments(other, other.in_proj_bias is not None))
        if other._qkv_same_embed_dim:
            weights = other.in_proj_weight.chunk(3)
        else:
            weights = (other.q_proj_weight, other.k_proj_weight, other.v_proj_weight)
        biases = (None,) * 3 if other.in_proj_bias is None else other.in_proj_bias.chunk(3)
        layers = (module.linear_Q, module.linear_K, module.linear_V, module.out_proj)
        weights, biases = (*weights, other.out_proj.weight), (*biases, other.out_proj.bias)
        pairs = [*zip(layers, ["weight"] * 4, weights, strict=True), *zip(layers, ["bias"] * 4, biases, strict=True)]
        for part, name, value in (*pairs, (module, "bias_k", other.bias_k), (module, "bias_v", other.bias_v)):
            if value is not None:
                setattr(part, name, nn.Parameter(value.detach().clone(), value.requires_grad))
        return observed(module, getattr(other, "qconfig", None), other.training)

    @classmethod
    def from_observed(cls, other: nn.Module) -> "MultiheadAttention":
        """Raises NotImplementedError: ``torchq.nn.quantized.MultiheadAttention`` is made of an observed one."""
        raise NotImplementedError(
            f"{cls.__name__} is float: torchq.nn.quantized.MultiheadAttention is made of an observed one"
        )

    def _get_name(self) -> str:
        return "QuantizableMultiheadAttention"


def attention_arguments(other: nn.MultiheadAttention, bias: bool) -> tuple[Any, ...]:
    """Returns the arguments that make a module like another one.

    Args:
        other: in float, in parts or quantized.
        bias: whether its linear layers have biases.
    """
    options = (other.bias_k is not None, other.add_zero_attn, other.kdim, other.vdim, other.batch_first)
    return (other.embed_dim, other.num_heads, other.dropout, bias, *options)


def _zero_row(x: torch.Tensor) -> torch.Tensor:
    """Returns one row of zeros like those of ``x``."""
    zeros = torch.zeros(1, *x.shape[1:], device=x.device)
    if isinstance(x, QTensor):
        return quantize_per_tensor(zeros, x.q_scale(), x.q_zero_point(), x.qdtype)
    return zeros.to(x.dtype)
