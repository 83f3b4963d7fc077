#include "conv_shape.h"

namespace torchq {
namespace {

void check_numbers(const char* op, const char* name, const int64_t* values, int64_t count, int64_t least) {
  for (int64_t i = 0; i < count; ++i)
    TORCHQ_CHECK(values[i] >= least && values[i] <= kMaxExtent, "torchq::", op, ": ", name, " must lie in [", least,
                 ", ", kMaxExtent, "], got ", values[i]);
}

int64_t output_of_axis(const char* op, const ConvAxis& axis, int64_t output_padding) {
  const int64_t extent = axis.dilation * (axis.kernel - 1) + 1;
  if (!axis.transposed) {
    const int64_t room = axis.input + 2 * axis.padding - extent;
    TORCHQ_CHECK(room >= 0, "torchq::", op, ": a kernel of ", extent, " with its dilation does not fit an input of ",
                 axis.input, " padded by ", axis.padding);
    return room / axis.stride + 1;
  }
  TORCHQ_CHECK(output_padding < axis.stride || output_padding < axis.dilation, "torchq::", op,
               ": output_padding must be below stride or dilation, got ", output_padding, " with stride ", axis.stride,
               " and dilation ", axis.dilation);
  const int64_t output = (axis.input - 1) * axis.stride - 2 * axis.padding + extent + output_padding;
  TORCHQ_CHECK(axis.input >= 1 && output >= 1, "torchq::", op, ": an input of ", axis.input, " gives an output of ",
               output, ", which must be at least 1");
  return output;
}

}  // namespace

ConvAxis::Phase ConvAxis::phase(int64_t index) const {
  if (!transposed) {
    Phase all{0, output, {}};
    for (int64_t tap = 0; tap < kernel; ++tap) all.taps.push_back({tap, tap * dilation - padding});
    return all;
  }
  Phase phase{index, output > index ? (output - index + stride - 1) / stride : 0, {}};
  for (int64_t tap = 0; tap < kernel; ++tap) {
    const int64_t distance = index + padding - tap * dilation;
    if (distance % stride == 0) phase.taps.push_back({tap, distance / stride});
  }
  return phase;
}

ConvShape check_conv_shape(const char* op, const Tensor& input, const PackedHeader& header,
                           const std::vector<int64_t>& window, bool transposed) {
  const int64_t dims = input.dim() - 2;
  TORCHQ_CHECK(dims >= 1 && dims <= 3, "torchq::", op,
               ": input must be [N, C, *spatial] with 1 to 3 spatial dimensions, ", "got ", input.dim(), " dimensions");
  const int64_t parts = transposed ? 5 : 4;
  TORCHQ_CHECK(static_cast<int64_t>(window.size()) == parts * dims, "torchq::", op, ": window must hold ",
               transposed ? "kernel_size, stride, padding, dilation and output_padding"
                          : "kernel_size, stride, padding and dilation",
               " of ", dims, " dimensions, ", parts * dims, " numbers, got ", window.size());
  const int64_t *kernel = window.data(), *stride = kernel + dims, *padding = stride + dims, *dilation = padding + dims;
  check_numbers(op, "kernel_size", kernel, dims, 1);
  check_numbers(op, "stride", stride, dims, 1);
  check_numbers(op, "padding", padding, dims, 0);
  check_numbers(op, "dilation", dilation, dims, 1);
  if (transposed) check_numbers(op, "output_padding", dilation + dims, dims, 0);
  ConvShape shape{input.size(0), input.size(1), header.groups, {}};
  for (int64_t i = 0; i < 3; ++i) {
    const int64_t d = i - (3 - dims);
    ConvAxis& axis = shape.axes[i];
    axis = d < 0 ? ConvAxis{1, 1, 1, 0, 1, 1, transposed}
                 : ConvAxis{input.size(2 + d), kernel[d], stride[d], padding[d], dilation[d], 0, transposed};
    TORCHQ_CHECK(axis.kernel == header.kernel[i], "torchq::", op, ": kernel_size must be that of the packed weight, ",
                 shape_text(Sizes(std::vector<int64_t>(header.kernel + 3 - dims, header.kernel + 3).data(), dims)),
                 ", got ", shape_text(Sizes(kernel, dims)));
    axis.output = output_of_axis(op, axis, transposed && d >= 0 ? dilation[dims + d] : 0);
  }
  TORCHQ_CHECK(shape.channels == int64_t{header.groups} * header.k, "torchq::", op, ": input must have ",
               int64_t{header.groups} * header.k, " channels, got ", shape.channels);
  return shape;
}

std::vector<int64_t> conv_output_size(const ConvShape& shape, int64_t dims, int64_t channels) {
  std::vector<int64_t> size{shape.n, channels};
  for (int64_t i = 3 - dims; i < 3; ++i) size.push_back(shape.axes[i].output);
  return size;
}

}  // namespace torchq
