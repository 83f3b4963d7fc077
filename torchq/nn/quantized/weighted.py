"""What quantized modules with a weight share: packing, unpacking and their state."""

from typing import Any

import torch

from torchq import ops
from torchq.dtypes import QScheme, per_channel_affine, per_tensor_affine, qint8
from torchq.nn.quantized.state import PlainStateModule
from torchq.qtensor import QTensor


class WeightedQuantizedModule(PlainStateModule):
    """Base of the quantized modules that hold a packed ``qint8`` weight and a float32 bias.

    The weight is held once, packed. ``state_dict()`` unpacks it: ``weight`` int8, ``weight_scale`` float32 and
    ``weight_zero_point`` int64, which have no dimension, or are ``[out]`` per channel, and ``bias`` float32 if
    there is one. The channels of a transposed convolution are those of a group, ``[out / groups]``: each group has the
    same scales.

    Args:
        weight_size: ``[out, in / groups, *kernel]``; of a transposed convolution ``[in, out / groups, *kernel]``.
        bias: whether there is a bias, zero to begin with.
        groups: the groups of a convolution.
    """

    # Subclasses whose rounding step includes a relu set it.
    _relu = False
    # Those whose weight has its output channels along axis 1 set it.
    _transposed = False

    _packed_weight: torch.Tensor
    _weight_scales: torch.Tensor
    _weight_zero_points: torch.Tensor | None
    _bias: torch.Tensor | None

    def __init__(self, weight_size: tuple[int, ...], bias: bool, groups: int = 1) -> None:
        super().__init__()
        self._weight_size = weight_size
        self._groups = groups
        self._axis = 1 if self._transposed else 0
        self._out_channels = weight_size[1] * groups if self._transposed else weight_size[0]
        zeros = torch.zeros(self._out_channels) if bias else None
        self.set_weight_bias(self._blank_weight(), zeros)

    def _blank_weight(self) -> Any:
        """What a new module has as its weight."""
        return QTensor(torch.zeros(self._weight_size, dtype=torch.int8), 1.0, 0)

    def weight(self) -> QTensor:
        """Returns the weight, unpacked: ``qint8``, with one scale or one per output channel."""
        return weight_of_state(self._state(), self._axis)

    def bias(self) -> torch.Tensor | None:
        """Returns a copy of the bias, float32 ``[out]``, or None."""
        return None if self._bias is None else self._bias.clone()

    def operands(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Returns the packed weight, its scales and the bias, as operators take them."""
        # nn.Module.__getattr__ would find a buffer only after two failed lookups.
        buffers = self._buffers
        return buffers["_packed_weight"], buffers["_weight_scales"], buffers["_bias"]

    def set_weight_bias(self, w: QTensor, b: torch.Tensor | None) -> None:
        """Packs a weight and copies a bias.

        Args:
            w: ``qint8`` of the module's weight size, with one scale, or one per index of axis 0, of axis 1 for a
                transposed convolution.
            b: float ``[out]``, or None.

        Raises:
            TypeError: if ``w`` is no ``QTensor``.
            ValueError: if dtype, scale, axis or a shape does not fit.
            RuntimeError: if a zero point does not fit, or the sums would be too long for int32.
        """
        self._hold(w, self._packed(w, b))

    def _packed(self, w: QTensor, b: torch.Tensor | None) -> dict[str, torch.Tensor | None]:
        """Returns the buffers for a weight and a bias, and leaves the module as it is."""
        self._check_weight_bias(w, b)
        integers = _transposed(w._data, self._groups) if self._transposed else w._data
        if w.qscheme() is not per_tensor_affine:
            groups = self._groups if self._transposed else 1
            scales = w.q_per_channel_scales().float().repeat(groups)
            zero_points = w.q_per_channel_zero_points().repeat(groups)
            zero_points = zero_points if zero_points.any() else None
        else:
            scales = integers.new_full((self._out_channels,), w.q_scale(), dtype=torch.float32)
            zero_point = w.q_zero_point()
            zero_points = scales.new_full(scales.shape, zero_point, dtype=torch.int64) if zero_point else None
        if not (torch.isfinite(scales) & (scales > 0)).all():
            raise ValueError(f"{self._get_name()} takes weight scales that are finite and > 0, got {scales.tolist()}")
        return {
            "_packed_weight": ops.pack_weight(integers, zero_points, self._groups),
            "_weight_scales": scales,
            "_weight_zero_points": zero_points,
            "_bias": None if b is None else b.detach().to(torch.float32, copy=True),
        }

    def _hold(self, w: QTensor, buffers: dict[str, torch.Tensor | None]) -> None:
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer, persistent=False)
        self._weight_per_channel = w.qscheme() is not per_tensor_affine

    def _check_weight_bias(self, w: QTensor, b: torch.Tensor | None) -> None:
        name = self._get_name()
        if not isinstance(w, QTensor):
            raise TypeError(f"{name} takes a QTensor as weight, got {type(w).__name__}")
        if w.qdtype is not qint8:
            raise ValueError(f"{name} takes a {qint8} weight, got {w.qdtype}")
        if w.qscheme() is not per_tensor_affine and w.q_per_channel_axis() != self._axis:
            raise ValueError(
                f"{name} takes one scale per index of axis {self._axis}, got axis {w.q_per_channel_axis()}"
            )
        if tuple(w.shape) != self._weight_size:
            raise ValueError(f"{name} takes a weight of shape {self._weight_size}, got {tuple(w.shape)}")
        if b is not None and tuple(b.shape) != (self._out_channels,):
            raise ValueError(f"{name} takes a bias of shape {(self._out_channels,)}, got {tuple(b.shape)}")

    def _packed_size(self) -> list[int]:
        """The size in which the weight is packed: ``[out, in / groups, *kernel]``."""
        if not self._transposed:
            return list(self._weight_size)
        return [self._out_channels, self._weight_size[0] // self._groups, *self._weight_size[2:]]

    def _weight_qscheme(self) -> QScheme:
        return per_channel_affine if self._weight_per_channel else per_tensor_affine

    def _state(self) -> dict[str, torch.Tensor]:
        scales, zero_points = self._weight_scales, self._weight_zero_points
        if zero_points is None:
            zero_points = scales.new_zeros(scales.shape, dtype=torch.int64)
        saved = slice(self._weight_size[self._axis]) if self._weight_per_channel else 0
        scales, zero_points = scales[saved].clone(), zero_points[saved].clone()
        weight = ops.unpack_weight(self._packed_weight, self._packed_size())
        weight = _transposed(weight, self._groups) if self._transposed else weight
        state = {**super()._state(), "weight": weight, "weight_scale": scales, "weight_zero_point": zero_points}
        return state if self._bias is None else {**state, "bias": self._bias.clone()}

    def _state_shapes(self) -> dict[str, list[torch.Size]]:
        out, one = torch.Size([self._weight_size[self._axis]]), torch.Size([])
        # A weight may be saved per tensor or per channel, whatever the module holds now.
        either = [out, one] if self._weight_per_channel else [one, out]
        shapes = {"weight": [torch.Size(self._weight_size)], "weight_scale": either, "weight_zero_point": either}
        if self._bias is not None:
            shapes["bias"] = [torch.Size([self._out_channels])]
        return {**super()._state_shapes(), **shapes}

    def _set_state(self, state: dict[str, torch.Tensor]) -> None:
        device = self._packed_weight.device
        here = {name: value.to(device) for name, value in state.items()}
        if here["weight"].dtype != torch.int8:
            raise TypeError(f"weight must be torch.int8, got {here['weight'].dtype}")
        weight = weight_of_state(here, self._axis)
        buffers = self._packed(weight, here.get("bias"))
        super()._set_state(state)
        self._hold(weight, buffers)


def _transposed(weight: torch.Tensor, groups: int) -> torch.Tensor:
    """Turns ``[in, out / groups, ...]`` into ``[out, in / groups, ...]``, and the other way round."""
    return weight.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1).contiguous()


def weight_state(weight: QTensor) -> dict[str, torch.Tensor]:
    """Returns what is saved of a quantized weight: its integers, scale (float64) and zero point (int64).

    Args:
        weight: with one scale, or one per index of an axis.
    """
    scale, zero_point = torch.as_tensor(weight._scale, dtype=torch.float64), torch.as_tensor(weight._zero_point)
    return {"weight": weight._data, "weight_scale": scale, "weight_zero_point": zero_point}


def weight_of_state(state: dict[str, torch.Tensor], axis: int) -> QTensor:
    """Returns the quantized weight that a state has as ``weight``, ``weight_scale`` and ``weight_zero_point``.

    Args:
        state: the tensors by name.
        axis: the dimension of the channels, where there are several scales.

    Raises:
        TypeError: if the zero point is no integer.
        ValueError: if scale and zero point differ in shape.
    """
    weight, scale, zero_point = state["weight"], state["weight_scale"], state["weight_zero_point"]
    if zero_point.is_floating_point():
        raise TypeError(f"weight_zero_point must be integers, got {zero_point.dtype}")
    if scale.shape != zero_point.shape:
        raise ValueError(
            "weight_scale and weight_zero_point must have the same shape, got "
            f"{tuple(scale.shape)} and {tuple(zero_point.shape)}"
        )
    if scale.dim() == 0:
        return QTensor(weight, scale.item(), int(zero_point.item()))
    return QTensor(weight, scale.double(), zero_point.long(), axis)
