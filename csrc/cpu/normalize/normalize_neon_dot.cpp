#if defined(__aarch64__)
#include <arm_neon.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "normalize.h"

TORCHQ_BEGIN_NEON_DOT
#include "../simd_neon.h"
#include "normalize_body.h"
TORCHQ_END_NEON_DOT

const torchq::NormalizeKernels torchq::normalize__neon_dot = torchq::neon_dot::kNormalizeKernels;
#endif
