#include "depthwise_driver.h"

#include <algorithm>

#include "depthwise/depthwise.h"

namespace torchq {
namespace {

// All but what points at the weight.
DepthwiseArgs depthwise_args(const LayerHeader& header) {
  const ConvWindow window(header.window, header.spatial_dims, header.transposed != 0);
  const ConvAxis& width = window.axes[2];
  DepthwiseArgs args{};
  args.channels = header.packed.groups;
  args.quads = header.packed.depth() / 4;
  args.taps = static_cast<int32_t>(header.packed.taps());
  args.row_quads = header.packed.row_quads();
  args.pairs = args.row_quads && width.stride == 1 && width.dilation == 1 && !width.transposed;
  args.input_scale = header.input_scale;
  args.input_zero_point = header.input_zero_point;
  args.signed_input = header.signed_input != 0;
  args.relu = header.relu != 0;
  args.to_float = header.to_float != 0;
  args.output_scale = header.output_scale;
  args.output_zero_point = header.output_zero_point;
  args.signed_output = header.signed_output != 0;
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

// The pixels under one line of output: [groups][quads][4] pointers. Groups are `outputs` apart. The image is null where
// the line sees none of its planes.
void point_at_line(const ConvShape& shape, const Slots& slots, int64_t groups, int64_t outputs, const uint8_t* image,
                   const uint8_t* padding, int64_t out_y, const uint8_t** pointer) {
  const ConvAxis &height = shape.axes[1], &width = shape.axes[2];
  const int64_t top = out_y * height.stride - height.padding;
  const int64_t count = static_cast<int64_t>(slots.offsets.size());
  const bool lines_inside = image != nullptr && !height.transposed && top >= 0 && top + slots.height <= height.input;
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
      const bool there = image != nullptr && slots.at[i].used && y >= 0 && x >= 0;
      pointer[i] = there ? image + (y * width.input + x) * shape.channels : padding;
    }
  }
}

}  // namespace

int64_t depthwise_lines(const LayerHeader& header) {
  return depthwise_kernels(static_cast<Isa>(header.level)).prepared_lines(depthwise_args(header));
}

void prepare_depthwise(const LayerHeader& header, const Weight& weight, void* prepared) {
  DepthwiseArgs args = depthwise_args(header);
  args.panels = weight.packed.panels(0);
  args.column_sums = weight.packed.column_sums(0);
  args.weight_zero_points = weight.packed.zero_points(0);
  args.weight_scales = weight.scales;
  args.bias = weight.bias;
  depthwise_kernels(static_cast<Isa>(header.level)).prepare(args, prepared);
}

void run_depthwise(const ConvShape& shape, const Layer& layer, const PackedWeight& packed, const uint8_t* input,
                   void* output) {
  DepthwiseArgs args = depthwise_args(layer.header());
  args.weight_zero_points = packed.zero_points(0);
  const ConvAxis &height = shape.axes[1], &width = shape.axes[2];
  const DepthwiseKernels& kernels = depthwise_kernels(static_cast<Isa>(layer.header().level));
  const std::vector<uint8_t> padding(static_cast<size_t>(shape.channels), static_cast<uint8_t>(args.input_zero_point));
  const int64_t line_bytes = width.output * shape.channels * (args.to_float ? 4 : 1);
  const int64_t line_macs = std::max<int64_t>(1, width.output * shape.channels * args.taps);
  const int64_t pixels = args.pairs ? 2 : 1;
  const int64_t groups = (width.output + pixels - 1) / pixels;
  const bool odd = width.output % pixels != 0;
  const Slots slots(shape, args);
  const ConvAxis& depth = shape.axes[0];  // of a kernel that is one plane deep
  const int64_t plane_bytes = height.input * width.input * shape.channels;
  const auto run = [&](int64_t begin, int64_t end) {
    std::vector<const uint8_t*> pointers(static_cast<size_t>(groups * args.quads * 4));
    for (int64_t line = begin; line < end; ++line) {
      const int64_t plane = line / height.output, at = seen(depth, plane % depth.output, 0);
      const uint8_t* image = at < 0 ? nullptr : input + (plane / depth.output * depth.input + at) * plane_bytes;
      point_at_line(shape, slots, groups, pixels, image, padding.data(), line % height.output, pointers.data());
      kernels.run(args, layer.depthwise(), pointers.data(), groups, odd,
                  static_cast<uint8_t*>(output) + line * line_bytes);
    }
  };
  // Depthwise products take about eight times as long as those of a matrix product.
  parallel_ranges(shape.n * depth.output * height.output, std::max<int64_t>(1, kSerialMacs / 8 / line_macs), run);
}

}  // namespace torchq
