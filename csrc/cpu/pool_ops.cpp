// Floor 2. max_pool2d, avg_pool2d, adaptive_avg_pool2d over NHWC.
#include <algorithm>

#include "pool/pool.h"
#include "tensors.h"

namespace torchq {
namespace {

// One axis of a pool.
struct Axis {
  int64_t input, kernel, stride, padding, dilation, output;
};

// The input coordinates under one output coordinate, clipped to the input, and the extent that average
// pooling divides by when it counts padding: clipped to the padded input only.
struct Span {
  int64_t begin, end, step;
  int64_t padded_extent;
};

Axis axis_of(const char* op, int64_t input, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation,
             bool ceil_mode) {
  TORCHQ_CHECK(input >= 1, "torchq::", op, ": input must not be empty in H or W, got ", input);
  TORCHQ_CHECK(kernel >= 1 && stride >= 1 && dilation >= 1, "torchq::", op,
               ": kernel_size, stride and dilation must be at least 1, got ", kernel, ", ", stride, " and ", dilation);
  TORCHQ_CHECK(padding >= 0 && 2 * padding <= kernel, "torchq::", op,
               ": padding must lie in [0, kernel_size / 2], got ", padding, " for a kernel of ", kernel);
  const int64_t room = input + 2 * padding - dilation * (kernel - 1) - 1;
  TORCHQ_CHECK(room >= 0, "torchq::", op, ": a kernel of ", dilation * (kernel - 1) + 1,
               " with its dilation does not fit an input of ", input, " padded by ", padding);
  int64_t output = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
  if (ceil_mode && (output - 1) * stride >= input + padding) --output;  // no window may start in the right padding
  return {input, kernel, stride, padding, dilation, output};
}

Span span_of(const Axis& axis, int64_t position) {
  int64_t begin = position * axis.stride - axis.padding;
  const int64_t full = begin + axis.dilation * (axis.kernel - 1) + 1;
  const int64_t padded_end = std::min(full, axis.input + axis.padding);
  const int64_t extent = padded_end - begin;
  while (begin < 0) begin += axis.dilation;
  return {begin, std::min(full, axis.input), axis.dilation, extent};
}

Span adaptive_span(int64_t input, int64_t output, int64_t position) {
  const int64_t begin = position * input / output;
  const int64_t end = ((position + 1) * input + output - 1) / output;
  return {begin, end, 1, end - begin};
}

// Calls finish(window, rows, columns, y) for every output pixel, with the spans that made the window.
template <typename SpanOf, typename Finish>
void for_each_window(const Tensor& input, const Tensor& output, const SpanOf& span, const Finish& finish) {
  const int64_t channels = input.size(1), height = input.size(2), width = input.size(3);
  const int64_t out_height = output.size(2), out_width = output.size(3);
  const auto* from = data_of<uint8_t>(input);
  auto* to = output_of<uint8_t>(output);
  const int64_t lines = output.size(0) * out_height;
  const int64_t work = std::max<int64_t>(1, input.numel() / std::max<int64_t>(1, lines));
  parallel_ranges(lines, std::max<int64_t>(1, kSerialElements / work), [&](int64_t begin, int64_t end) {
    std::vector<const uint8_t*> pixels;
    for (int64_t line = begin; line < end; ++line) {
      const uint8_t* image = from + line / out_height * height * width * channels;
      const Span rows = span(0, line % out_height);
      for (int64_t x = 0; x < out_width; ++x) {
        const Span columns = span(1, x);
        pixels.clear();
        for (int64_t i = rows.begin; i < rows.end; i += rows.step)
          for (int64_t j = columns.begin; j < columns.end; j += columns.step)
            pixels.push_back(image + (i * width + j) * channels);
        const Window window{pixels.data(), static_cast<int64_t>(pixels.size()), channels,
                            input.scalar_type() == ScalarType::Char};
        finish(window, rows, columns, to + (line * out_width + x) * channels);
      }
    }
  });
}

void check_pair(const char* op, const char* name, const std::vector<int64_t>& pair) {
  TORCHQ_CHECK(pair.size() == 2, "torchq::", op, ": ", name, " must hold 2 numbers, got ", pair.size());
  for (const int64_t value : pair)
    TORCHQ_CHECK(value <= kMaxExtent, "torchq::", op, ": ", name, " must be at most ", kMaxExtent, ", got ", value);
}

// The sum of a window is an exact int32.
void check_window(const char* op, int64_t pixels) {
  constexpr int64_t kMaxPixels = INT32_MAX / 255;
  TORCHQ_CHECK(pixels <= kMaxPixels, "torchq::", op, ": a window must hold at most ", kMaxPixels, " pixels, got ",
               pixels);
}

const Tensor& checked_4d(const char* op, const Tensor& input) {
  TORCHQ_CHECK(input.dim() == 4, "torchq::", op, ": input must be 4-d [N, C, H, W], got ", input.dim(), " dimensions");
  return input;
}

void check_input(const char* op, const Tensor& input) {
  check_cpu(op, "input", input);
  check_bytes(op, "input", input.scalar_type());
}

Tensor max_pool2d_cpu(const Tensor& input, const std::vector<int64_t>& kernel_size, const std::vector<int64_t>& stride,
                      const std::vector<int64_t>& padding, const std::vector<int64_t>& dilation, bool ceil_mode) {
  constexpr const char* op = "max_pool2d";
  check_input(op, input);
  check_pair(op, "kernel_size", kernel_size);
  check_pair(op, "stride", stride);
  check_pair(op, "padding", padding);
  check_pair(op, "dilation", dilation);
  const Tensor x = channels_last(checked_4d(op, input));
  Axis axes[2];
  for (int i = 0; i < 2; ++i)
    axes[i] = axis_of(op, x.size(2 + i), kernel_size[i], stride[i], padding[i], dilation[i], ceil_mode);
  Tensor y = empty_channels_last(Sizes({x.size(0), x.size(1), axes[0].output, axes[1].output}), x.scalar_type());
  const PoolKernels& kernels = pool_kernels(current_isa());
  for_each_window(
      x, y, [&](int axis, int64_t position) { return span_of(axes[axis], position); },
      [&](const Window& window, const Span&, const Span&, uint8_t* to) { kernels.max_pool(window, to); });
  return y;
}

Tensor avg_pool2d_cpu(const Tensor& input, int64_t zero_point, const std::vector<int64_t>& kernel_size,
                      const std::vector<int64_t>& stride, const std::vector<int64_t>& padding, bool ceil_mode,
                      bool count_include_pad, std::optional<int64_t> divisor_override) {
  constexpr const char* op = "avg_pool2d";
  check_input(op, input);
  check_pair(op, "kernel_size", kernel_size);
  check_pair(op, "stride", stride);
  check_pair(op, "padding", padding);
  TORCHQ_CHECK(!divisor_override.has_value() || *divisor_override > 0,
               "torchq::avg_pool2d: divisor_override must be above 0, got ", divisor_override.value_or(0));
  const Tensor x = channels_last(checked_4d(op, input));
  const Storage storage = storage_of_bytes(x.scalar_type() == ScalarType::Char);
  const int32_t zero = check_zero_point(op, "zero_point", zero_point, storage);
  Axis axes[2];
  for (int i = 0; i < 2; ++i) axes[i] = axis_of(op, x.size(2 + i), kernel_size[i], stride[i], padding[i], 1, ceil_mode);
  check_window(op, std::min(axes[0].kernel, axes[0].input) * std::min(axes[1].kernel, axes[1].input));
  Tensor y = empty_channels_last(Sizes({x.size(0), x.size(1), axes[0].output, axes[1].output}), x.scalar_type());
  const PoolKernels& kernels = pool_kernels(current_isa());
  for_each_window(
      x, y, [&](int axis, int64_t position) { return span_of(axes[axis], position); },
      [&](const Window& window, const Span& rows, const Span& columns, uint8_t* to) {
        const int64_t counted = count_include_pad ? rows.padded_extent * columns.padded_extent : window.count;
        const float divisor = static_cast<float>(divisor_override.value_or(counted));
        kernels.avg_pool(window, {1.0f / divisor, zero, false}, to);
      });
  return y;
}

Tensor adaptive_avg_pool2d_cpu(const Tensor& input, int64_t zero_point, const std::vector<int64_t>& output_size) {
  constexpr const char* op = "adaptive_avg_pool2d";
  check_input(op, input);
  check_pair(op, "output_size", output_size);
  for (const int64_t size : output_size)
    TORCHQ_CHECK(size >= 1, "torchq::adaptive_avg_pool2d: output_size must be at least 1, got ", size);
  const Tensor x = channels_last(checked_4d(op, input));
  TORCHQ_CHECK(x.size(2) >= 1 && x.size(3) >= 1, "torchq::adaptive_avg_pool2d: input must not be empty in H or W, got ",
               x.size(2), " x ", x.size(3));
  const Storage storage = storage_of_bytes(x.scalar_type() == ScalarType::Char);
  const int32_t zero = check_zero_point(op, "zero_point", zero_point, storage);
  // A window is at most one pixel more than the input's share of it, on either side.
  check_window(
      op, std::min(x.size(2), x.size(2) / output_size[0] + 2) * std::min(x.size(3), x.size(3) / output_size[1] + 2));
  Tensor y = empty_channels_last(Sizes({x.size(0), x.size(1), output_size[0], output_size[1]}), x.scalar_type());
  const PoolKernels& kernels = pool_kernels(current_isa());
  for_each_window(
      x, y, [&](int axis, int64_t position) { return adaptive_span(x.size(2 + axis), output_size[axis], position); },
      [&](const Window& window, const Span&, const Span&, uint8_t* to) {
        kernels.avg_pool(window, {1.0f / static_cast<float>(window.count), zero, true}, to);
      });
  return y;
}

}  // namespace
}  // namespace torchq

STABLE_TORCH_LIBRARY_IMPL(torchq, CPU, m) {
  m.impl("max_pool2d", TORCH_BOX(&torchq::max_pool2d_cpu));
  m.impl("avg_pool2d", TORCH_BOX(&torchq::avg_pool2d_cpu));
  m.impl("adaptive_avg_pool2d", TORCH_BOX(&torchq::adaptive_avg_pool2d_cpu));
}
