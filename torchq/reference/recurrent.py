"""Layers of recurrent networks, and the functions of their gates."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from torchq.reference.products import linear_dynamic
from torchq.reference.rounding import float32, fma


def _polynomial(x: Tensor, coefficients: Sequence[float]) -> Tensor:
    """Horner's rule in fma, from the highest coefficient."""
    first, *rest = (float32(c) for c in coefficients)
    value = first.expand(x.shape)
    for coefficient in rest:
        value = fma(value, x, coefficient)
    return value


def _exp(x: Tensor) -> Tensor:
    """``e ** x`` in float32, x clamped to [-87, 88]."""
    x = x.clamp(-87.0, 88.0)
    n = torch.round(x * 1.44269504)
    r = fma(n, float32(2.12194440e-4), fma(n, float32(-0.693359375), x))
    p = _polynomial(r, (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5))
    power = torch.pow(torch.tensor(2.0, dtype=torch.float64), n.double()).float()
    return (fma(p, r * r, r) + 1.0) * power


def _sigmoid(x: Tensor) -> Tensor:
    return 1.0 / (1.0 + _exp(-x))


def _tanh(x: Tensor) -> Tensor:
    """An odd polynomial below 0.625, ``1 - 2 / (exp(2x) + 1)`` from there."""
    size, z = x.abs(), x * x
    large = 1.0 + -2.0 / (_exp(size + size) + 1.0)
    p = _polynomial(z, (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1))
    return torch.where(size < 0.625, fma(p * z, x, x), torch.where(x < 0, -large, large))


def _run(
    input: Tensor, batch_sizes: Sequence[int], reverse: bool, rows: int, step: Callable[[Tensor, int], Tensor]
) -> Tensor:
    """Runs ``step(products with the input, rows)`` over the steps; returns the outputs in the input's order."""
    sizes = batch_sizes or [rows] * input.shape[0]
    products = input if batch_sizes else input.flatten(0, 1)
    parts, order = products.split(list(sizes)), range(len(sizes))
    outputs = {t: step(parts[t], sizes[t]).clone() for t in (reversed(order) if reverse else order)}
    joined = torch.cat([outputs[t] for t in order]) if outputs else products.new_empty(0, products.shape[-1])
    return joined if batch_sizes else joined.unflatten(0, (len(sizes), rows))


def lstm_dynamic(
    input: Tensor,
    hidden: Tensor,
    cell: Tensor,
    weight_ih: Tensor,
    scales_ih: Tensor,
    bias_ih: Tensor | None,
    weight_hh: Tensor,
    scales_hh: Tensor,
    bias_hh: Tensor | None,
    weight_hr: Tensor | None = None,
    scales_hr: Tensor | None = None,
    batch_sizes: Sequence[int] = (),
    reverse: bool = False,
    per_token: bool = False,
    reduce_range: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """One layer of an LSTM in one direction, from :func:`linear_dynamic` of all inputs and of each hidden state.

    ``c = sigmoid(f) * c + sigmoid(i) * tanh(g)``, ``h = sigmoid(o) * tanh(c)``, projected where there is a weight for
    it.
    """
    h, c = hidden.clone(), cell.clone()

    def step(products: Tensor, rows: int) -> Tensor:
        carried = linear_dynamic(h[:rows], weight_hh, scales_hh, bias_hh, per_token, reduce_range)
        i, f, g, o = (carried + products).chunk(4, 1)
        c[:rows] = _sigmoid(f) * c[:rows] + _sigmoid(i) * _tanh(g)
        new = _sigmoid(o) * _tanh(c[:rows])
        if weight_hr is not None:
            new = linear_dynamic(new, weight_hr, scales_hr, None, per_token, reduce_range)
        h[:rows] = new
        return new

    products = linear_dynamic(input, weight_ih, scales_ih, bias_ih, per_token, reduce_range)
    output = _run(products, batch_sizes, reverse, h.shape[0], step)
    return output[..., : h.shape[1]], h, c


def gru_dynamic(
    input: Tensor,
    hidden: Tensor,
    weight_ih: Tensor,
    scales_ih: Tensor,
    bias_ih: Tensor | None,
    weight_hh: Tensor,
    scales_hh: Tensor,
    bias_hh: Tensor | None,
    batch_sizes: Sequence[int] = (),
    reverse: bool = False,
    per_token: bool = False,
    reduce_range: bool = False,
) -> tuple[Tensor, Tensor]:
    """One layer of a GRU in one direction, as :func:`lstm_dynamic`.

    ``r = sigmoid(ur + xr)``, ``z = sigmoid(uz + xz)``, ``n = tanh(xn + un * r)``, ``h = (h - n) * z + n``.
    """
    h = hidden.clone()

    def step(products: Tensor, rows: int) -> Tensor:
        xr, xz, xn = products.chunk(3, 1)
        ur, uz, un = linear_dynamic(h[:rows], weight_hh, scales_hh, bias_hh, per_token, reduce_range).chunk(3, 1)
        new = _tanh(xn + un * _sigmoid(ur + xr))
        h[:rows] = (h[:rows] - new) * _sigmoid(uz + xz) + new
        return h[:rows]

    products = linear_dynamic(input, weight_ih, scales_ih, bias_ih, per_token, reduce_range)
    return _run(products, batch_sizes, reverse, h.shape[0], step)[..., : h.shape[1]], h
