#if defined(__x86_64__)
#include <immintrin.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "gemm.h"

TORCHQ_BEGIN_AVX_VNNI
#include "../simd_avx_vnni.h"
#include "gemm_body.h"
TORCHQ_END_AVX_VNNI

const torchq::GemmKernels torchq::gemm__avx_vnni = torchq::avx_vnni::kDotKernels;
#endif
