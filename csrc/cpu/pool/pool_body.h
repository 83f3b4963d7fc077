// Floor 1, for every level. pool.h says what is computed.
#pragma once

#include "../lanes.h"

// 16 * kVectors channels of a window whose pixels lie `offset` bytes from the first one's, or `part` of 16.
template <bool kSigned, int kVectors>
TORCHQ_INLINE void average_channels(const Windows& windows, const AverageArgs& args, int64_t offset, int64_t part,
                                    const ByteRange& range, uint8_t* y) {
  const F32 inverse = set(args.inverse_divisor), zero_point = set(static_cast<float>(args.zero_point));
  I32 sums[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) sums[v] = set(static_cast<int32_t>(-windows.count * args.zero_point));
  for (int64_t i = 0; i < windows.count; ++i) {
    const uint8_t* p = windows.pixels[i] + offset;
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sums[v] = sums[v] + load_bytes(p + 16 * v, part, kSigned);
  }
  F32 means[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    const F32 sum = to_f32(sums[v]);
    means[v] = below_ceiling(args.fused ? fma(sum, inverse, zero_point) : sum * inverse);
  }
  store_bytes(y, means, range, kVectors == 1 ? part : 16 * kVectors);
}

template <bool kSigned>
TORCHQ_INLINE void average_windows(const Windows& windows, const AverageArgs& args, uint8_t* y) {
  const ByteRange range = byte_range(args.fused ? 0 : args.zero_point, kSigned ? -128 : 0, kSigned);
  for (int64_t w = 0; w < windows.windows; ++w, y += windows.channels) {
    const int64_t offset = w * windows.step;
    int64_t c = 0;
    for (; c + 64 <= windows.channels; c += 64)
      average_channels<kSigned, 4>(windows, args, offset + c, 16, range, y + c);
    for (; c < windows.channels; c += 16) {
      const int64_t part = windows.channels - c < 16 ? windows.channels - c : 16;
      average_channels<kSigned, 1>(windows, args, offset + c, part, range, y + c);
    }
  }
}

// Of kBytes channels or a part of them, which are compared as uint8.
template <bool kSigned>
TORCHQ_INLINE Bytes max_channels(const uint8_t* const* pixels, int64_t count, int64_t offset, int64_t part) {
  const Bytes flip = set_bytes(kSigned ? 128 : 0);
  Bytes most = set_bytes(0);
  for (int64_t i = 0; i < count; ++i) {
    const Bytes x = load_block(pixels[i] + offset, part);
    most = max(most, kSigned ? x ^ flip : x);
  }
  return kSigned ? most ^ flip : most;
}

template <bool kSigned>
TORCHQ_INLINE void max_of_windows(const Windows& windows, uint8_t* y) {
  // What is stored could be these, for all that the compiler knows.
  const auto [pixels, count, channels, is_signed, outputs, step] = windows;
  const int64_t whole = channels / kBytes * kBytes;
  for (int64_t w = 0; w < outputs; ++w, y += channels) {
    const int64_t offset = w * step;
    for (int64_t c = 0; c < whole; c += kBytes)
      store_block(y + c, max_channels<kSigned>(pixels, count, offset + c, kBytes), kBytes);
    if (whole < channels)
      store_block(y + whole, max_channels<kSigned>(pixels, count, offset + whole, channels - whole), channels - whole);
  }
}

void max_pool(const Windows& windows, uint8_t* y) {
  if (windows.is_signed) return max_of_windows<true>(windows, y);
  return max_of_windows<false>(windows, y);
}

void avg_pool(const Windows& windows, const AverageArgs& args, uint8_t* y) {
  if (windows.is_signed) return average_windows<true>(windows, args, y);
  return average_windows<false>(windows, args, y);
}
