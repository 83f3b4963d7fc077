#include "../../numerics.h"
#include "../target_region.h"
#include "recurrent.h"

TORCHQ_BEGIN_SCALAR
#include "../simd_scalar.h"
#include "recurrent_body.h"
TORCHQ_END_SCALAR

const torchq::RecurrentKernels torchq::recurrent__scalar = torchq::scalar::kRecurrentKernels;
