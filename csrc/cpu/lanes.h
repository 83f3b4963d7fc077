// Floor 1, for every level. What follows from the sixteen lanes of simd_<isa>.h. Included inside a target region.
#pragma once

TORCHQ_INLINE I32 load_bytes(const uint8_t* q, int64_t n, bool is_signed) {
  return is_signed ? load_part(reinterpret_cast<const int8_t*>(q), n) : load_part(q, n);
}
