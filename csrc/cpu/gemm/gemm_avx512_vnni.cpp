#if defined(__x86_64__)
#include <immintrin.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "gemm.h"

TORCHQ_BEGIN_AVX512_VNNI
#include "../simd_avx512.h"
#include "gemm_body.h"
#include "gemm_group_lanes.h"
TORCHQ_END_AVX512_VNNI

const torchq::GemmKernels torchq::gemm__avx512_vnni = torchq::avx512_vnni::kDotKernels;
#endif
