#include "depthwise_driver.h"

#include <algorithm>

#include "depthwise/depthwise.h"

namespace torchq {
namespace {

DepthwiseArgs depthwise_args(const ConvShape& shape, const GemmArgs& gemm, bool to_float) {
  DepthwiseArgs args{};
  args.channels = shape.channels;
  args.quads = gemm.tap_bytes / 4;
  const ConvAxis &height = shape.axes[1], &width = shape.axes[2];
  args.taps = static_cast<int32_t>(height.kernel * width.kernel);
  args.row_quads = width.kernel == 3;
  args.pairs = args.row_quads && width.stride == 1 && width.dilation == 1 && !width.transposed;
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
    const int64_t kernel_width = shape.axes[2].kernel;
    for (int64_t tap = 0; tap < 4 * args.quads; ++tap) {
      const int64_t row = args.row_quads ? tap / 4 : tap / kernel_width;
      const int64_t column = args.row_quads ? tap % 4 : tap % kernel_width;
      const bool used = args.row_quads ? args.pairs || column < 3 : tap < args.taps;
      at.push_back({used ? row * shape.axes[1].dilation : 0, used ? column * shape.axes[2].dilation : 0, used});
      offsets.push_back((at.back().y * shape.axes[2].input + at.back().x) * shape.channels);
      height = std::max(height, at.back().y + 1);
      width = std::max(width, at.back().x + 1);
    }
  }
};

// Which pixel of the input an output sees at a distance from its window's corner; -1 for none.
int64_t seen(const ConvAxis& axis, int64_t output, int64_t distance) {
  int64_t at = output * axis.stride - axis.padding + distance;
  if (axis.transposed) {
    at = output + axis.padding - distance;
    if (at % axis.stride != 0) return -1;
    at /= axis.stride;
  }
  return at < axis.input ? std::max<int64_t>(at, -1) : -1;
}

// The pixels under one line of output: [groups][quads][4] pointers. Groups are `outputs` apart.
void point_at_line(const ConvShape& shape, const Slots& slots, int64_t groups, int64_t outputs, const uint8_t* image,
                   const uint8_t* padding, int64_t out_y, const uint8_t** pointer) {
  const ConvAxis &height = shape.axes[1], &width = shape.axes[2];
  const int64_t top = out_y * height.stride - height.padding;
  const int64_t count = static_cast<int64_t>(slots.offsets.size());
  const bool lines_inside = !height.transposed && top >= 0 && top + slots.height <= height.input;
  for (int64_t group = 0; group < groups; ++group, pointer += count) {
    const int64_t left = group * outputs * width.stride - width.padding;
    if (lines_inside && left >= 0 && left + slots.width <= width.input) {
      const uint8_t* corner = image + (top * width.input + left) * shape.channels;
      for (int64_t i = 0; i < count; ++i) pointer[i] = corner + slots.offsets[i];
      continue;
    }
    for (int64_t i = 0; i < count; ++i) {
      const int64_t y = seen(height, out_y, slots.at[i].y);
      const int64_t x = seen(width, group * outputs, slots.at[i].x);
      const bool there = slots.at[i].used && y >= 0 && x >= 0;
      pointer[i] = there ? image + (y * width.input + x) * shape.channels : padding;
    }
  }
}

}  // namespace

void run_depthwise(const ConvShape& shape, const GemmArgs& gemm, const uint8_t* input, bool to_float) {
  const DepthwiseArgs args = depthwise_args(shape, gemm, to_float);
  const ConvAxis &height = shape.axes[1], &width = shape.axes[2];
  const DepthwiseKernels& kernels = depthwise_kernels(current_isa());
  std::vector<Line> prepared(static_cast<size_t>(kernels.prepared_lines(args)));
  kernels.prepare(args, prepared.data());
  const std::vector<uint8_t> padding(static_cast<size_t>(shape.channels), static_cast<uint8_t>(args.input_zero_point));
  const int64_t line_bytes = width.output * shape.channels * (to_float ? 4 : 1);
  const int64_t line_macs = std::max<int64_t>(1, width.output * shape.channels * args.taps);
  const int64_t pixels = args.pairs ? 2 : 1;
  const int64_t groups = (width.output + pixels - 1) / pixels;
  const bool odd = width.output % pixels != 0;
  const Slots slots(shape, args);
  const int64_t image_bytes = height.input * width.input * shape.channels;
  const auto run = [&](int64_t begin, int64_t end) {
    std::vector<const uint8_t*> pointers(static_cast<size_t>(groups * args.quads * 4));
    for (int64_t line = begin; line < end; ++line) {
      point_at_line(shape, slots, groups, pixels, input + line / height.output * image_bytes, padding.data(),
                    line % height.output, pointers.data());
      kernels.run(args, prepared.data(), pointers.data(), groups, odd,
                  static_cast<uint8_t*>(gemm.output) + line * line_bytes);
    }
  };
  // Depthwise products take about eight times as long as those of a matrix product.
  parallel_ranges(shape.n * height.output, std::max<int64_t>(1, kSerialMacs / 8 / line_macs), run);
}

}  // namespace torchq
