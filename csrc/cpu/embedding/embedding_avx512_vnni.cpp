#if defined(__x86_64__)
#include <immintrin.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "embedding.h"

TORCHQ_BEGIN_AVX512_VNNI
#include "../simd_avx512.h"
#include "embedding_body.h"
TORCHQ_END_AVX512_VNNI

const torchq::EmbeddingKernels torchq::embedding__avx512_vnni = torchq::avx512_vnni::kEmbeddingKernels;
#endif
