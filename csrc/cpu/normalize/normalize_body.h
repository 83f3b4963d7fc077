// Floor 1, for every level. normalize.h says what is computed.
#pragma once

#include "../lanes.h"

TORCHQ_INLINE int64_t total(I32 lanes) {
  int32_t lane[16];
  store_part(lane, lanes, 16);
  int64_t sum = 0;
  for (const int32_t value : lane) sum += value;
  return sum;
}

void moments(const uint8_t* q, int64_t n, bool is_signed, int64_t* sum, int64_t* squares) {
  while (n > 0) {
    const int64_t block = n < 16 * kMaxPixels ? n : 16 * kMaxPixels;
    I32 sums = set(int32_t{0}), products = set(int32_t{0});
    for (int64_t i = 0; i < block; i += 16) {
      const I32 value = load_bytes(q + i, block - i, is_signed);
      sums = sums + value;
      products = products + value * value;
    }
    *sum += total(sums);
    *squares += total(products);
    q += block;
    n -= block;
  }
}

void channel_moments(const uint8_t* q, int64_t pixels, int64_t channels, int64_t stride, bool is_signed, int32_t* sums,
                     int32_t* squares) {
  for (int64_t c = 0; c < channels; c += 16) {
    const int64_t part = channels - c < 16 ? channels - c : 16;
    I32 sum = load_part(sums + c, part), products = load_part(squares + c, part);
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
      const I32 value = load_bytes(q + pixel * stride + c, part, is_signed);
      sum = sum + value;
      products = products + value * value;
    }
    store_part(sums + c, sum, part);
    store_part(squares + c, products, part);
  }
}

struct Affine {
  const uint8_t* q;
  AffineArgs args;  // a copy: a byte that is stored may be any of those that are read
  F32 factor, inverse, zero;
  TORCHQ_INLINE F32 operator()(int64_t i, int64_t n) const {
    const F32 offset = args.offset_per_element ? load_part(args.offset + i, n) : set(*args.offset);
    const F32 x = to_f32(load_bytes(q + i, n, args.is_signed)) + offset;
    const F32 normalized = fma(x, factor * load_part(args.scale + i, n), load_part(args.shift + i, n));
    return below_ceiling(fma(normalized, inverse, zero));
  }
};

void affine(const uint8_t* q, int64_t n, const AffineArgs& args, uint8_t* y) {
  const ByteRange range = byte_range(0, args.lowest, args.is_signed);
  store_values(n, range, y,
               Affine{q, args, set(args.factor), set(args.inverse_scale), set(static_cast<float>(args.zero_point))});
}

constexpr NormalizeKernels kNormalizeKernels = {moments, channel_moments, affine};
