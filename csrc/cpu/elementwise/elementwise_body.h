// Floor 1, for every level. elementwise.h says what is computed.
#pragma once

#include "../lanes.h"

// An operand in registers: a byte that is stored may be any of those that it was read from.
template <bool kSigned>
struct Values {
  const uint8_t* q;
  F32 scale, shift;
  explicit TORCHQ_INLINE Values(const Operand& operand)
      : q(operand.q), scale(set(operand.scale)), shift(set(-(operand.zero_point * operand.scale))) {}
  TORCHQ_INLINE F32 operator()(int64_t i, int64_t n) const {
    return fma(scale, to_f32(load_bytes(q + i, n, kSigned)), shift);
  }
};

template <bool kSigned, bool kBounded>
struct Sum {
  Values<kSigned> a, b;
  F32 inverse;
  TORCHQ_INLINE F32 operator()(int64_t i, int64_t n) const {
    const F32 sum = (a(i, n) + b(i, n)) * inverse;
    return kBounded ? sum : below_ceiling(sum);
  }
};

template <bool kSigned>
void add_to(const Operand& a, const Operand& b, int64_t n, const ByteOutput& output, const ByteRange& range,
            uint8_t* y) {
  const F32 inverse = set(output.inverse_scale);
  if (255.0f * (a.scale + b.scale) * output.inverse_scale <= kFarBelowCeiling)
    return store_values(n, range, y, Sum<kSigned, true>{Values<kSigned>(a), Values<kSigned>(b), inverse});
  store_values(n, range, y, Sum<kSigned, false>{Values<kSigned>(a), Values<kSigned>(b), inverse});
}

void add(const Operand& a, const Operand& b, int64_t n, const ByteOutput& output, uint8_t* y) {
  const ByteRange range = byte_range(output.zero_point, output.lowest, output.is_signed);
  return output.is_signed ? add_to<true>(a, b, n, output, range, y) : add_to<false>(a, b, n, output, range, y);
}

template <bool kSigned, bool kBounded>
struct Product {
  const uint8_t *a, *b;
  I32 a_zero, b_zero;
  F32 multiplier;
  TORCHQ_INLINE F32 operator()(int64_t i, int64_t n) const {
    const I32 left = load_bytes(a + i, n, kSigned) - a_zero;
    const I32 right = load_bytes(b + i, n, kSigned) - b_zero;
    const F32 product = to_f32(left * right) * multiplier;
    return kBounded ? product : below_ceiling(product);
  }
};

template <bool kSigned>
void mul_to(const Operand& a, const Operand& b, int64_t n, float multiplier, const ByteRange& range, uint8_t* y) {
  const I32 a_zero = set(static_cast<int32_t>(a.zero_point)), b_zero = set(static_cast<int32_t>(b.zero_point));
  if (255.0f * 255.0f * multiplier <= kFarBelowCeiling)
    return store_values(n, range, y, Product<kSigned, true>{a.q, b.q, a_zero, b_zero, set(multiplier)});
  store_values(n, range, y, Product<kSigned, false>{a.q, b.q, a_zero, b_zero, set(multiplier)});
}

void mul(const Operand& a, const Operand& b, int64_t n, float multiplier, const ByteOutput& output, uint8_t* y) {
  const ByteRange range = byte_range(output.zero_point, output.lowest, output.is_signed);
  return output.is_signed ? mul_to<true>(a, b, n, multiplier, range, y) : mul_to<false>(a, b, n, multiplier, range, y);
}

template <bool kSigned>
struct Slopes {
  const uint8_t* q;
  const float* negative_scale;
  F32 scale;
  I32 zero;
  F32 inverse, output_zero;
  TORCHQ_INLINE F32 operator()(int64_t i, int64_t n) const {
    const F32 t = to_f32(load_bytes(q + i, n, kSigned) - zero);
    const F32 positive = max(t, set(0.0f)) * scale;
    const F32 value = fma(min(t, set(0.0f)), load_part(negative_scale + i, n), positive);
    return below_ceiling(fma(value, inverse, output_zero));
  }
};

void prelu(const Operand& q, int64_t n, const float* negative_scale, const ByteOutput& output, uint8_t* y) {
  const ByteRange range = byte_range(0, output.lowest, output.is_signed);
  const I32 zero = set(static_cast<int32_t>(q.zero_point));
  const F32 inverse = set(output.inverse_scale), output_zero = set(static_cast<float>(output.zero_point));
  const F32 scale = set(q.scale);
  if (output.is_signed)
    return store_values(n, range, y, Slopes<true>{q.q, negative_scale, scale, zero, inverse, output_zero});
  return store_values(n, range, y, Slopes<false>{q.q, negative_scale, scale, zero, inverse, output_zero});
}

void lookup(const uint8_t* q, int64_t n, const uint8_t* table, uint8_t* y) {
  const ByteTable bytes = load_table(table);
  int64_t i = 0;
  for (; i + kTableBytes <= n; i += kTableBytes) lookup_bytes(bytes, q + i, y + i);
  for (; i < n; ++i) y[i] = table[q[i]];
}

void clamp(const uint8_t* q, int64_t n, int32_t lowest, int32_t highest, bool is_signed, uint8_t* y) {
  const int32_t shift = is_signed ? 128 : 0;  // to compare as uint8
  const Bytes flip = set_bytes(static_cast<uint8_t>(shift));
  const Bytes low = set_bytes(static_cast<uint8_t>(lowest + shift));
  const Bytes high = set_bytes(static_cast<uint8_t>(highest + shift));
  for (int64_t i = 0; i < n; i += kBytes)
    store_block(y + i, min(max(load_block(q + i, n - i) ^ flip, low), high) ^ flip, n - i);
}

void interleave(const uint8_t* planes, int64_t plane_bytes, int64_t n, uint8_t* y) {
  const uint8_t* plane[3] = {planes, planes + plane_bytes, planes + 2 * plane_bytes};
  int64_t i = 0;
  for (; i + kPixels <= n; i += kPixels) store_pixels(y + 3 * i, plane[0] + i, plane[1] + i, plane[2] + i);
  for (; i < n; ++i)
    for (int j = 0; j < 3; ++j) y[3 * i + j] = plane[j][i];
}

constexpr ElementwiseKernels kElementwiseKernels = {add, mul, clamp, lookup, prelu, interleave};
