// Floor 1. Functions of float lanes, the same bits at every level: polynomials in fma (docs/numerics.md).
#pragma once

// e^x; x below -87 or above 88 counts as that. NaN stays.
TORCHQ_INLINE F32 exp_of(F32 x) {
  const F32 clamped = min(set(88.0f), max(set(-87.0f), x));
  const I32 n = round_to_i32(clamped * set(1.44269504f));
  F32 r = fma(to_f32(n), set(-0.693359375f), clamped);
  r = fma(to_f32(n), set(2.12194440e-4f), r);
  F32 p = fma(set(1.9875691500e-4f), r, set(1.3981999507e-3f));
  p = fma(p, r, set(8.3334519073e-3f));
  p = fma(p, r, set(4.1665795894e-2f));
  p = fma(p, r, set(1.6666665459e-1f));
  p = fma(p, r, set(5.0000001201e-1f));
  return (fma(p, r * r, r) + set(1.0f)) * power_of_two(n);
}

TORCHQ_INLINE F32 sigmoid_of(F32 x) { return set(1.0f) / (set(1.0f) + exp_of(x * set(-1.0f))); }

TORCHQ_INLINE F32 tanh_of(F32 x) {
  const F32 minus = x * set(-1.0f);
  const F32 size = max(x, minus);
  const F32 large = set(1.0f) + set(-2.0f) / (exp_of(size + size) + set(1.0f));
  const F32 z = x * x;
  F32 p = fma(set(-5.70498872745e-3f), z, set(2.06390887954e-2f));
  p = fma(p, z, set(-5.37397155531e-2f));
  p = fma(p, z, set(1.33314422036e-1f));
  p = fma(p, z, set(-3.33332819422e-1f));
  const F32 small = fma(p * z, x, x);
  return select_less(size, set(0.625f), small, select_less(x, set(0.0f), large * set(-1.0f), large));
}
