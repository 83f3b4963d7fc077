// Floor 2. Depthwise convolution over NHWC, split over output rows and threads.
#pragma once

#include "conv_shape.h"
#include "gemm/gemm.h"

namespace torchq {

// `args` as use_group, use_input and use_output (for bytes) leave it, and its output: [N, OH, OW, C] bytes or floats;
// input: [N, H, W, C] bytes.
void run_depthwise(const ConvShape& shape, const GemmArgs& args, const uint8_t* input, bool to_float);

}  // namespace torchq
