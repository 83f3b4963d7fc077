// Floor 2. convolution and convolution_dequantize: an implicit matrix product over [N, *spatial, C].
//
// Row m of the product is output pixel m, and its depth runs over kernel positions, then channels. Padding
// holds the input's zero point: then one correction by the column sums is right everywhere. A transposed convolution is
// one product for each phase of its outputs, over the taps that the phase sees (conv_shape.h). Depthwise convolutions
// have a driver of their own.
#include <algorithm>
#include <cstring>

#include "conv_phase.h"
#include "conv_shape.h"
#include "depthwise_driver.h"
#include "layer.h"

namespace torchq {
namespace {

// One group's channels of the input in memory.
struct Image {
  const uint8_t* data;
  const uint8_t* end;  // of the whole input
  int64_t pixel_bytes;
  int64_t k;  // channels of the group
};

// Where whole groups of 4 channels can be read in place: a pointer per pixel and tap.
void point_at_pixels(const ConvPhase& phase, const Image& input, const uint8_t* padding_pixel, int64_t first_row,
                     const ConvPhase::Run& run, Chunk& chunk) {
  const int64_t step = phase.input_step() * input.pixel_bytes;
  const uint8_t** pointers = chunk.pointers.data() + first_row;
  const auto fill_pointers = gemm_kernels(current_isa()).fill_pointers;
  for (const ConvPhase::Tap& tap : phase.taps()) {
    const auto [begin, end] = tap.seen_in(run);
    const uint8_t* pixel = input.data + (run.input_pixel + tap.input_pixels) * input.pixel_bytes;
    for (int64_t i = 0; i < begin; ++i) pointers[i] = padding_pixel;
    fill_pointers(pixel + begin * step, step, end - begin, pointers + begin);
    for (int64_t i = end; i < run.count; ++i) pointers[i] = padding_pixel;
    pointers += kChunkRows;
  }
}

// Where the channels of a pixel are no multiple of 4 (a first layer of 3), kernel rows are read in one piece each.
class KernelRows {
 public:
  KernelRows(const ConvPhase& phase, const PackedHeader& header, const Image& image, uint8_t padding)
      : phase_(phase), header_(header), image_(image), padding_(padding) {
    contiguous_ = header.kernel[2] == 1 || (phase.taps_are_neighbours() && image.pixel_bytes == image.k);
  }

  // Points at windows inside the image, and copies the others. A row is read up to the next multiple of 4 bytes: what
  // is too much meets weights of 0, but has to be within the input.
  void point(int64_t first_row, const ConvPhase::Run& run, Chunk& chunk) const {
    const auto [begin, inside_end] = phase_.inside(run);
    const int64_t end = contiguous_ ? std::clamp(readable(run), begin, inside_end) : begin;
    const int64_t step = phase_.input_step() * image_.pixel_bytes;
    const uint8_t** pointers = chunk.pointers.data() + first_row;
    const auto fill_pointers = gemm_kernels(current_isa()).fill_pointers;
    for (int64_t row = 0; row < header_.kernel_rows(); ++row, pointers += kChunkRows) {
      const uint8_t* pixel = pixel_of(run, row * header_.kernel[2]);
      fill_pointers(pixel + begin * step, step, end - begin, pointers + begin);
    }
    for (int64_t i = 0; i < begin; ++i) copy(first_row, run, i, chunk);
    for (int64_t i = end; i < run.count; ++i) copy(first_row, run, i, chunk);
  }

 private:
  const uint8_t* pixel_of(const ConvPhase::Run& run, int64_t tap) const {
    return image_.data + (run.input_pixel + phase_.taps()[tap].input_pixels) * image_.pixel_bytes;
  }

  // How many windows of a run end before the input does. The last kernel row is the furthest one, or the first, where a
  // transposed convolution sees them in reverse.
  int64_t readable(const ConvPhase::Run& run) const {
    const uint8_t* furthest =
        std::max(pixel_of(run, 0), pixel_of(run, (header_.kernel_rows() - 1) * header_.kernel[2]));
    const int64_t room = image_.end - header_.row_depth() - furthest;
    return room < 0 ? 0 : room / (phase_.input_step() * image_.pixel_bytes) + 1;
  }

