#if defined(__x86_64__)
#include <immintrin.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "normalize.h"

TORCHQ_BEGIN_AVX2
#include "../simd_avx2.h"
#include "normalize_body.h"
TORCHQ_END_AVX2

const torchq::NormalizeKernels torchq::normalize__avx2 = torchq::avx2::kNormalizeKernels;
#endif
