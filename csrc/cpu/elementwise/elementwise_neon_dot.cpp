#if defined(__aarch64__)
#include <arm_neon.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "elementwise.h"

TORCHQ_BEGIN_NEON_DOT
#include "../simd_neon.h"
#include "elementwise_body.h"
TORCHQ_END_NEON_DOT

const torchq::ElementwiseKernels torchq::elementwise__neon_dot = torchq::neon_dot::kElementwiseKernels;
#endif
