#if defined(__x86_64__)
#include <immintrin.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "elementwise.h"

TORCHQ_BEGIN_AVX2
#include "../simd_avx2.h"
#include "elementwise_body.h"
TORCHQ_END_AVX2

const torchq::ElementwiseKernels torchq::elementwise__avx2 = torchq::avx2::kElementwiseKernels;
#endif
