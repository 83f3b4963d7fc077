#if defined(__x86_64__)
#include <immintrin.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "interpolate.h"

TORCHQ_BEGIN_AVX2
#include "../simd_avx2.h"
#include "interpolate_body.h"
TORCHQ_END_AVX2

const torchq::InterpolateKernels torchq::interpolate__avx2 = torchq::avx2::kInterpolateKernels;
#endif
