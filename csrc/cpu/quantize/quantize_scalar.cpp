#include "../../numerics.h"
#include "../target_region.h"
#include "quantize.h"

TORCHQ_BEGIN_SCALAR
#include "../simd_scalar.h"
#include "quantize_body.h"
TORCHQ_END_SCALAR

const torchq::QuantizeKernels torchq::quantize__scalar = {torchq::scalar::quantize, torchq::scalar::dequantize,
                                                          torchq::scalar::min_max};
