#include "../../numerics.h"
#include "../target_region.h"
#include "normalize.h"

TORCHQ_BEGIN_SCALAR
#include "../simd_scalar.h"
#include "normalize_body.h"
TORCHQ_END_SCALAR

const torchq::NormalizeKernels torchq::normalize__scalar = torchq::scalar::kNormalizeKernels;
