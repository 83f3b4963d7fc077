#if defined(__x86_64__)
#include <immintrin.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "recurrent.h"

TORCHQ_BEGIN_AVX512_VNNI
#include "../simd_avx512.h"
#include "recurrent_body.h"
TORCHQ_END_AVX512_VNNI

const torchq::RecurrentKernels torchq::recurrent__avx512_vnni = torchq::avx512_vnni::kRecurrentKernels;
#endif
