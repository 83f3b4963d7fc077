// Floor 1. Float to integers and back, and the range of a float array.
#pragma once

#include <cstdint>

#include "../select.h"

namespace torchq {

enum class Storage { u8, s8, s32 };

// Arrays are contiguous.
struct QuantizeKernels {
  // fused:      q[i] = sat(rne(fma(x[i], inverse_scale, zero_point)))
  // otherwise:  q[i] = sat(rne(float32(x[i] * inverse_scale) + zero_point))
  // NaN gives qmax. With `per_element` the scale and zero point arrays hold n entries, else one.
  void (*quantize)(const float* x, int64_t n, const float* inverse_scale, const float* zero_point, bool per_element,
                   bool fused, Storage storage, void* q);
  // x[i] = float(q[i] - zero_point) * scale, the difference exact and rounded once
  void (*dequantize)(const void* q, int64_t n, float scale, int32_t zero_point, Storage storage, float* x);
  // Lowers *least and raises *most to the range of x[0..n); both become NaN if a value is NaN or infinite.
  void (*min_max)(const float* x, int64_t n, float* least, float* most);
};

#define KERNELS(isa) TORCHQ_DECLARE_KERNELS(QuantizeKernels, quantize, isa)
#include "kernels.inc"
#undef KERNELS

inline const QuantizeKernels& quantize_kernels(Isa current) {
#define KERNELS(isa) TORCHQ_SELECT_KERNELS(quantize, isa)
#include "kernels.inc"
#undef KERNELS
  return quantize__scalar;
}

}  // namespace torchq
