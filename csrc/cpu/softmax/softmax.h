// Floor 1. Softmax of a row of quantized bytes.
#pragma once

#include <cstdint>

#include "../select.h"

namespace torchq {

// The weights of a byte d steps below the row's largest: rne(exp(-d * input scale) * 2^24), last one first, and as many
// zeros for bytes that lie above it, which do not occur.
struct SoftmaxWeights {
  int32_t below[511];
};

struct SoftmaxKernels {
  // y[i] = sat(rne(float(e[i]) * float(1 / (s * output_scale))) + zero_point), e[i] the weight of q[i] and s their
  // exact sum; quotient in float64
  void (*softmax)(const uint8_t* q, int64_t n, const SoftmaxWeights& weights, float output_scale, int32_t zero_point,
                  bool is_signed, uint8_t* y);
};

#define KERNELS(isa) TORCHQ_DECLARE_KERNELS(SoftmaxKernels, softmax, isa)
#include "kernels.inc"
#undef KERNELS

inline const SoftmaxKernels& softmax_kernels(Isa current) {
#define KERNELS(isa) TORCHQ_SELECT_KERNELS(softmax, isa)
#include "kernels.inc"
#undef KERNELS
  return softmax__scalar;
}

}  // namespace torchq
