// Floor 1. The gates of recurrent cells, in float32. Sums of the products with the input and with the hidden state come
// in separate arrays.
#pragma once

#include <cstdint>

#include "../select.h"

namespace torchq {

struct RecurrentKernels {
  // x, h: [4][n], the gates i, f, g, o. With their sums a:
  //   cell[j] = sigmoid(af) * cell[j] + sigmoid(ai) * tanh(ag),   hidden[j] = sigmoid(ao) * tanh(cell[j])
  void (*lstm)(const float* x, const float* h, int64_t n, float* cell, float* hidden);
  // x, h: [3][n], the gates r, z, n; previous: [n].
  //   r = sigmoid(hr + xr),  z = sigmoid(hz + xz),  new = tanh(xn + hn * r),  hidden[j] = (previous - new) * z + new
  void (*gru)(const float* x, const float* h, int64_t n, const float* previous, float* hidden);
};

#define KERNELS(isa) TORCHQ_DECLARE_KERNELS(RecurrentKernels, recurrent, isa)
#include "kernels.inc"
#undef KERNELS

inline const RecurrentKernels& recurrent_kernels(Isa current) {
#define KERNELS(isa) TORCHQ_SELECT_KERNELS(recurrent, isa)
#include "kernels.inc"
#undef KERNELS
  return recurrent__scalar;
}

}  // namespace torchq
