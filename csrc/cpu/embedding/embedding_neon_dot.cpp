#if defined(__aarch64__)
#include <arm_neon.h>

#include "../../numerics.h"
#include "../target_region.h"
#include "embedding.h"

TORCHQ_BEGIN_NEON_DOT
#include "../simd_neon.h"
#include "embedding_body.h"
TORCHQ_END_NEON_DOT

const torchq::EmbeddingKernels torchq::embedding__neon_dot = torchq::neon_dot::kEmbeddingKernels;
#endif