  void copy(int64_t first_row, const ConvPhase::Run& run, int64_t i, Chunk& chunk) const {
    uint8_t* to = chunk.bytes.data() + (first_row + i) * header_.depth();
    const int64_t width = header_.kernel[2];
    const int64_t step = i * phase_.input_step() * image_.pixel_bytes;
    // Of neighbouring taps a window sees the same ones in every kernel row, if it sees the row.
    int64_t first = 0, end = width;
    if (contiguous_) {
      while (first < end && !phase_.taps()[first].sees_along_line(run, i)) ++first;
      while (first < end && !phase_.taps()[end - 1].sees_along_line(run, i)) --end;
    }
    for (int64_t row = 0; row < header_.kernel_rows(); ++row, to += header_.row_depth()) {
      chunk.pointers[row * kChunkRows + first_row + i] = to;
      std::memset(to, padding_, static_cast<size_t>(header_.row_depth()));
      for (int64_t tap = first, taps; tap < end; tap += taps) {
        taps = contiguous_ ? end - first : 1;
        if (!phase_.taps()[row * width + tap].sees(run, i)) continue;
        const size_t bytes = static_cast<size_t>(taps * image_.k);
        std::memcpy(to + tap * image_.k, pixel_of(run, row * width + tap) + step, bytes);
      }
    }
  }

