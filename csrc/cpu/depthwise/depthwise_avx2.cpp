#if defined(__x86_64__)
#include <immintrin.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "depthwise.h"

TORCHQ_BEGIN_AVX2
#include "../simd_avx2.h"
#include "depthwise_body.h"
TORCHQ_END_AVX2

const torchq::DepthwiseKernels torchq::depthwise__avx2 = torchq::avx2::kDepthwiseKernels;
#endif
