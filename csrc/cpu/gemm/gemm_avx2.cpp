#if defined(__x86_64__)
#include <immintrin.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "gemm.h"

TORCHQ_BEGIN_AVX2
#include "../simd_avx2.h"
#include "gemm_widened.h"
TORCHQ_END_AVX2

const torchq::GemmKernels torchq::gemm__avx2 = torchq::avx2::kWidenedKernels;
#endif