  const ConvPhase& phase_;
  const PackedHeader& header_;
  const Image& image_;
  uint8_t padding_;
  bool contiguous_;  // the bytes of a kernel row, in the image
};

// Lists the outputs of a run from row `row` on, if there are any that see a part of the taps: with those before them, if
// they see the same ones, or as a band of their own.
void add_to_bands(const ConvPhase& phase, const ConvPhase::Run& run, int64_t row, int64_t taps, int64_t set_parameters,
                  std::vector<Band>& bands) {
  Band band{run.count, 0, taps, 0};
  if (!phase.sees_all(run)) {
    if (bands.empty() && row > 0) bands.push_back({row, 0, taps, 0});
    const ConvAxis::TapRange seen = phase.taps_of(run);
    const int64_t each = taps / phase.outer().kernel;
    band = {run.count, seen.first * each, (seen.end - seen.first) * each,
            phase.outer().set_of_taps(seen) * set_parameters};
  } else if (bands.empty()) {
    return;
  }
  if (!bands.empty() && bands.back().parameters == band.parameters) {
    bands.back().rows += band.rows;
  } else {
    bands.push_back(band);
  }
}

// The product of one group over one phase of its outputs. Its parameters for the next set of taps are `set_parameters`
// further on.
void run_phase(const ConvPhase& phase, const PackedHeader& header, const Image& image, const uint8_t* padding_pixel,
               bool to_float, int64_t set_parameters, GemmArgs args) {
  const bool in_place = header.taps_in_place();
  std::vector<int64_t> offsets;
  if (in_place) {
    args.taps = static_cast<int64_t>(phase.taps().size());
    args.tap_bytes = header.k;
    if (args.taps != header.taps()) {
      for (const ConvPhase::Tap& tap : phase.taps()) offsets.push_back(tap.index * header.k * kPanelColumns);
      args.tap_offsets = offsets.data();
    }
  } else {
    args.taps = header.kernel_rows();
    args.tap_bytes = header.row_depth();
  }
  const int64_t channels = args.output_stride;
  args.output_stride *= phase.output_step();
  args.residual_stride *= phase.output_step();
  const int64_t depth = static_cast<int64_t>(phase.taps().size()) * header.k;
  const KernelRows rows(phase, header, image, *padding_pixel);
  run_gemm(args, phase.lines(), depth, to_float, [&](int64_t line, int64_t first, int64_t count, Chunk& chunk) {
    if (!in_place) chunk.bytes.resize(static_cast<size_t>(kChunkRows * header.depth()));
    phase.for_each_run(line, first, count, [&](int64_t row, const ConvPhase::Run& run) {
      if (phase.in_parts()) add_to_bands(phase, run, row, args.taps, set_parameters, chunk.bands);
      if (in_place) {
        point_at_pixels(phase, image, padding_pixel, row, run, chunk);
      } else {
        rows.point(row, run, chunk);
      }
    });
    if (to_float) fill_rows(args.input_scale, args.input_zero_point, chunk);
    return phase.output_pixel(line, first) * channels;
  });
}

// The residual laid out as the output. Kept by the caller while the product reads it.
Tensor use_residual(const char* op, const Residual& residual, const Tensor& output, const LayerHeader& header,
                    GemmArgs& args) {
  const Tensor& tensor = *residual.tensor;
  TORCHQ_CHECK(!header.packed.depthwise(), "torchq::", op, ": a depthwise convolution takes no residual");
  check_cpu(op, "residual", tensor);
  check_dtype(op, "residual", tensor, output.scalar_type());
  TORCHQ_CHECK(same(tensor.sizes(), output.sizes()), "torchq::", op, ": residual must have the output's shape, ",
               shape_text(output.sizes()), ", got ", shape_text(tensor.sizes()));
  args.residual_scale = check_scale(op, "residual_scale", residual.scale);
  args.residual_zero_point =
      check_zero_point(op, "residual_zero_point", residual.zero_point, storage_of_bytes(header.signed_output != 0));
  const Tensor pixels = channels_last(tensor);
  args.residual = data_of<uint8_t>(pixels);
  args.residual_stride = output.size(1);
  return pixels;
}

}  // namespace

Tensor run_convolution(const char* op, const Layer& layer, const PackedWeight& packed, const Tensor& input,
                       const Residual& residual) {
  const LayerHeader& header = layer.header();
  const ConvWindow window(header.window, header.spatial_dims, header.transposed != 0);
  const ConvShape shape = conv_shape(op, input, header.packed, window, header.spatial_dims);
  const int64_t columns = header.packed.group_columns(), groups = header.packed.panel_groups();
  const int64_t channels = groups * columns;
  Tensor result = empty_conv_output(shape, header.spatial_dims, channels, output_dtype(header));
  GemmArgs shared{};
  std::optional<Tensor> residual_pixels;
  if (residual.tensor != nullptr) residual_pixels = use_residual(op, residual, result, header, shared);
  const Tensor pixels = channels_last(input);
  const auto* data = data_of<uint8_t>(pixels);
  auto* output = output_of<uint8_t>(result);
  if (header.packed.depthwise()) {
    run_depthwise(shape, layer, packed, data, output);
    return result;
  }
  const bool to_float = header.to_float != 0;
  const int64_t k = shape.channels / groups;
  for_each_phase(shape, !header.packed.taps_in_place(), [&](const ConvPhase& phase, int64_t index) {
    for (int64_t group = 0; group < groups; ++group) {
      GemmArgs args = gemm_args(header, packed, group);
      args.parameters = layer.parameters(index, group);
      args.output = output + group * columns * (to_float ? 4 : 1);
      args.output_stride = channels;
      if (shared.residual != nullptr) {
        args.residual = shared.residual + group * columns;
        args.residual_stride = shared.residual_stride;
        args.residual_scale = shared.residual_scale;
        args.residual_zero_point = shared.residual_zero_point;
      }
      const Image image{data + group * k, data + pixels.numel(), shape.channels, k};
      run_phase(phase, header.packed, image, layer.padding_pixel(), to_float, header.packed.total_panels(), args);
    }
  });
  return result;
}

namespace {

Tensor convolve(const LayerArgs& args, const Tensor& input, const Tensor& packed_weight, const Tensor& weight_scales,
                const std::optional<Tensor>& bias, const std::vector<int64_t>& window, bool transposed,
                const Residual& residual) {
  const Weight weight = check_weight(args.op, packed_weight, weight_scales, bias);
  TORCHQ_CHECK(!window.empty(), "torchq::", args.op, ": window must not be empty");
  return run_once(layer_header(args, weight.packed.header(), window, transposed), args.op, weight, input, residual);
}

Tensor convolution_cpu(const Tensor& input, double input_scale, int64_t input_zero_point, const Tensor& packed_weight,
                       const Tensor& weight_scales, std::optional<Tensor> bias, const std::vector<int64_t>& window,
                       bool transposed, double output_scale, int64_t output_zero_point, ScalarType output_dtype,
                       bool relu, std::optional<Tensor> residual, double residual_scale, int64_t residual_zero_point) {
  const LayerArgs args{"convolution", input_scale,  input_zero_point,  check_input("convolution", input),
                       false,         output_scale, output_zero_point, output_dtype,
                       relu};
  return convolve(args, input, packed_weight, weight_scales, bias, window, transposed,
                  {residual.has_value() ? &*residual : nullptr, residual_scale, residual_zero_point});
}

Tensor convolution_dequantize_cpu(const Tensor& input, double input_scale, int64_t input_zero_point,
                                  const Tensor& packed_weight, const Tensor& weight_scales, std::optional<Tensor> bias,
                                  const std::vector<int64_t>& window, bool transposed, bool relu) {
  constexpr const char* op = "convolution_dequantize";
  const LayerArgs args{op,  input_scale, input_zero_point, check_input(op, input), true, 1.0, 0, ScalarType::Float,
                       relu};
  return convolve(args, input, packed_weight, weight_scales, bias, window, transposed, {});
}

}  // namespace
}  // namespace torchq

STABLE_TORCH_LIBRARY_IMPL(torchq, CPU, m) {
  m.impl("convolution", TORCH_BOX(&torchq::convolution_cpu));
  m.impl("convolution_dequantize", TORCH_BOX(&torchq::convolution_dequantize_cpu));
}
