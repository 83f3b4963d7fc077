#if defined(__aarch64__)
#include <arm_neon.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "quantize.h"

TORCHQ_BEGIN_NEON_DOT
#include "../simd_neon.h"
#include "quantize_body.h"
TORCHQ_END_NEON_DOT

const torchq::QuantizeKernels torchq::quantize__neon_dot = {torchq::neon_dot::quantize, torchq::neon_dot::dequantize,
                                                            torchq::neon_dot::min_max};
#endif
