#if defined(__x86_64__)
#include <immintrin.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "pool.h"

TORCHQ_BEGIN_AVX2
#include "../simd_avx2.h"
#include "pool_body.h"
TORCHQ_END_AVX2

const torchq::PoolKernels torchq::pool__avx2 = {torchq::avx2::max_pool, torchq::avx2::avg_pool};
#endif
