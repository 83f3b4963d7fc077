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

// The packed weight's kernel in the last `dims` dimensions.
std::string kernel_text(const PackedHeader& header, int64_t dims) {
  const std::vector<int64_t> kernel(header.kernel + 3 - dims, header.kernel + 3);
  return shape_text(Sizes(kernel.data(), kernel.size()));
}

}  // namespace

ConvAxis::TapRange ConvAxis::taps_of_set(int64_t set) const {
  const int64_t most = most_unseen();
  return set <= most ? TapRange{set, kernel} : TapRange{0, kernel - (set - most)};
}

int64_t ConvAxis::set_of_taps(const TapRange& taps) const {
  return taps.first > 0 ? taps.first : taps.end < kernel ? most_unseen() + kernel - taps.end : 0;
}

ConvWindow::ConvWindow(const int64_t* window, int64_t dims, bool transposed) {
  for (int64_t i = 0; i < 3; ++i) {
    const int64_t d = i - (3 - dims);
    axes[i] = d < 0
                  ? ConvAxis{1, 1, 1, 0, 1, 1, transposed}
                  : ConvAxis{0, window[d], window[dims + d], window[2 * dims + d], window[3 * dims + d], 0, transposed};
    output_padding[i] = d >= 0 && transposed ? window[4 * dims + d] : 0;
  }
}

int64_t check_window(const char* op, const PackedHeader& header, const std::vector<int64_t>& window, bool transposed) {
  const int64_t parts = transposed ? 5 : 4;
  const int64_t size = static_cast<int64_t>(window.size()), dims = size / parts;
  TORCHQ_CHECK(size == parts * dims && dims >= 1 && dims <= 3, "torchq::", op, ": window must hold ",
               transposed ? "kernel_size, stride, padding, dilation and output_padding"
                          : "kernel_size, stride, padding and dilation",
               " of 1 to 3 dimensions, got ", size, " numbers");
  const int64_t* numbers = window.data();
  check_numbers(op, "kernel_size", numbers, dims, 1);
  check_numbers(op, "stride", numbers + dims, dims, 1);
  check_numbers(op, "padding", numbers + 2 * dims, dims, 0);
  check_numbers(op, "dilation", numbers + 3 * dims, dims, 1);
  if (transposed) check_numbers(op, "output_padding", numbers + 4 * dims, dims, 0);
  const ConvWindow parsed(numbers, dims, transposed);
  for (int i = 0; i < 3; ++i)
    TORCHQ_CHECK(parsed.axes[i].kernel == header.kernel[i], "torchq::", op,
                 ": kernel_size must be that of the packed weight, ", kernel_text(header, dims), ", got ",
                 shape_text(Sizes(numbers, dims)));
  return dims;
}

ConvShape conv_shape(const char* op, const Tensor& input, const PackedHeader& header, const ConvWindow& window,
                     int64_t dims) {
  TORCHQ_CHECK(input.dim() == dims + 2, "torchq::", op, ": input must be [N, C, *spatial] with ", dims,
               " spatial dimensions as the window, got ", input.dim(), " dimensions");
  ConvShape shape{input.size(0), input.size(1), header.groups, {}};
  for (int64_t i = 0; i < 3; ++i) {
    const int64_t d = i - (3 - dims);
    ConvAxis& axis = shape.axes[i] = window.axes[i];
    if (d < 0) continue;
    axis.input = input.size(2 + d);
    axis.output = output_of_axis(op, axis, window.output_padding[i]);
  }
  TORCHQ_CHECK(shape.channels == int64_t{header.groups} * header.k, "torchq::", op, ": input must have ",
               int64_t{header.groups} * header.k, " channels, got ", shape.channels);
  return shape;
}

Tensor empty_conv_output(const ConvShape& shape, int64_t dims, int64_t channels, ScalarType dtype) {
  int64_t size[5] = {shape.n, channels};
  for (int64_t d = 0; d < dims; ++d) size[2 + d] = shape.axes[3 - dims + d].output;
  return empty_channels_last(Sizes(size, static_cast<size_t>(2 + dims)), dtype);
}

}  // namespace torchq
