// Floor 1. Sums and clamps of quantized bytes.
#pragma once

#include <cstdint>

#include "../select.h"

namespace torchq {

struct Operand {
  const uint8_t* q;
  float scale;
  float zero_point;
};

struct ElementwiseKernels {
  // y[i] = max(sat(rne((fa + fb) * inverse_scale) + zero_point), lowest)
  // with f = fma(scale, float(q[i]), -(zero_point * scale)) for each operand
  void (*add)(const Operand& a, const Operand& b, int64_t n, float inverse_scale, int32_t zero_point, int32_t lowest,
              bool is_signed, uint8_t* y);
  // y[i] = min(max(q[i], lowest), highest)
  void (*clamp)(const uint8_t* q, int64_t n, int32_t lowest, int32_t highest, bool is_signed, uint8_t* y);
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
