#include "../../numerics.h"
#include "../target_region.h"
#include "embedding.h"

TORCHQ_BEGIN_SCALAR
#include "../simd_scalar.h"
#include "embedding_body.h"
TORCHQ_END_SCALAR

const torchq::EmbeddingKernels torchq::embedding__scalar = torchq::scalar::kEmbeddingKernels;
