#if defined(__x86_64__)
#include <immintrin.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "depthwise.h"

TORCHQ_BEGIN_AVX_VNNI
#include "../simd_avx_vnni.h"
#include "depthwise_body.h"
TORCHQ_END_AVX_VNNI

const torchq::DepthwiseKernels torchq::depthwise__avx_vnni = torchq::avx_vnni::kDepthwiseKernels;
#endif
