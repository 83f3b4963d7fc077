#if defined(__aarch64__)
#include <arm_neon.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "recurrent.h"

TORCHQ_BEGIN_NEON_DOT
#include "../simd_neon.h"
#include "recurrent_body.h"
TORCHQ_END_NEON_DOT

const torchq::RecurrentKernels torchq::recurrent__neon_dot = torchq::neon_dot::kRecurrentKernels;
#endif
