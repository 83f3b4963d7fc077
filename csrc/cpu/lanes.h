// Floor 1, for every level. What follows from the sixteen lanes of simd_<isa>.h. Included inside a target region.
#pragma once

TORCHQ_INLINE I32 load_bytes(const uint8_t* q, int64_t n, bool is_signed) {
  return is_signed ? load_part(reinterpret_cast<const int8_t*>(q), n) : load_part(q, n);
}

// Whether (sum + bias) * scale, with sums of at most largest_sum, needs no below_ceiling.
TORCHQ_INLINE bool far_below_ceiling(F32 largest_sum, F32 bias, F32 scale) {
  const F32 largest = (largest_sum + max(bias, bias * set(-1.0f))) * scale;
  return !any_nan(largest) && reduce_max(largest) <= kFarBelowCeiling;
}

// y = store(value(i, n) of 16 elements from i on, n of which are there) for all of them; the values are below the
// ceiling.
template <typename Value>
TORCHQ_INLINE void store_values(int64_t n, const ByteRange& range, uint8_t* y, const Value& value) {
  int64_t i = 0;
  for (; i + 64 <= n; i += 64) {
    // Not in a loop: GCC 12 for ARM lets the lanes of its rounds share memory while they are still wanted.
    const F32 values[4] = {value(i, 16), value(i + 16, 16), value(i + 32, 16), value(i + 48, 16)};
    store_bytes(y + i, values, range, 64);
  }
  for (; i < n; i += 16) {
    const int64_t part = n - i < 16 ? n - i : 16;
    const F32 values[1] = {value(i, part)};
    store_bytes(y + i, values, range, part);
  }
}
