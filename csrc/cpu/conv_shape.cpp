#include "conv_shape.h"

namespace torchq {
namespace {

void check_pair(const char* op, const char* name, const std::vector<int64_t>& pair, int64_t least) {
  TORCHQ_CHECK(pair.size() == 2, "torchq::", op, ": ", name, " must hold 2 numbers, got ", pair.size());
  for (const int64_t value : pair)
    TORCHQ_CHECK(value >= least && value <= kMaxExtent, "torchq::", op, ": ", name, " must lie in [", least, ", ",
                 kMaxExtent, "], got ", value);
}

}  // namespace

ConvShape check_conv_shape(const char* op, const Tensor& input, const PackedHeader& header,
                           const std::vector<int64_t>& kernel, const std::vector<int64_t>& stride,
                           const std::vector<int64_t>& padding, const std::vector<int64_t>& dilation, int64_t groups) {
  TORCHQ_CHECK(input.dim() == 4, "torchq::", op, ": input must be 4-d [N, C, H, W], got ", input.dim(), " dimensions");
  check_pair(op, "kernel_size", kernel, 1);
  check_pair(op, "stride", stride, 1);
  check_pair(op, "padding", padding, 0);
  check_pair(op, "dilation", dilation, 1);
  TORCHQ_CHECK(groups == header.groups, "torchq::", op, ": groups must be ", header.groups,
               " as in the packed weight, got ", groups);
  TORCHQ_CHECK(header.kernel[0] == 1 && kernel[0] == header.kernel[1] && kernel[1] == header.kernel[2], "torchq::", op,
               ": kernel_size must be that of the packed weight, ", header.kernel[1], " x ", header.kernel[2], ", got ",
               kernel[0], " x ", kernel[1]);
  TORCHQ_CHECK(input.size(1) == groups * header.k, "torchq::", op, ": input must have ", groups * header.k,
               " channels, got ", input.size(1));
  ConvShape shape{input.size(0), input.size(1), input.size(2), input.size(3), {}, {}, {}, {}, groups, 0, 0};
  int64_t out[2];
  for (int i = 0; i < 2; ++i) {
    shape.kernel[i] = kernel[i];
    shape.stride[i] = stride[i];
    shape.padding[i] = padding[i];
    shape.dilation[i] = dilation[i];
    const int64_t room = input.size(2 + i) + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1;
    TORCHQ_CHECK(room >= 0, "torchq::", op, ": a kernel of ", dilation[i] * (kernel[i] - 1) + 1,
                 " with its dilation does not fit an input of ", input.size(2 + i), " padded by ", padding[i]);
    out[i] = room / stride[i] + 1;
  }
  shape.out_height = out[0];
  shape.out_width = out[1];
  return shape;
}

}  // namespace torchq
