#include "../../numerics.h"
#include "../target_region.h"
#include "depthwise.h"

TORCHQ_BEGIN_SCALAR
#include "../simd_scalar.h"
#include "depthwise_body.h"
TORCHQ_END_SCALAR

const torchq::DepthwiseKernels torchq::depthwise__scalar = torchq::scalar::kDepthwiseKernels;
