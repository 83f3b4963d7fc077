// Floor 2. The window of a 2d convolution over its input, checked.
#pragma once

#include <vector>

#include "gemm/pack.h"
#include "tensors.h"

namespace torchq {

struct ConvShape {
  int64_t n, channels, height, width;
  int64_t kernel[2], stride[2], padding[2], dilation[2];
  int64_t groups;
  int64_t out_height, out_width;
};

ConvShape check_conv_shape(const char* op, const Tensor& input, const PackedHeader& header,
                           const std::vector<int64_t>& kernel, const std::vector<int64_t>& stride,
                           const std::vector<int64_t>& padding, const std::vector<int64_t>& dilation, int64_t groups);

}  // namespace torchq
