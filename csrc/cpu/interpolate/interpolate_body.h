// Floor 1, for every level. interpolate.h says what is computed.
#pragma once

#include "../lanes.h"

struct Weighted {
  Corners corners;  // a copy: a byte that is stored may be any of those that are read
  bool is_signed;
  TORCHQ_INLINE F32 pixel(int which, int64_t i, int64_t n) const {
    return to_f32(load_bytes(corners.pixels[which] + i, n, is_signed));
  }
  TORCHQ_INLINE F32 operator()(int64_t i, int64_t n) const {
    const F32 left = set(corners.left), right = set(corners.right);
    const F32 top = left * pixel(0, i, n) + right * pixel(1, i, n);
    const F32 bottom = left * pixel(2, i, n) + right * pixel(3, i, n);
    return set(corners.top) * top + set(corners.bottom) * bottom;
  }
};

void bilinear(const Corners& corners, int64_t channels, bool is_signed, uint8_t* y) {
  store_values(channels, byte_range(0, is_signed ? -128 : 0, is_signed), y, Weighted{corners, is_signed});
}

constexpr InterpolateKernels kInterpolateKernels = {bilinear};
