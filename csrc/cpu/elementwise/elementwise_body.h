// Floor 1, for every level. elementwise.h says what is computed.
#pragma once

#include "../lanes.h"

TORCHQ_INLINE F32 value_of(const Operand& operand, int64_t i, int64_t n, bool is_signed) {
  const F32 shift = set(-(operand.zero_point * operand.scale));
  return fma(set(operand.scale), to_f32(load_bytes(operand.q + i, n, is_signed)), shift);
}

template <bool kSigned>
TORCHQ_INLINE void add_bytes(const Operand& a, const Operand& b, int64_t n, float inverse_scale, int32_t zero_point,
                             int32_t lowest, uint8_t* y) {
  const ByteRange range = byte_range(zero_point, lowest, kSigned);
  const F32 inverse = set(inverse_scale);
  int64_t i = 0;
  for (; i + 64 <= n; i += 64) {
    F32 sum[4];
    for (int j = 0; j < 4; ++j)
      sum[j] = (value_of(a, i + 16 * j, 16, kSigned) + value_of(b, i + 16 * j, 16, kSigned)) * inverse;
    store_bytes(y + i, sum, range, 64);
  }
  for (; i < n; i += 16) {
    const int64_t part = n - i < 16 ? n - i : 16;
    const F32 sum[1] = {(value_of(a, i, part, kSigned) + value_of(b, i, part, kSigned)) * inverse};
    store_bytes(y + i, sum, range, part);
  }
}

void add(const Operand& a, const Operand& b, int64_t n, float inverse_scale, int32_t zero_point, int32_t lowest,
         bool is_signed, uint8_t* y) {
  if (is_signed) return add_bytes<true>(a, b, n, inverse_scale, zero_point, lowest, y);
  return add_bytes<false>(a, b, n, inverse_scale, zero_point, lowest, y);
}

void clamp(const uint8_t* q, int64_t n, int32_t lowest, int32_t highest, bool is_signed, uint8_t* y) {
  for (int64_t i = 0; i < n; i += 16) {
    const int64_t part = n - i < 16 ? n - i : 16;
    store_part(y + i, min(max(load_bytes(q + i, part, is_signed), set(lowest)), set(highest)), part);
  }
}
