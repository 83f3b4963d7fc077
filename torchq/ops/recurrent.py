"""One layer of a recurrent network in one direction, with dynamic quantization."""

from collections.abc import Sequence

import torch
from torch import Tensor

from torchq.ops._register import call_forward_only, forward_only, require, require_one_device, require_weight

_ops = torch.ops.torchq


def _require_cell(
    gates: int,
    input: Tensor,
    hidden: Tensor,
    packed_ih: Tensor,
    scales_ih: Tensor,
    bias_ih: Tensor | None,
    packed_hh: Tensor,
    scales_hh: Tensor,
    bias_hh: Tensor | None,
    batch_sizes: Sequence[int],
) -> None:
    require_one_device(input, hidden, packed_ih, scales_ih, bias_ih, packed_hh, scales_hh, bias_hh)
    require_weight(packed_ih, scales_ih, bias_ih)
    require_weight(packed_hh, scales_hh, bias_hh)
    for name, tensor in (("input", input), ("hidden", hidden)):
        require(tensor.dtype == torch.float32, f"{name} must be float32, got {tensor.dtype}")
    dims = 2 if batch_sizes else 3
    require(input.dim() == dims, f"input must have {dims} dimensions, got {input.dim()}")
    require(hidden.dim() == 2, f"hidden must have 2 dimensions, got {hidden.dim()}")
    rows = scales_ih.numel()
    require(
        rows % gates == 0 and rows == scales_hh.numel(),
        f"both weights must have {gates} times the hidden size of rows, got {rows} and {scales_hh.numel()}",
    )


