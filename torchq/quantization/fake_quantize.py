"""Fake quantization: float tensors rounded to what integers could hold, with gradients that see through it.

The names, arguments, buffers and state dicts are those of ``torch.ao.quantization.fake_quantize``.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from torchq.dtypes import (
    per_channel_affine,
    per_channel_affine_float_qparams,
    per_channel_symmetric,
    per_tensor_affine,
    per_tensor_symmetric,
    qint8,
    quint4x2,
    quint8,
)
from torchq.qtensor import QTensor
from torchq.quantization.fake_quantize_base import (
    FakeQuantizeBase,
    disable_fake_quant,
    disable_observer,
    enable_fake_quant,
    enable_observer,
)
from torchq.quantization.observer import (
    FixedQParamsObserver,
    HistogramObserver,
    MovingAverageMinMaxObserver,
    MovingAveragePerChannelMinMaxObserver,
    default_fixed_qparams_range_0to1_observer,
    default_fixed_qparams_range_neg1to1_observer,
)
from torchq.quantization.straight_through import (
    fake_quantize_float_qparams,
    fake_quantize_per_channel,
    fake_quantize_per_tensor,
)

__all__ = [
    "FakeQuantize",
    "FakeQuantizeBase",
    "FixedQParamsFakeQuantize",
    "FusedMovingAvgObsFakeQuantize",
    "default_affine_fixed_qparams_fake_quant",
    "default_dynamic_fake_quant",
    "default_embedding_fake_quant",
    "default_embedding_fake_quant_4bit",
    "default_fake_quant",
    "default_fixed_qparams_range_0to1_fake_quant",
    "default_fixed_qparams_range_neg1to1_fake_quant",
    "default_fused_act_fake_quant",
    "default_fused_per_channel_wt_fake_quant",
    "default_fused_wt_fake_quant",
    "default_histogram_fake_quant",
    "default_per_channel_weight_fake_quant",
    "default_symmetric_fixed_qparams_fake_quant",
    "default_weight_fake_quant",
    "disable_fake_quant",
    "disable_observer",
    "enable_fake_quant",
    "enable_observer",
    "fused_per_channel_wt_fake_quant_range_neg_127_to_127",
    "fused_wt_fake_quant_range_neg_127_to_127",
]


class FakeQuantize(FakeQuantizeBase):
    """Rounds a tensor to the values that a quantized tensor could hold, and learns the qparams from what it sees.

    The result is that of ``torchq.quantize_per_tensor`` or ``quantize_per_channel``, clamped to the quantization
    range, then ``dequantize``: bit for bit, in float32, cast to the dtype of the input. So what a model computes in
    training is what its int8 form will compute. (``torch.fake_quantize_per_tensor_affine`` is not: it rounds before it
    adds the zero point, which is one off at most ties when the zero point is odd.) float64 inputs are rounded to
    float32 first, float16 and bfloat16 inputs are widened.

    The gradient is the straight-through estimate: that of the output where ``rne(x / scale + zero_point)`` lies in
    ``[quant_min, quant_max]``, 0 elsewhere and where the input is NaN. It is computed with 32-bit integers, which
    round twice (docs/numerics.md), so that a value within one float32 rounding of the tie beyond an end may count as
    outside.

    While ``observer_enabled``, each input updates the observer, in training and in eval mode alike, and scale and zero
    point follow. As everywhere in torchq, the observer refuses NaN and infinity. Rounding without qparams, because
    the observer was off from the beginning, is an error (torch.ao would round to whole numbers there). An empty input
    passes.

    ``torch.compile`` breaks its graph at a fake quantizer, and leaves it as it is, because what it does depends on
    data: its switches and qparams. With ``fullgraph=True`` that is an error.

    Args:
        observer: class or factory of the observer.
        quant_min: smallest integer, with ``quant_max``; the observer's own default when None.
        quant_max: largest integer.
        is_dynamic: the int8 model will choose qparams at run time.
        **observer_kwargs: further arguments of the observer.

    Attributes:
        activation_post_process: the observer.
        scale: float32 ``[1]``, or ``[C]`` per channel; 1 to begin with.
        zero_point: int32 of the same shape, float32 for ``per_channel_affine_float_qparams``; 0 to begin with.

    Raises:
        TypeError: if the observer has no quantization range, or refuses a dtype or scheme.
        ValueError: if an argument does not fit the observer.

    Example:
        >>> fake_quantize = FakeQuantize(quant_min=0, quant_max=3)
        >>> x = torch.tensor([0.0, 0.4, 2.6, 3.0], requires_grad=True)
        >>> fake_quantize(x)
        tensor([0., 0., 3., 3.], grad_fn=<_StraightThroughBackward>)
    """

    scale: torch.Tensor
    zero_point: torch.Tensor

    def __init__(
        self,
        observer: Callable[..., nn.Module] = MovingAverageMinMaxObserver,
        quant_min: int | None = None,
        quant_max: int | None = None,
        is_dynamic: bool = False,
        **observer_kwargs: Any,
    ) -> None:
        super().__init__()
        if quant_min is not None or quant_max is not None:
            observer_kwargs.update(quant_min=quant_min, quant_max=quant_max)
        made = observer(is_dynamic=is_dynamic, **observer_kwargs)
        if getattr(made, "quant_min", None) is None:
            raise TypeError(f"{type(self).__name__} takes an observer with a quantization range, got {made}")
        self.activation_post_process = made
        self.quant_min = made.quant_min
        self.quant_max = made.quant_max
        self.is_dynamic = made.is_dynamic
        self.dtype = made.dtype
        self.qscheme = made.qscheme
        self.ch_axis = getattr(made, "ch_axis", -1)
        float_qparams = self.qscheme is per_channel_affine_float_qparams
        self.is_per_channel = float_qparams or self.qscheme in (per_channel_affine, per_channel_symmetric)
        self.register_buffer("scale", torch.ones(1))
        self.register_buffer("zero_point", torch.zeros(1, dtype=torch.float32 if float_qparams else torch.int32))

    def calculate_qparams(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the scale and zero point that values are rounded with; ``convert`` takes them.

        Returns:
            scale: float32 ``[1]``, or ``[C]`` per channel.
            zero_point: int32 of the same shape; float32 if the scheme is ``per_channel_affine_float_qparams``.

        Raises:
            RuntimeError: if no data was observed.
        """
        if not self._has_qparams():
            raise RuntimeError(
                f"{self._label()} never saw data: run the prepared model with its observers enabled first, "
                "or load a state dict"
            )
        return self.scale.clone(), self.zero_point.clone()

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return _forward_uncompiled(self, X) if torch.compiler.is_compiling() else self._forward(X)

    def _forward(self, X: torch.Tensor) -> torch.Tensor:
        if not isinstance(X, torch.Tensor) or isinstance(X, QTensor) or not X.is_floating_point():
            given = X.dtype if type(X) is torch.Tensor else type(X).__name__
            raise TypeError(f"{self._label()} takes a float tensor, got {given}")
        if self.observer_enabled[0] == 1:
            self.activation_post_process(X.detach())
            self.update_qparams()
        if self.fake_quant_enabled[0] == 0 or X.numel() == 0:
            return X
        return self._rounded(X, *self.calculate_qparams())

    def _rounded(self, x: torch.Tensor, scale: torch.Tensor, zero_point: torch.Tensor) -> torch.Tensor:
        ends = (self.quant_min, self.quant_max)
        if self.qscheme is per_channel_affine_float_qparams:
            return fake_quantize_float_qparams(x, scale, zero_point, self.ch_axis, *ends)
        if self.is_per_channel:
            return fake_quantize_per_channel(x, scale, zero_point, self.ch_axis, *ends)
        storage = getattr(self.dtype, "storage_dtype", self.dtype)
        storage = storage if storage in (torch.uint8, torch.int8) else torch.int32
        return fake_quantize_per_tensor(x, scale.item(), zero_point.item(), *ends, storage)

    def _has_qparams(self) -> bool:
        return getattr(self.activation_post_process, "has_data", True)

    def update_qparams(self) -> None:
        """Takes the scale and zero point that the observer chooses now; leaves them as they are if it has no data.

        Each input that is observed does so; it is for those who change what the observer recorded.
        """
        if not self._has_qparams():
            return
        scale, zero_point = self.activation_post_process.calculate_qparams()
        if self.scale.shape != scale.shape:
            self.scale.resize_(scale.shape)
            self.zero_point.resize_(zero_point.shape)
        self.scale.copy_(scale)
        self.zero_point.copy_(zero_point)

    def _label(self) -> str:
        name = getattr(self.activation_post_process, "module_name", None)
        return type(self).__name__ + (f" of {name!r}" if name is not None else "")

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # The number of channels is known only once data was seen, so the buffers take the saved size.
        for buffer, key in ((self.scale, prefix + "scale"), (self.zero_point, prefix + "zero_point")):
            if key in state_dict and state_dict[key].dim() == 1:
                buffer.resize_(state_dict[key].shape)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def extra_repr(self) -> str:
        return (
            f"fake_quant_enabled={self.fake_quant_enabled}, observer_enabled={self.observer_enabled}, "
            f"quant_min={self.quant_min}, quant_max={self.quant_max}, dtype={self.dtype}, qscheme={self.qscheme}, "
            f"ch_axis={self.ch_axis}, scale={self.scale}, zero_point={self.zero_point}"
        )


