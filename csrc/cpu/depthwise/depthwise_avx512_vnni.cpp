#if defined(__x86_64__)
#include <immintrin.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "depthwise.h"

TORCHQ_BEGIN_AVX512_VNNI
#include "../simd_avx512.h"
#include "depthwise_body.h"
TORCHQ_END_AVX512_VNNI

const torchq::DepthwiseKernels torchq::depthwise__avx512_vnni = torchq::avx512_vnni::kDepthwiseKernels;
#endif
