#if defined(__aarch64__)
#include <arm_neon.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "depthwise.h"

TORCHQ_BEGIN_NEON_DOT
#include "../simd_neon.h"
#include "depthwise_body.h"
TORCHQ_END_NEON_DOT

const torchq::DepthwiseKernels torchq::depthwise__neon_dot = torchq::neon_dot::kDepthwiseKernels;
#endif
