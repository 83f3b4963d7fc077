#include "../../numerics.h"
#include "../target_region.h"
#include "interpolate.h"

TORCHQ_BEGIN_SCALAR
#include "../simd_scalar.h"
#include "interpolate_body.h"
TORCHQ_END_SCALAR

const torchq::InterpolateKernels torchq::interpolate__scalar = torchq::scalar::kInterpolateKernels;
