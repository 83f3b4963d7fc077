#if defined(__x86_64__)
#include <immintrin.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "quantize.h"

TORCHQ_BEGIN_AVX2
#include "../simd_avx2.h"
#include "quantize_body.h"
TORCHQ_END_AVX2

const torchq::QuantizeKernels torchq::quantize__avx2 = {torchq::avx2::quantize, torchq::avx2::dequantize,
                                                        torchq::avx2::min_max};
#endif
