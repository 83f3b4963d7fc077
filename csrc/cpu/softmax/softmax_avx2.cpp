#if defined(__x86_64__)
#include <immintrin.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "softmax.h"

TORCHQ_BEGIN_AVX2
#include "../simd_avx2.h"
#include "softmax_body.h"
TORCHQ_END_AVX2

const torchq::SoftmaxKernels torchq::softmax__avx2 = torchq::avx2::kSoftmaxKernels;
#endif
