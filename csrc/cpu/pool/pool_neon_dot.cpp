#if defined(__aarch64__)
#include <arm_neon.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "pool.h"

TORCHQ_BEGIN_NEON_DOT
#include "../simd_neon.h"
#include "pool_body.h"
TORCHQ_END_NEON_DOT

const torchq::PoolKernels torchq::pool__neon_dot = {torchq::neon_dot::max_pool, torchq::neon_dot::avg_pool};
#endif
