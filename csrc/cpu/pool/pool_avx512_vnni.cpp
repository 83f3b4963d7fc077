#if defined(__x86_64__)
#include <immintrin.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "pool.h"

TORCHQ_BEGIN_AVX512_VNNI
#include "../simd_avx512.h"
#include "pool_body.h"
TORCHQ_END_AVX512_VNNI

const torchq::PoolKernels torchq::pool__avx512_vnni = {torchq::avx512_vnni::max_pool, torchq::avx512_vnni::avg_pool};
#endif
