// Floor 1. Normalization of quantized bytes: exact sums, then one affine map per element.
#pragma once

#include <cstdint>

#include "../select.h"

namespace torchq {

struct AffineArgs {
  // y[i] = max(sat(rne(fma(v, inverse_scale, zero_point))), lowest)
  // with v = fma(float(q[i]) + offset, factor * scale[i], shift[i])
  const float* offset;
  bool offset_per_element;  // whether offset holds n numbers, else one
  const float* scale;       // [n]
  const float* shift;       // [n]
  float factor;
  float inverse_scale;
  int32_t zero_point;
  int32_t lowest;
  bool is_signed;
};

struct NormalizeKernels {
  // Adds the sum and the sum of squares of n values, exact.
  void (*moments)(const uint8_t* q, int64_t n, bool is_signed, int64_t* sum, int64_t* squares);
  // Adds those of each channel of [pixels, channels], `stride` bytes from pixel to pixel. At most kMaxPixels of them.
  void (*channel_moments)(const uint8_t* q, int64_t pixels, int64_t channels, int64_t stride, bool is_signed,
                          int32_t* sums, int32_t* squares);
  void (*affine)(const uint8_t* q, int64_t n, const AffineArgs& args, uint8_t* y);
};

// As many squares of bytes as an int32 holds.
constexpr int64_t kMaxPixels = INT32_MAX / (255 * 255);

#define KERNELS(isa) TORCHQ_DECLARE_KERNELS(NormalizeKernels, normalize, isa)
#include "kernels.inc"
#undef KERNELS

inline const NormalizeKernels& normalize_kernels(Isa current) {
#define KERNELS(isa) TORCHQ_SELECT_KERNELS(normalize, isa)
#include "kernels.inc"
#undef KERNELS
  return normalize__scalar;
}

}  // namespace torchq
