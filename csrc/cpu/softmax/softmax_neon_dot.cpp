#if defined(__aarch64__)
#include <arm_neon.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "softmax.h"

TORCHQ_BEGIN_NEON_DOT
#include "../simd_neon.h"
#include "softmax_body.h"
TORCHQ_END_NEON_DOT

const torchq::SoftmaxKernels torchq::softmax__neon_dot = torchq::neon_dot::kSoftmaxKernels;
#endif
