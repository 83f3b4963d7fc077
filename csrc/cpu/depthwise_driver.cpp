#include "depthwise_driver.h"

#include <algorithm>

#include "depthwise/depthwise.h"

namespace torchq {
namespace {

DepthwiseArgs depthwise_args(const ConvShape& shape, const GemmArgs& gemm, bool to_float) {
  DepthwiseArgs args{};
  args.channels = shape.channels;
  args.quads = gemm.tap_bytes / 4;
  args.taps = static_cast<int32_t>(shape.kernel[0] * shape.kernel[1]);
  args.row_quads = shape.kernel[1] == 3;
  args.pairs = args.row_quads && shape.stride[1] == 1 && shape.dilation[1] == 1;
  args.panels = gemm.panels;
  args.column_sums = gemm.column_sums;
  args.weight_zero_points = gemm.weight_zero_points;
  args.weight_scales = gemm.weight_scales;
  args.bias = gemm.bias;
  args.input_scale = gemm.input_scale;
  args.input_zero_point = gemm.input_zero_point;
  args.signed_input = gemm.signed_input;
  args.relu = gemm.relu;
  args.to_float = to_float;
  args.output_scale = gemm.output_scale;
  args.output_zero_point = gemm.output_zero_point;
  args.signed_output = gemm.signed_output;
  return args;
}

// Where the slots of the quads lie relative to the window's corner.
struct Slots {
  struct Slot {
    int64_t y, x;
    bool used;
  };
  std::vector<Slot> at;           // [quads * 4]
  std::vector<int64_t> offsets;   // bytes, 0 for an unused slot
  int64_t height = 0, width = 0;  // the window that all of them stay in

  Slots(const ConvShape& shape, const DepthwiseArgs& args) {
    const int64_t kernel_width = shape.kernel[1];
    for (int64_t tap = 0; tap < 4 * args.quads; ++tap) {
      const int64_t row = args.row_quads ? tap / 4 : tap / kernel_width;
      const int64_t column = args.row_quads ? tap % 4 : tap % kernel_width;
      const bool used = args.row_quads ? args.pairs || column < 3 : tap < args.taps;
      at.push_back({used ? row * shape.dilation[0] : 0, used ? column * shape.dilation[1] : 0, used});
      offsets.push_back((at.back().y * shape.width + at.back().x) * shape.channels);
      height = std::max(height, at.back().y + 1);
      width = std::max(width, at.back().x + 1);
    }
  }
};

// The pixels under one line of output: [groups][quads][4] pointers.
void point_at_line(const ConvShape& shape, const Slots& slots, int64_t groups, int64_t step, const uint8_t* image,
                   const uint8_t* padding, int64_t out_y, const uint8_t** pointer) {
  const int64_t top = out_y * shape.stride[0] - shape.padding[0];
  const int64_t count = static_cast<int64_t>(slots.offsets.size());
  const bool lines_inside = top >= 0 && top + slots.height <= shape.height;
  for (int64_t group = 0; group < groups; ++group, pointer += count) {
    const int64_t left = group * step - shape.padding[1];
    if (lines_inside && left >= 0 && left + slots.width <= shape.width) {
      const uint8_t* corner = image + (top * shape.width + left) * shape.channels;
      for (int64_t i = 0; i < count; ++i) pointer[i] = corner + slots.offsets[i];
      continue;
    }
    for (int64_t i = 0; i < count; ++i) {
      const int64_t y = top + slots.at[i].y;
      const int64_t x = left + slots.at[i].x;
      const bool there = slots.at[i].used && y >= 0 && y < shape.height && x >= 0 && x < shape.width;
      pointer[i] = there ? image + (y * shape.width + x) * shape.channels : padding;
    }
  }
}

}  // namespace

void run_depthwise(const ConvShape& shape, const GemmArgs& gemm, const uint8_t* input, bool to_float, void* output) {
  const DepthwiseArgs args = depthwise_args(shape, gemm, to_float);
  const DepthwiseKernels& kernels = depthwise_kernels(current_isa());
  struct alignas(64) Line {
    uint8_t bytes[64];
  };
  std::vector<Line> prepared(static_cast<size_t>(kernels.prepared_lines(args)));
  kernels.prepare(args, prepared.data());
  const std::vector<uint8_t> padding(static_cast<size_t>(shape.channels), static_cast<uint8_t>(args.input_zero_point));
  const int64_t line_bytes = shape.out_width * shape.channels * (to_float ? 4 : 1);
  const int64_t line_macs = std::max<int64_t>(1, shape.out_width * shape.channels * args.taps);
  const int64_t pixels = args.pairs ? 2 : 1;
  const int64_t groups = (shape.out_width + pixels - 1) / pixels;
  const bool odd = shape.out_width % pixels != 0;
  const Slots slots(shape, args);
  const int64_t image_bytes = shape.height * shape.width * shape.channels;
  const auto run = [&](int64_t begin, int64_t end) {
    std::vector<const uint8_t*> pointers(static_cast<size_t>(groups * args.quads * 4));
    for (int64_t line = begin; line < end; ++line) {
      point_at_line(shape, slots, groups, pixels * shape.stride[1], input + line / shape.out_height * image_bytes,
                    padding.data(), line % shape.out_height, pointers.data());
      kernels.run(args, prepared.data(), pointers.data(), groups, odd,
                  static_cast<uint8_t*>(output) + line * line_bytes);
    }
  };
  // Depthwise products take about eight times as long as those of a matrix product.
  parallel_ranges(shape.n * shape.out_height, std::max<int64_t>(1, kSerialMacs / 8 / line_macs), run);
}

}  // namespace torchq
