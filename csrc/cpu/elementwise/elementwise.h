// Floor 1. Sums, products and functions of quantized bytes, one by one.
#pragma once

#include <cstdint>

#include "../select.h"

namespace torchq {

struct Operand {
  const uint8_t* q;
  float scale;
  float zero_point;
};

// Where an 8-bit result goes: y = max(sat(rne(v) + zero_point), lowest), or with the zero point inside of rne.
struct ByteOutput {
  float inverse_scale;
  int32_t zero_point;
  int32_t lowest;
  bool is_signed;
};

struct ElementwiseKernels {
  // y[i] = max(sat(rne((fa + fb) * inverse_scale) + zero_point), lowest)
  // with f = fma(scale, float(q[i]), -(zero_point * scale)) for each operand
  void (*add)(const Operand& a, const Operand& b, int64_t n, const ByteOutput& output, uint8_t* y);
  // y[i] = max(sat(rne(float((a[i] - za) * (b[i] - zb)) * multiplier) + zero_point), lowest); the product is exact
  void (*mul)(const Operand& a, const Operand& b, int64_t n, float multiplier, const ByteOutput& output, uint8_t* y);
  // y[i] = min(max(q[i], lowest), highest)
  void (*clamp)(const uint8_t* q, int64_t n, int32_t lowest, int32_t highest, bool is_signed, uint8_t* y);
  // y[i] = table[q[i]], q taken as uint8 whatever it means
  void (*lookup)(const uint8_t* q, int64_t n, const uint8_t* table, uint8_t* y);
  // y[i] = sat(rne(fma(fma(min(t, 0), negative_scale[i], max(t, 0) * q.scale), inverse_scale, zero_point)))
  // with t = float(q[i] - q.zero_point)
  void (*prelu)(const Operand& q, int64_t n, const float* negative_scale, const ByteOutput& output, uint8_t* y);
  // y[3 i + j] = planes[j * plane_bytes + i] of three planes
  void (*interleave)(const uint8_t* planes, int64_t plane_bytes, int64_t n, uint8_t* y);
};

#define KERNELS(isa) TORCHQ_DECLARE_KERNELS(ElementwiseKernels, elementwise, isa)
#include "kernels.inc"
#undef KERNELS

inline const ElementwiseKernels& elementwise_kernels(Isa current) {
#define KERNELS(isa) TORCHQ_SELECT_KERNELS(elementwise, isa)
#include "kernels.inc"
#undef KERNELS
  return elementwise__scalar;
}

}  // namespace torchq