# What torch.compile calls in place of FakeQuantize._forward; made when it is wanted, because that imports the compiler.
_uncompiled: Callable[[FakeQuantize, torch.Tensor], torch.Tensor] | None = None


def _forward_uncompiled(fake_quantize: FakeQuantize, x: torch.Tensor) -> torch.Tensor:
    global _uncompiled
    if _uncompiled is None:
        _uncompiled = torch.compiler.disable(FakeQuantize._forward)
    return _uncompiled(fake_quantize, x)


class FixedQParamsFakeQuantize(FakeQuantize):
    """Rounds with qparams that are known beforehand, such as those of a sigmoid's output.

    Args:
        observer: class or factory that gives a ``FixedQParamsObserver``.

    Raises:
        TypeError: for another observer.

    Example:
        >>> default_fixed_qparams_range_0to1_fake_quant()(torch.tensor([0.001, 0.5, 2.0]))
        tensor([0.0000, 0.5000, 0.9961])
    """

    def __init__(self, observer: Callable[..., nn.Module]) -> None:
        super().__init__(observer)
        made = self.activation_post_process
        if type(made) is not FixedQParamsObserver:
            raise TypeError(f"{type(self).__name__} takes a FixedQParamsObserver, got {type(made).__name__}")
        self.update_qparams()


