#include "../../numerics.h"
#include "../target_region.h"
#include "elementwise.h"

TORCHQ_BEGIN_SCALAR
#include "../simd_scalar.h"
#include "elementwise_body.h"
TORCHQ_END_SCALAR

const torchq::ElementwiseKernels torchq::elementwise__scalar = torchq::scalar::kElementwiseKernels;
