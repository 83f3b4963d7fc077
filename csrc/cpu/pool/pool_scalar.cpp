#include "../../numerics.h"
#include "../target_region.h"
#include "pool.h"

TORCHQ_BEGIN_SCALAR
#include "../simd_scalar.h"
#include "pool_body.h"
TORCHQ_END_SCALAR

const torchq::PoolKernels torchq::pool__scalar = {torchq::scalar::max_pool, torchq::scalar::avg_pool};
