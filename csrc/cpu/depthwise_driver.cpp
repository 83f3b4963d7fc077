#include "depthwise_driver.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "depthwise/depthwise.h"

namespace torchq {
namespace {

const DepthwiseKernels& kernels_of(const LayerHeader& header) {
  return depthwise_kernels(static_cast<Isa>(header.level));
}

// How many neighbouring pixels fill a block where they can: those under the outputs of a line have to be neighbours.
int64_t pixels_together(const LayerHeader& header) {
  const DepthwiseKernels& kernels = kernels_of(header);
  const int64_t channels = header.packed.groups;
  const ConvWindow window(header.window, header.spatial_dims, header.transposed != 0);
  const bool fill = channels < kernels.least_block && kernels.block % channels == 0;
  return fill && window.axes[2].stride == 1 ? kernels.block / channels : 1;
}

// All but what points at the weight.
DepthwiseArgs depthwise_args(const LayerHeader& header) {
  const ConvWindow window(header.window, header.spatial_dims, header.transposed != 0);
  const ConvAxis& width = window.axes[2];
  DepthwiseArgs args{};
  args.channels = header.packed.groups;
  args.kernel_rows = header.packed.kernel[1];
  args.kernel_width = header.packed.kernel[2];
  args.panel_row = header.packed.depth_of(args.kernel_width, 0);
  if (width.dilation == 1 && !width.transposed && pixels_together(header) == 1) {
    // To interleave a quad takes about as long as to multiply it twice: 4 such times for a pair's, 3 for one output's.
    const int64_t alone = args.quads();
    args.pair_step = width.stride;
    if (2 * args.quads() >= 3 * alone) args.pair_step = 0;
  }
  args.input_scale = header.input_scale;
  args.input_zero_point = header.input_zero_point;
  args.signed_input = header.signed_input != 0;
  args.relu = header.relu != 0;
  args.to_float = header.to_float != 0;
  args.bounded = header.bounded != 0;
  args.output_scale = header.output_scale;
  args.output_zero_point = header.output_zero_point;
  args.signed_output = header.signed_output != 0;
  return args;
}

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

// Copies of the input's lines with their padding at both ends, each made once for all outputs that see it.
class PaddedLines {
 public:
  // Whether copies take less time than windows at the ends of lines would: as many lines as a window is high must
  // stay near, the nearer the fewer outputs and products there are of each byte. The bound is measured.
  static bool pay(const ConvShape& shape, const DepthwiseArgs& args) {
    constexpr int64_t kBytesPerQuad = 12 << 10;
    const ConvAxis& width = shape.axes[2];
    if (width.transposed || width.padding == 0) return false;
    return height_of(shape) <= kBytesPerQuad * args.quads() / (width.stride * width.stride) / line_bytes(shape);
  }

  PaddedLines(const ConvShape& shape, uint8_t padding)
      : line_bytes_(line_bytes(shape)),
        end_bytes_(shape.axes[2].padding * shape.channels),
        sources_(static_cast<size_t>(height_of(shape))),
        lines_(sources_.size() * static_cast<size_t>(line_bytes_), padding) {}

  // That of line y of an image, until as many others were asked for as a window is high.
  const uint8_t* copy_of(const uint8_t* source, int64_t y) {
    const size_t slot = static_cast<size_t>(y) % sources_.size();
    uint8_t* line = lines_.data() + slot * static_cast<size_t>(line_bytes_);
    if (sources_[slot] != source) {
      std::memcpy(line + end_bytes_, source, static_cast<size_t>(line_bytes_ - 2 * end_bytes_));
      sources_[slot] = source;
    }
    return line;
  }

 private:
  // Of a window, in lines.
  static int64_t height_of(const ConvShape& shape) { return (shape.axes[1].kernel - 1) * shape.axes[1].dilation + 1; }
  static int64_t line_bytes(const ConvShape& shape) {
    return (shape.axes[2].input + 2 * shape.axes[2].padding) * shape.channels;
  }

  int64_t line_bytes_, end_bytes_;
  std::vector<const uint8_t*> sources_;
  std::vector<uint8_t> lines_;
};

// The lines of a depthwise convolution. Along a line the windows that lie inside its width are a step apart, and the
// kernel walks them; those at its ends are pointed at one by one, unless the line is copied with its padding.
class DepthwiseLines {
 public:
  DepthwiseLines(const ConvShape& shape, const DepthwiseArgs& args, const LayerHeader& header)
      : shape_(shape),
        args_(args),
        kernels_(kernels_of(header)),
        slots_(static_cast<size_t>(4 * args.quads())),
        padded_(PaddedLines::pay(shape, args)),
        together_(pixels_together(header)) {
    int64_t row = 0, column = 0;
    for (Slot& slot : slots_) {
      const bool taps[2] = {args.weight(row, column, 0) >= 0, args.pair_step > 0 && args.weight(row, column, 1) >= 0};
      slot.row = std::min(row, height().kernel - 1);
      // Any pixel will do where there is no tap.
      for (int output = 0; output < 2; ++output)
        slot.x[output] = taps[0] || taps[output] ? column * width().dilation : 0;
      if (++column < args.row_slots()) continue;
      column = 0;
      ++row;
    }
    const int64_t last = (width().kernel - 1) * width().dilation;  // of the window's columns
    if (padded_) {
      inside_end_ = width().output;
    } else if (!width().transposed && last < width().input + width().padding) {
      inside_ = std::min((width().padding + width().stride - 1) / width().stride, width().output);
      const int64_t beyond = (width().input - 1 - last + width().padding) / width().stride + 1;
      inside_end_ = std::clamp(beyond, inside_, width().output);
    }
    // What the kernel walks along is a line; beside the image it sees one pixel.
    const bool lines = height().padding > 0 || shape.axes[0].padding > 0 || width().transposed;
    const int64_t pixels = lines ? std::max<int64_t>(1, width().input + (padded_ ? 2 * width().padding : 0)) : 1;
    padding_.assign(static_cast<size_t>(pixels * shape.channels), static_cast<uint8_t>(args.input_zero_point));
  }

