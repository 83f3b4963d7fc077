// Floor 1, for every level. embedding.h says what is computed.
#pragma once

#include "../lanes.h"

TORCHQ_INLINE void add_part(I32 q, int64_t n, float scale, float bias, float weight, float* sums) {
  const F32 value = fma(set(scale), to_f32(q), set(bias));
  store_part(sums, fma(set(weight), value, load_part(sums, n)), n);
}

void add_bytes(const uint8_t* q, int64_t n, float scale, float bias, float weight, float* sums) {
  for (int64_t i = 0; i < n; i += 16) add_part(load_part(q + i, n - i), n - i, scale, bias, weight, sums + i);
}

// Each half of four bytes in a byte of its own.
TORCHQ_INLINE uint64_t spread(uint32_t bytes) {
  uint64_t x = bytes;
  x = (x | x << 16) & 0x0000ffff0000ffffu;
  x = (x | x << 8) & 0x00ff00ff00ff00ffu;
  return (x | x << 4) & 0x0f0f0f0f0f0f0f0fu;
}

void add_halves(const uint8_t* q, int64_t n, float scale, float bias, float weight, float* sums) {
  for (int64_t i = 0; i < n; i += 16) {
    uint32_t packed[2] = {0, 0};
    if (n - i >= 16) {
      __builtin_memcpy(packed, q + i / 2, 8);
    } else {
      for (int64_t j = 0; j < (n - i + 1) / 2; ++j)
        packed[j / 4] |= static_cast<uint32_t>(q[i / 2 + j]) << (8 * (j % 4));
    }
    const uint64_t halves[2] = {spread(packed[0]), spread(packed[1])};
    uint8_t bytes[16];
    __builtin_memcpy(bytes, halves, 16);
    add_part(load(bytes), n - i, scale, bias, weight, sums + i);
  }
}

constexpr EmbeddingKernels kEmbeddingKernels = {add_bytes, add_halves};
