#if defined(__aarch64__)
#include <arm_neon.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "interpolate.h"

TORCHQ_BEGIN_NEON_DOT
#include "../simd_neon.h"
#include "interpolate_body.h"
TORCHQ_END_NEON_DOT

const torchq::InterpolateKernels torchq::interpolate__neon_dot = torchq::neon_dot::kInterpolateKernels;
#endif
