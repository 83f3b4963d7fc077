// Floor 2. convolution and convolution_dequantize: an implicit matrix product over [N, *spatial, C].
//
// Row m of the product is output pixel m, and its depth runs over kernel positions, then channels. Padding
// holds the input's zero point: then one correction by the column sums is right everywhere. A transposed convolution is
// one product for each phase of its outputs, over the taps that the phase sees (conv_shape.h). Depthwise convolutions
// have a driver of their own.
#include <cstring>

#include "conv_phase.h"
#include "conv_shape.h"
#include "depthwise_driver.h"
#include "gemm_driver.h"

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
  for (const ConvPhase::Tap& tap : phase.taps()) {
    const auto [begin, end] = tap.seen_in(run);
    const uint8_t* pixel = input.data + (run.input_pixel + tap.input_pixels) * input.pixel_bytes;
    for (int64_t i = 0; i < begin; ++i) pointers[i] = padding_pixel;
    for (int64_t i = begin; i < end; ++i) pointers[i] = pixel + i * step;
    for (int64_t i = end; i < run.count; ++i) pointers[i] = padding_pixel;
    pointers += kChunkRows;
  }
}

// Elsewhere (a first layer of 3 channels) each pixel's window is copied to one row, its taps one by one.
void copy_taps(const ConvPhase& phase, const Image& input, uint8_t padding, const ConvPhase::Run& run, int64_t i,
               uint8_t* to) {
  const int64_t pixel = run.input_pixel + i * phase.input_step();
  for (const ConvPhase::Tap& tap : phase.taps()) {
    const auto [begin, end] = tap.seen_in(run);
    if (i >= begin && i < end) {
      std::memcpy(to, input.data + (pixel + tap.input_pixels) * input.pixel_bytes, static_cast<size_t>(input.k));
    } else {
      std::memset(to, padding, static_cast<size_t>(input.k));
    }
    to += input.k;
  }
}

// Where the pixels of a kernel row are neighbours in memory, a window inside the image is copied by kernel rows, in
// blocks of 16 bytes: up to 15 more are read, if the input has them, and written. Rows are written in order, so that
// what is too much is overwritten by the next.
void copy_windows(const ConvPhase& phase, const Image& input, uint8_t padding, int64_t row_bytes, int64_t first_row,
                  const ConvPhase::Run& run, Chunk& chunk) {
  const int64_t length = input.pixel_bytes == input.k ? phase.tap_run() : 0;  // taps
  const int64_t bytes = length * input.k;
  const int64_t copied = round_up(bytes, 16);
  const auto [begin, end] = phase.inside(run);
  const std::vector<ConvPhase::Tap>& taps = phase.taps();
  for (int64_t i = 0; i < run.count; ++i) {
    uint8_t* to = chunk.bytes.data() + (first_row + i) * row_bytes;
    chunk.pointers[first_row + i] = to;
    const uint8_t* corner = input.data + (run.input_pixel + i * phase.input_step()) * input.pixel_bytes;
    const bool whole = length > 0 && i >= begin && i < end;
    if (!whole || corner + (taps.back().input_pixels - length + 1) * input.k + copied > input.end) {
      copy_taps(phase, input, padding, run, i, to);
      continue;
    }
    for (size_t tap = 0; tap < taps.size(); tap += static_cast<size_t>(length), to += bytes) {
      const uint8_t* from = corner + taps[tap].input_pixels * input.k;
      for (int64_t b = 0; b < copied; b += 16) std::memcpy(to + b, from + b, 16);
    }
  }
}

struct ConvArgs {
  const char* op;
  double input_scale;
  int64_t input_zero_point;
  const std::vector<int64_t>& window;
  bool transposed;
  bool relu;
};

// The product of one group over one phase of its outputs.
void run_phase(const ConvPhase& phase, const Weight& weight, int64_t group, const Image& image,
               const uint8_t* padding_pixel, bool to_float, GemmArgs args) {
  const PackedHeader& header = weight.packed.header();
  const bool in_place = header.k % 4 == 0;
  use_group(weight, group, args);
  std::vector<int64_t> offsets;
  std::vector<int32_t> column_sums;
  if (in_place) {
    args.taps = static_cast<int64_t>(phase.taps().size());
    args.tap_bytes = header.k;
    if (args.taps != header.taps()) {
      for (const ConvPhase::Tap& tap : phase.taps()) offsets.push_back(tap.index * header.k * kPanelColumns);
      args.tap_offsets = offsets.data();
      column_sums.resize(static_cast<size_t>(args.columns));
      gemm_kernels(current_isa()).sum_columns(args, column_sums.data());
      args.column_sums = column_sums.data();
    }
  }
  const int64_t channels = args.output_stride;
  args.output_stride *= phase.output_step();
  args.residual_stride *= phase.output_step();
  const int64_t depth = static_cast<int64_t>(phase.taps().size()) * header.k;
  const int64_t row_bytes = header.depth();
  run_gemm(args, phase.lines(), depth, to_float, [&](int64_t line, int64_t first, int64_t count, Chunk& chunk) {
    if (!in_place) chunk.bytes.resize(static_cast<size_t>(kChunkRows * row_bytes + 16));
    phase.for_each_run(line, first, count, [&](int64_t row, const ConvPhase::Run& run) {
      if (in_place) {
        point_at_pixels(phase, image, padding_pixel, row, run, chunk);
      } else {
        copy_windows(phase, image, *padding_pixel, row_bytes, row, run, chunk);
      }
    });
    if (to_float) fill_rows(args.input_scale, args.input_zero_point, chunk);
    return phase.output_pixel(line, first) * channels;
  });
}

