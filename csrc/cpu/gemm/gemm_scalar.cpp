#include "../../numerics.h"
#include "../target_region.h"
#include "gemm.h"

TORCHQ_BEGIN_SCALAR
#include "../simd_scalar.h"
#include "gemm_body.h"
TORCHQ_END_SCALAR

const torchq::GemmKernels torchq::gemm__scalar = torchq::scalar::kDotKernels;
