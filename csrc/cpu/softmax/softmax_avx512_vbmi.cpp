#if defined(__x86_64__)
#include <immintrin.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "softmax.h"

TORCHQ_BEGIN_AVX512_VBMI
#define TORCHQ_AVX512_VBMI
#include "../simd_avx512.h"
#include "softmax_body.h"
TORCHQ_END_AVX512_VBMI

const torchq::SoftmaxKernels torchq::softmax__avx512_vbmi = torchq::avx512_vbmi::kSoftmaxKernels;
#endif
