// Floor 2. Depthwise convolution over NHWC, split over output rows and threads.
#pragma once

#include "conv_shape.h"
#include "gemm/gemm.h"

namespace torchq {

// `args` as use_group, use_input and use_output (for bytes) leave it; input: [N, H, W, C] bytes; output: [N,
// OH, OW, C] bytes or floats.
void run_depthwise(const ConvShape& shape, const GemmArgs& args, const uint8_t* input, bool to_float, void* output);

}  // namespace torchq
