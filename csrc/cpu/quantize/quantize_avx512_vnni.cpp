#if defined(__x86_64__)
#include <immintrin.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "quantize.h"

TORCHQ_BEGIN_AVX512_VNNI
#include "../simd_avx512.h"
#include "quantize_body.h"
TORCHQ_END_AVX512_VNNI

const torchq::QuantizeKernels torchq::quantize__avx512_vnni = {
    torchq::avx512_vnni::quantize, torchq::avx512_vnni::dequantize, torchq::avx512_vnni::min_max};
#endif
