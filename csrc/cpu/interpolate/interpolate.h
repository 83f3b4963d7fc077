// Floor 1. Weighted means of pixels.
#pragma once

#include <cstdint>

#include "../select.h"

namespace torchq {

// The four pixels around a point and the weights of their rows and columns.
struct Corners {
  const uint8_t* pixels[4];  // top left, top right, bottom left, bottom right
  float top, bottom, left, right;
};

struct InterpolateKernels {
  // y[c] = sat(rne(top * (left * q0[c] + right * q1[c]) + bottom * (left * q2[c] + right * q3[c]))), each operation
  // rounded
  void (*bilinear)(const Corners& corners, int64_t channels, bool is_signed, uint8_t* y);
};

#define KERNELS(isa) TORCHQ_DECLARE_KERNELS(InterpolateKernels, interpolate, isa)
#include "kernels.inc"
#undef KERNELS

inline const InterpolateKernels& interpolate_kernels(Isa current) {
#define KERNELS(isa) TORCHQ_SELECT_KERNELS(interpolate, isa)
#include "kernels.inc"
#undef KERNELS
  return interpolate__scalar;
}

}  // namespace torchq