class FusedMovingAvgObsFakeQuantize(FakeQuantize):
    """A ``FakeQuantize`` whose observer is a moving average of the range.

    It computes what ``FakeQuantize`` does. In torch.ao the class has a kernel of its own, whose scales are not those
    that its ``convert`` takes: up to 1/254 apart for symmetric weights, and never below 6.1e-5. Here they are the
    same, and a state dict of torch.ao's, loaded and converted, keeps the scales that it was trained with.

    Args:
        observer: class or factory of a ``MovingAverageMinMaxObserver`` or ``MovingAveragePerChannelMinMaxObserver``.
        quant_min: smallest integer.
        quant_max: largest integer.
        **observer_kwargs: further arguments of the observer.

    Raises:
        TypeError: for another observer.
    """

    def __init__(
        self,
        observer: Callable[..., nn.Module] = MovingAverageMinMaxObserver,
        quant_min: int = 0,
        quant_max: int = 255,
        **observer_kwargs: Any,
    ) -> None:
        super().__init__(observer, quant_min, quant_max, **observer_kwargs)
        allowed = (MovingAverageMinMaxObserver, MovingAveragePerChannelMinMaxObserver)
        if not isinstance(self.activation_post_process, allowed):
            raise TypeError(
                f"{type(self).__name__} takes a MovingAverageMinMaxObserver or MovingAveragePerChannelMinMaxObserver, "
                f"got {type(self.activation_post_process).__name__}"
            )


