#include "../../numerics.h"
#include "../target_region.h"
#include "softmax.h"

TORCHQ_BEGIN_SCALAR
#include "../simd_scalar.h"
#include "softmax_body.h"
TORCHQ_END_SCALAR

const torchq::SoftmaxKernels torchq::softmax__scalar = torchq::scalar::kSoftmaxKernels;
