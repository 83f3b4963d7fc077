// Floor 1. Rows of quantized embeddings to float.
#pragma once

#include <cstdint>

#include "../select.h"

namespace torchq {

struct EmbeddingKernels {
  // sums[i] = fma(weight, fma(scale, float(q[i]), bias), sums[i]); q holds a byte per element, or two with four bits,
  // the first one in the low half
  void (*add_bytes)(const uint8_t* q, int64_t n, float scale, float bias, float weight, float* sums);
  void (*add_halves)(const uint8_t* q, int64_t n, float scale, float bias, float weight, float* sums);
};

#define KERNELS(isa) TORCHQ_DECLARE_KERNELS(EmbeddingKernels, embedding, isa)
#include "kernels.inc"
#undef KERNELS

inline const EmbeddingKernels& embedding_kernels(Isa current) {
#define KERNELS(isa) TORCHQ_SELECT_KERNELS(embedding, isa)
#include "kernels.inc"
#undef KERNELS
  return embedding__scalar;
}

}  // namespace torchq
