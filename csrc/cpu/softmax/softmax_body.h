// Floor 1, for every level. softmax.h says what is computed.
#pragma once

#include "../lanes.h"

TORCHQ_INLINE uint8_t largest(const uint8_t* q, int64_t n, uint8_t flip) {
  const Bytes mask = set_bytes(flip);
  Bytes most = set_bytes(0);
  int64_t i = 0;
  for (; i + kBytes <= n; i += kBytes) most = max(most, load_block(q + i, kBytes) ^ mask);
  uint8_t lanes[kBytes];
  store_block(lanes, most, kBytes);
  uint8_t result = 0;
  for (const uint8_t lane : lanes) result = lane > result ? lane : result;
  for (; i < n; ++i) {
    const auto byte = static_cast<uint8_t>(q[i] ^ flip);
    result = byte > result ? byte : result;
  }
  return result;
}

struct Shares {
  const int32_t* weights;
  F32 ratio;
  TORCHQ_INLINE F32 operator()(int64_t i, int64_t n) const {
    return below_ceiling(to_f32(load_part(weights + i, n)) * ratio);
  }
};

void softmax(const uint8_t* q, int64_t n, const SoftmaxWeights& weights, float output_scale, int32_t zero_point,
             bool is_signed, uint8_t* y) {
  const uint8_t flip = is_signed ? 128 : 0;  // to compare as uint8
  const int32_t* of_byte = weights.below + 255 - largest(q, n, flip);
  int64_t sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += of_byte[q[i] ^ flip];
  const double ratio = 1.0 / (static_cast<double>(sum) * static_cast<double>(output_scale));
  // A row takes at most 256 values: each is computed once.
  uint8_t table[256];
  const ByteRange range = byte_range(zero_point, is_signed ? -128 : 0, is_signed);
  const F32 factor = set(static_cast<float>(ratio));
  store_values(128, range, table, Shares{of_byte + flip, factor});
  store_values(128, range, table + 128, Shares{of_byte + (128 - flip), factor});
  const ByteTable bytes = load_table(table);
  int64_t i = 0;
  for (; i + kTableBytes <= n; i += kTableBytes) lookup_bytes(bytes, q + i, y + i);
  for (; i < n; ++i) y[i] = table[q[i]];
}

constexpr SoftmaxKernels kSoftmaxKernels = {softmax};
