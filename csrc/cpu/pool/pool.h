// Floor 1. Neighbouring output pixels of a pool over NHWC bytes. A window comes as a list of pixels, padding left out, so
// that every kind of pool is one of two kernels.
#pragma once

#include <cstdint>

#include "../select.h"

namespace torchq {

// Windows that are alike but for where they lie: a step apart.
struct Windows {
  const uint8_t* const* pixels;  // of the first one; each points at `channels` bytes
  int64_t count;                 // of a window's pixels; the largest of none is qmin
  int64_t channels;
  bool is_signed;
  int64_t windows;
  int64_t step;  // in bytes
};

struct AverageArgs {
  float inverse_divisor;
  int32_t zero_point;
  // fused:     y = sat(rne(fma(v, inverse_divisor, zero_point)))
  // otherwise: y = sat(rne(v * inverse_divisor) + zero_point)
  // with v = float(sum of the window - count * zero_point)
  bool fused;
};

struct PoolKernels {
  // y: [windows][channels]
  void (*max_pool)(const Windows& windows, uint8_t* y);
  void (*avg_pool)(const Windows& windows, const AverageArgs& args, uint8_t* y);
};

#define KERNELS(isa) TORCHQ_DECLARE_KERNELS(PoolKernels, pool, isa)
#include "kernels.inc"
#undef KERNELS

inline const PoolKernels& pool_kernels(Isa current) {
#define KERNELS(isa) TORCHQ_SELECT_KERNELS(pool, isa)
#include "kernels.inc"
#undef KERNELS
  return pool__scalar;
}

}  // namespace torchq
