#if defined(__x86_64__)
#include <immintrin.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "recurrent.h"

TORCHQ_BEGIN_AVX2
#include "../simd_avx2.h"
#include "recurrent_body.h"
TORCHQ_END_AVX2

const torchq::RecurrentKernels torchq::recurrent__avx2 = torchq::avx2::kRecurrentKernels;
#endif