default_fake_quant = FakeQuantize.with_args(
    observer=MovingAverageMinMaxObserver,
    quant_min=0,
    quant_max=255,
    dtype=quint8,
    qscheme=per_tensor_affine,
    reduce_range=True,
)
default_weight_fake_quant = FakeQuantize.with_args(
    observer=MovingAverageMinMaxObserver,
    quant_min=-128,
    quant_max=127,
    dtype=qint8,
    qscheme=per_tensor_symmetric,
    reduce_range=False,
)
default_dynamic_fake_quant = FakeQuantize.with_args(
    observer=MovingAverageMinMaxObserver,
    quant_min=0,
    quant_max=255,
    is_dynamic=True,
    dtype=quint8,
    averaging_constant=1,
)
default_fixed_qparams_range_neg1to1_fake_quant = FixedQParamsFakeQuantize.with_args(
    observer=default_fixed_qparams_range_neg1to1_observer
)
default_fixed_qparams_range_0to1_fake_quant = FixedQParamsFakeQuantize.with_args(
    observer=default_fixed_qparams_range_0to1_observer
)
# torch.ao's older names of the two.
default_symmetric_fixed_qparams_fake_quant = default_fixed_qparams_range_neg1to1_fake_quant
default_affine_fixed_qparams_fake_quant = default_fixed_qparams_range_0to1_fake_quant
default_per_channel_weight_fake_quant = FakeQuantize.with_args(
    observer=MovingAveragePerChannelMinMaxObserver,
    quant_min=-128,
    quant_max=127,
    dtype=qint8,
    qscheme=per_channel_symmetric,
    reduce_range=False,
    ch_axis=0,
)
default_embedding_fake_quant = FakeQuantize.with_args(
    observer=MovingAveragePerChannelMinMaxObserver,
    qscheme=per_channel_affine_float_qparams,
    dtype=quint8,
    quant_min=0,
    quant_max=255,
    ch_axis=0,
    averaging_constant=1,
)
default_embedding_fake_quant_4bit = FakeQuantize.with_args(
    observer=MovingAveragePerChannelMinMaxObserver,
    qscheme=per_channel_affine_float_qparams,
    ch_axis=0,
    dtype=quint4x2,
    averaging_constant=1,
)
default_histogram_fake_quant = FakeQuantize.with_args(
    observer=HistogramObserver,
    quant_min=0,
    quant_max=255,
    dtype=quint8,
    qscheme=per_tensor_affine,
    reduce_range=True,
)
default_fused_act_fake_quant = FusedMovingAvgObsFakeQuantize.with_args(
    observer=MovingAverageMinMaxObserver, quant_min=0, quant_max=255, dtype=quint8
)
default_fused_wt_fake_quant = FusedMovingAvgObsFakeQuantize.with_args(
    observer=MovingAverageMinMaxObserver, quant_min=-128, quant_max=127, dtype=qint8, qscheme=per_tensor_symmetric
)
default_fused_per_channel_wt_fake_quant = FusedMovingAvgObsFakeQuantize.with_args(
    observer=MovingAveragePerChannelMinMaxObserver,
    quant_min=-128,
    quant_max=127,
    dtype=qint8,
    qscheme=per_channel_symmetric,
)
fused_wt_fake_quant_range_neg_127_to_127 = FusedMovingAvgObsFakeQuantize.with_args(
    observer=MovingAverageMinMaxObserver,
    quant_min=-127,
    quant_max=127,
    dtype=qint8,
    qscheme=per_tensor_symmetric,
    eps=2**-12,
)
fused_per_channel_wt_fake_quant_range_neg_127_to_127 = FusedMovingAvgObsFakeQuantize.with_args(
    observer=MovingAveragePerChannelMinMaxObserver,
    quant_min=-127,
    quant_max=127,
    dtype=qint8,
    qscheme=per_channel_symmetric,
    eps=2**-12,
)