struct Residual {
  const Tensor* tensor;  // or null
  double scale;
  int64_t zero_point;
};

// The residual laid out as the output. Kept by the caller while the product reads it.
Tensor use_residual(const char* op, const Residual& residual, const Tensor& output, GemmArgs& args) {
  const Tensor& tensor = *residual.tensor;
  check_cpu(op, "residual", tensor);
  check_dtype(op, "residual", tensor, output.scalar_type());
  TORCHQ_CHECK(same(tensor.sizes(), output.sizes()), "torchq::", op, ": residual must have the output's shape, ",
               shape_text(output.sizes()), ", got ", shape_text(tensor.sizes()));
  args.residual_scale = check_scale(op, "residual_scale", residual.scale);
  args.residual_zero_point =
      check_zero_point(op, "residual_zero_point", residual.zero_point, storage_of_bytes(args.signed_output));
  const Tensor pixels = channels_last(tensor);
  args.residual = data_of<uint8_t>(pixels);
  args.residual_stride = output.size(1);
  return pixels;
}

// `output` is null for a float32 result.
Tensor convolve(const ConvArgs& conv, const Tensor& input, const Tensor& packed_weight, const Tensor& weight_scales,
                const std::optional<Tensor>& bias, const OutputArgs* output, const Residual& residual) {
  check_cpu(conv.op, "input", input);
  const bool is_signed = check_bytes(conv.op, "input", input.scalar_type());
  const Weight weight = check_weight(conv.op, packed_weight, weight_scales, bias);
  const PackedHeader& header = weight.packed.header();
  const ConvShape shape = check_conv_shape(conv.op, input, header, conv.window, conv.transposed);
  GemmArgs args{};
  args.relu = conv.relu;
  use_input(conv.op, conv.input_scale, conv.input_zero_point, is_signed, args);
  if (output != nullptr) use_output(conv.op, *output, args);
  const bool to_float = output == nullptr;
  const int64_t element = to_float ? 4 : 1;
  const int64_t channels = shape.groups * header.columns;
  const std::vector<int64_t> size = conv_output_size(shape, input.dim() - 2, channels);
  Tensor result = empty_channels_last(Sizes(size.data(), size.size()), to_float ? ScalarType::Float : output->dtype);
  std::optional<Tensor> residual_pixels;
  if (residual.tensor != nullptr) residual_pixels = use_residual(conv.op, residual, result, args);
  const Tensor pixels = channels_last(input);
  const auto* data = data_of<uint8_t>(pixels);
  args.output = result.mutable_data_ptr();
  args.output_stride = channels;
  if (header.depthwise()) {
    TORCHQ_CHECK(residual.tensor == nullptr, "torchq::", conv.op, ": a depthwise convolution takes no residual");
    use_group(weight, 0, args);
    run_depthwise(shape, args, data, to_float);
    return result;
  }
  const std::vector<uint8_t> padding_pixel(static_cast<size_t>(header.k), static_cast<uint8_t>(args.input_zero_point));
  auto* const first_output = output_of<uint8_t>(result);
  const uint8_t* const first_residual = args.residual;
  for_each_phase(shape, header.k % 4 != 0, [&](const ConvPhase& phase) {
    for (int64_t group = 0; group < shape.groups; ++group) {
      args.output = first_output + group * header.columns * element;
      if (first_residual != nullptr) args.residual = first_residual + group * header.columns;
      const Image image{data + group * header.k, data + pixels.numel(), shape.channels, header.k};
      run_phase(phase, weight, group, image, padding_pixel.data(), to_float, args);
    }
  });
  return result;
}

Tensor convolution_cpu(const Tensor& input, double input_scale, int64_t input_zero_point, const Tensor& packed_weight,
                       const Tensor& weight_scales, std::optional<Tensor> bias, const std::vector<int64_t>& window,
                       bool transposed, double output_scale, int64_t output_zero_point, ScalarType output_dtype,
                       bool relu, std::optional<Tensor> residual, double residual_scale, int64_t residual_zero_point) {
  const OutputArgs output{output_scale, output_zero_point, output_dtype};
  return convolve({"convolution", input_scale, input_zero_point, window, transposed, relu}, input, packed_weight,
                  weight_scales, bias, &output,
                  {residual.has_value() ? &*residual : nullptr, residual_scale, residual_zero_point});
}

Tensor convolution_dequantize_cpu(const Tensor& input, double input_scale, int64_t input_zero_point,
                                  const Tensor& packed_weight, const Tensor& weight_scales, std::optional<Tensor> bias,
                                  const std::vector<int64_t>& window, bool transposed, bool relu) {
  return convolve({"convolution_dequantize", input_scale, input_zero_point, window, transposed, relu}, input,
                  packed_weight, weight_scales, bias, nullptr, {});
}

}  // namespace
}  // namespace torchq

STABLE_TORCH_LIBRARY_IMPL(torchq, CPU, m) {
  m.impl("convolution", TORCH_BOX(&torchq::convolution_cpu));
  m.impl("convolution_dequantize", TORCH_BOX(&torchq::convolution_dequantize_cpu));
}
