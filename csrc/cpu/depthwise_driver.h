// Floor 2. Depthwise convolution over NHWC, split over output rows and threads.
#pragma once

#include "layer.h"

namespace torchq {

int64_t depthwise_lines(const LayerHeader& header);
bool prepare_depthwise(const LayerHeader& header, const Weight& weight, void* prepared);

// input: [N, H, W, C] bytes; output: [N, OH, OW, C] bytes or floats.
void run_depthwise(const ConvShape& shape, const Layer& layer, const PackedWeight& packed, const uint8_t* input,
                   void* output);

}  // namespace torchq