  // What a thread works with.
  struct Working {
    explicit Working(const DepthwiseLines& of)
        : rows(static_cast<size_t>(of.height().kernel)), pixels(of.slots_.size()) {
      if (of.padded_) copies.emplace(of.shape_, static_cast<uint8_t>(of.args_.input_zero_point));
    }
    std::vector<const uint8_t*> rows, pixels;  // of the input, for each of the kernel's, and for each slot
    std::optional<PaddedLines> copies;
  };

  // Line out_y of the output. `image` is the plane of the input that the kernel sees, null where it sees none.
  void run(const void* prepared, const uint8_t* image, int64_t out_y, uint8_t* output, Working& working) const {
    for (int64_t row = 0; row < height().kernel; ++row) {
      const int64_t y = image != nullptr ? seen(height(), out_y, row * height().dilation) : -1;
      const uint8_t* line = y >= 0 ? image + y * width().input * shape_.channels : padding_.data();
      working.rows[row] = padded_ && y >= 0 ? working.copies->copy_of(line, y) : line;
    }
    const int64_t output_bytes = shape_.channels * (args_.to_float ? 4 : 1);
    for (int64_t out_x = 0; out_x < width().output;) {
      const int64_t left = out_x >= inside_ && out_x < inside_end_ ? inside_end_ - out_x : 1;
      const int64_t together = left >= together_ ? together_ : 1;
      // At an end, so that none is left over at the other.
      const bool pairs = args_.pair_step > 0 && (left > 1 || (width().output - out_x) % 2 == 0);
      const int64_t outputs = pairs ? 2 : together;
      const int64_t groups = std::max<int64_t>(1, left / outputs);
      for (size_t i = 0; i < slots_.size(); ++i) {
        const int64_t distance = slots_[i].x[pairs ? 1 : 0];
        const int64_t x = padded_ ? out_x * width().stride + distance : seen(width(), out_x, distance);
        working.pixels[i] = x >= 0 ? working.rows[slots_[i].row] + x * shape_.channels : padding_.data();
      }
      const int64_t step = outputs * width().stride * shape_.channels;
      kernels_.run(args_, prepared, {groups, pairs, together, working.pixels.data(), step},
                   output + out_x * output_bytes);
      out_x += groups * outputs;
    }
  }

 private:
  struct Slot {
    int64_t row;   // the kernel's
    int64_t x[2];  // how far from the window's corner, for one output and for a pair
  };
  const ConvAxis& height() const { return shape_.axes[1]; }
  const ConvAxis& width() const { return shape_.axes[2]; }

  const ConvShape& shape_;
  const DepthwiseArgs& args_;
  const DepthwiseKernels& kernels_;
  std::vector<Slot> slots_;
  bool padded_;                          // whether lines are copied with their padding, and all windows are inside
  std::vector<uint8_t> padding_;         // a line of it
  int64_t inside_ = 0, inside_end_ = 0;  // the outputs whose windows are inside the width
  int64_t together_;
};

}  // namespace

int64_t depthwise_lines(const LayerHeader& header) { return kernels_of(header).prepared_lines(depthwise_args(header)); }

bool prepare_depthwise(const LayerHeader& header, const Weight& weight, void* prepared) {
  DepthwiseArgs args = depthwise_args(header);
  args.panels = weight.packed.panels(0);
  args.column_sums = weight.packed.column_sums(0);
  args.weight_zero_points = weight.packed.zero_points(0);
  args.weight_scales = weight.scales;
  args.bias = weight.bias;
  return kernels_of(header).prepare(args, prepared);
}

void run_depthwise(const ConvShape& shape, const Layer& layer, const PackedWeight& packed, const uint8_t* input,
                   void* output) {
  DepthwiseArgs args = depthwise_args(layer.header());
  args.weight_zero_points = packed.zero_points(0);
  const DepthwiseLines lines(shape, args, layer.header());
  const ConvAxis &depth = shape.axes[0], &height = shape.axes[1], &width = shape.axes[2];
  const int64_t line_bytes = width.output * shape.channels * (args.to_float ? 4 : 1);
  const int64_t line_macs = std::max<int64_t>(1, width.output * shape.channels * args.kernel_rows * args.kernel_width);
  const int64_t plane_bytes = height.input * width.input * shape.channels;
  const auto run = [&](int64_t begin, int64_t end) {
    DepthwiseLines::Working working(lines);
    for (int64_t line = begin; line < end; ++line) {
      const int64_t plane = line / height.output, at = seen(depth, plane % depth.output, 0);
      const uint8_t* image = at < 0 ? nullptr : input + (plane / depth.output * depth.input + at) * plane_bytes;
      lines.run(layer.depthwise(), image, line % height.output, static_cast<uint8_t*>(output) + line * line_bytes,
                working);
    }
  };
  // Depthwise products take about eight times as long as those of a matrix product.
  parallel_ranges(shape.n * depth.output * height.output, std::max<int64_t>(1, kSerialMacs / 8 / line_macs), run);
}

}  // namespace torchq
