#if defined(__x86_64__)
#include <immintrin.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "embedding.h"

TORCHQ_BEGIN_AVX2
#include "../simd_avx2.h"
#include "embedding_body.h"
TORCHQ_END_AVX2

const torchq::EmbeddingKernels torchq::embedding__avx2 = torchq::avx2::kEmbeddingKernels;
#endif