def lstm_dynamic(
    input: Tensor,
    hidden: Tensor,
    cell: Tensor,
    packed_ih: Tensor,
    scales_ih: Tensor,
    bias_ih: Tensor | None,
    packed_hh: Tensor,
    scales_hh: Tensor,
    bias_hh: Tensor | None,
    packed_hr: Tensor | None,
    scales_hr: Tensor | None,
    batch_sizes: Sequence[int],
    reverse: bool,
    per_token: bool,
    reduce_range: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Runs one layer of an LSTM in one direction.

    The products are those of ``linear_dynamic``: one over the inputs of all steps, one a step over the hidden state.
    With their sums ``a`` of the gates i, f, g, o, in float32,
    ``c = sigmoid(af) * c + sigmoid(ai) * tanh(ag)`` and ``h = sigmoid(ao) * tanh(c)``; docs/numerics.md has the
    functions. With a projection ``h`` is its product.

    Args:
        input: float32 ``[T, B, I]``; the rows ``[sum(batch_sizes), I]`` of a packed sequence if there are batch_sizes.
        hidden: float32 ``[B, H]``, or ``[B, P]`` with a projection.
        cell: float32 ``[B, H]``.
        packed_ih: what ``pack_weight`` made of the int8 ``[4 * H, I]``.
        scales_ih: float32 ``[4 * H]``.
        bias_ih: float32 ``[4 * H]``, or None.
        packed_hh: what ``pack_weight`` made of the int8 ``[4 * H, H]``, or ``[4 * H, P]`` with a projection.
        scales_hh: float32 ``[4 * H]``.
        bias_hh: float32 ``[4 * H]``, or None.
        packed_hr: what ``pack_weight`` made of the projection's int8 ``[P, H]``, or None.
        scales_hr: float32 ``[P]``; None without a projection.
        batch_sizes: the rows of each step of a packed sequence; empty for a plain input.
        reverse: whether the steps run from the last to the first.
        per_token: as of ``linear_dynamic``.
        reduce_range: as of ``linear_dynamic``.

    Returns:
        The hidden states of all steps, ``[T, B, H or P]`` or ``[rows, H or P]``, and the last hidden and cell state of
        each row of the batch; all float32.
    """
    return call_forward_only(
        _ops.lstm_dynamic.default,
        input,
        hidden,
        cell,
        packed_ih,
        scales_ih,
        bias_ih,
        packed_hh,
        scales_hh,
        bias_hh,
        packed_hr,
        scales_hr,
        batch_sizes,
        reverse,
        per_token,
        reduce_range,
    )


@torch.library.register_fake("torchq::lstm_dynamic")
def _(
    input: Tensor,
    hidden: Tensor,
    cell: Tensor,
    packed_ih: Tensor,
    scales_ih: Tensor,
    bias_ih: Tensor | None,
    packed_hh: Tensor,
    scales_hh: Tensor,
    bias_hh: Tensor | None,
    packed_hr: Tensor | None,
    scales_hr: Tensor | None,
    batch_sizes: Sequence[int],
    reverse: bool,
    per_token: bool,
    reduce_range: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    _require_cell(4, input, hidden, packed_ih, scales_ih, bias_ih, packed_hh, scales_hh, bias_hh, batch_sizes)
    require_one_device(input, cell, packed_hr, scales_hr)
    require((packed_hr is None) == (scales_hr is None), "packed_hr and scales_hr go together, but one must be None")
    if packed_hr is not None and scales_hr is not None:
        require_weight(packed_hr, scales_hr, None)
    require(cell.dtype == torch.float32, f"cell must be float32, got {cell.dtype}")
    width = scales_ih.numel() // 4 if scales_hr is None else scales_hr.numel()
    return input.new_empty((*input.shape[:-1], width)), hidden.new_empty(hidden.shape), cell.new_empty(cell.shape)


def gru_dynamic(
    input: Tensor,
    hidden: Tensor,
    packed_ih: Tensor,
    scales_ih: Tensor,
    bias_ih: Tensor | None,
    packed_hh: Tensor,
    scales_hh: Tensor,
    bias_hh: Tensor | None,
    batch_sizes: Sequence[int],
    reverse: bool,
    per_token: bool,
    reduce_range: bool,
) -> tuple[Tensor, Tensor]:
    """Runs one layer of a GRU in one direction.

    The products are those of ``linear_dynamic``, as in ``lstm_dynamic``. With those of the input ``x`` and of the
    hidden state ``u`` for the gates r, z, n, in float32, ``r = sigmoid(ur + xr)``, ``z = sigmoid(uz + xz)``,
    ``n = tanh(xn + un * r)`` and ``h = (h - n) * z + n``; docs/numerics.md has the functions.

    Args:
        input: float32 ``[T, B, I]``; the rows ``[sum(batch_sizes), I]`` of a packed sequence if there are batch_sizes.
        hidden: float32 ``[B, H]``.
        packed_ih: what ``pack_weight`` made of the int8 ``[3 * H, I]``.
        scales_ih: float32 ``[3 * H]``.
        bias_ih: float32 ``[3 * H]``, or None.
        packed_hh: what ``pack_weight`` made of the int8 ``[3 * H, H]``.
        scales_hh: float32 ``[3 * H]``.
        bias_hh: float32 ``[3 * H]``, or None.
        batch_sizes: the rows of each step of a packed sequence; empty for a plain input.
        reverse: whether the steps run from the last to the first.
        per_token: as of ``linear_dynamic``.
        reduce_range: as of ``linear_dynamic``.

    Returns:
        The hidden states of all steps, ``[T, B, H]`` or ``[rows, H]``, and the last one of each row of the batch; both
        float32.
    """
    return call_forward_only(
        _ops.gru_dynamic.default,
        input,
        hidden,
        packed_ih,
        scales_ih,
        bias_ih,
        packed_hh,
        scales_hh,
        bias_hh,
        batch_sizes,
        reverse,
        per_token,
        reduce_range,
    )


@torch.library.register_fake("torchq::gru_dynamic")
def _(
    input: Tensor,
    hidden: Tensor,
    packed_ih: Tensor,
    scales_ih: Tensor,
    bias_ih: Tensor | None,
    packed_hh: Tensor,
    scales_hh: Tensor,
    bias_hh: Tensor | None,
    batch_sizes: Sequence[int],
    reverse: bool,
    per_token: bool,
    reduce_range: bool,
) -> tuple[Tensor, Tensor]:
    _require_cell(3, input, hidden, packed_ih, scales_ih, bias_ih, packed_hh, scales_hh, bias_hh, batch_sizes)
    return input.new_empty((*input.shape[:-1], scales_ih.numel() // 3)), hidden.new_empty(hidden.shape)


for _name in ("lstm_dynamic", "gru_dynamic"):
    forward_only(_name)
