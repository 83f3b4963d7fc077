#if defined(__aarch64__)
#include <arm_neon.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "gemm.h"

TORCHQ_BEGIN_NEON_DOT
#include "../simd_neon.h"
#include "gemm_body.h"
TORCHQ_END_NEON_DOT

const torchq::GemmKernels torchq::gemm__neon_dot = torchq::neon_dot::kDotKernels;
#endif
